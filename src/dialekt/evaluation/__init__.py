"""Evaluation: reads split, pairs, negatives and vectors; writes runs, per-query scores and results."""
