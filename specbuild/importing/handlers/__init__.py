"""Handlers of functions and layers: one function each, found by the table in `registry`."""
