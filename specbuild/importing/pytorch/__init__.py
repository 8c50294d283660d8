"""PyTorch's part of importing: how a model is made and recorded, and what becomes of its layers and functions."""
