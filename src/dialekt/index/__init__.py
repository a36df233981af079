"""Vector index versions: build, search, change log, migrate, cut over, roll back."""
