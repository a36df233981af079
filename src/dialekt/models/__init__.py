"""Doors to weights: base models and their encoding contract, texts → vectors, exact top-k, BM25.

Reads a model folder or Hub name, documents.parquet and queries.parquet; writes the vectors artefact and
`dialekt.json`.
"""
