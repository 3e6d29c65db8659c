"""Everything that chooses: scores, methods, filters, lists."""
