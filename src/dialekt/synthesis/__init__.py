"""Queries made from documents that have none: locally, by an LLM, by a seq2seq model; then the gates."""
