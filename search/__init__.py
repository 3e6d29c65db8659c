"""Everything that asks: text, queries, caption engines, matches, neighbours."""
