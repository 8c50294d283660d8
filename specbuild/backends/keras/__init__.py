"""Keras 3: channels last for maps and sequences alike."""
