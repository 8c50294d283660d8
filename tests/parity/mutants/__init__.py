"""Ways to break emitted files, each a small replacement in a real one, and the step that it breaks."""
