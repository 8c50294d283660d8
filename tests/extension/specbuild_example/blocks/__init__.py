"""Blocks that any spec may use by name."""
