"""indexer/fetch."""
