"""sampling/export."""
