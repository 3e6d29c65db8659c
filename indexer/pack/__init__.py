"""indexer/pack."""
