"""indexer/corpora."""
