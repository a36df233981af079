"""Hard negatives: reads the corpus, the split, the pairs, the judgments and the vectors; writes `negatives.parquet`."""
