"""A backend that emits plain NumPy: the forward pass of a few ops."""
