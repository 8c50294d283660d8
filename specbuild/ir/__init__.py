"""The elaborated model, and what is computed from it alone."""
