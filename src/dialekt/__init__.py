"""Dialekt teaches an embedding model the dialect of an organisation's documents."""

__version__ = "0.1.0"
