"""Initial weights of a model, and conversion of weight files between names, formats and frameworks."""
