"""Reads pairs and hard negatives, writes a tuned model with its training curve and its mixture with the base."""
