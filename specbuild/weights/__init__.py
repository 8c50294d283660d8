"""Weights of a model: how they begin, and how a file of them becomes the model's own."""
