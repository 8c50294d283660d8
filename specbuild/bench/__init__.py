"""How fast the emitted files run, and how much memory they need."""
