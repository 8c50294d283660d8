"""PyTorch backend: channels first for maps, channels last for sequences."""
