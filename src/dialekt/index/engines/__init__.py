"""What holds the vectors of an index version: exact search, LanceDB, PostgreSQL with pgvector, Qdrant."""
