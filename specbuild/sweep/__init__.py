"""Many models from one spec: a grid of variants and parameter values."""
