"""search/synonyms."""
