"""A cross-encoder reads the pairs and their hard negatives; corrects them, and scores them for the student."""
