"""Files and folders in, one table of clean documents out (`documents.parquet`)."""
