"""search/tantivy."""
