"""Transformations of a model and of its weights: `deploy` makes the form that is run and no longer trained."""
