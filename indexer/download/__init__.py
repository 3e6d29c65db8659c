"""indexer/download."""
