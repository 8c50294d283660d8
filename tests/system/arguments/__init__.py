"""Tries the constructor arguments of emitted files against the specs that say what they govern."""
