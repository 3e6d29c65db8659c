"""sampling/report."""
