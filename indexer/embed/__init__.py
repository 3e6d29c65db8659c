"""indexer/embed."""
