"""Training pairs as files for other trainers and for services that tune."""
