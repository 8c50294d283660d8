"""Weights of a model: where each is kept, how it begins, and how a file of them becomes the model's own."""

from specbuild.weights.held import Held, from_framework, held, parameters, shared, to_framework

__all__ = ["Held", "from_framework", "held", "parameters", "shared", "to_framework"]
