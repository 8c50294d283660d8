"""Functions of plain Python that emitted files of every backend may contain."""
