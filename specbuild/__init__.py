"""Named neural networks in YAML, compiled to native PyTorch and Keras source."""
