"""The part of importing for Keras: a model is read by its configuration alone; no code of its author runs."""
