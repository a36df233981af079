"""What lies on disk: tables, rows of users' files, atomic writes, content hashes, manifests, the project lock."""
