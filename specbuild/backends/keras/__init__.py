"""Keras 3 backend: channels last for maps and sequences."""
