"""Compiles a spec document to an audited source file, with the code for its weights and optimizer."""
