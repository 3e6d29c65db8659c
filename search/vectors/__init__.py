"""search/vectors."""
