"""Frameworks in processes of their own: one protocol for all workers."""
