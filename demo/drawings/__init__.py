"""demo/drawings."""
