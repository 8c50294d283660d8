"""The elaborated model as a graph, and what can be computed from it."""
