"""PyTorch: channels after the batch for maps, last for sequences."""
