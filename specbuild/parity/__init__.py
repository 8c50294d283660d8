"""Runs the emitted files, each framework in a process of its own, and compares."""
