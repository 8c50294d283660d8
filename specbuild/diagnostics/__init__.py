"""Errors with stable codes and locations."""
