"""Presets of the data sets, one TOML file each."""
