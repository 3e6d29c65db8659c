"""search/elastic."""
