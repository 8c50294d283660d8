"""Run emitted files: in worker processes, or in this one as a live model. Imports no framework itself."""
