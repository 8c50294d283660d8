"""Runs emitted files at other sizes than those declared, against the spec compiled at these sizes."""
