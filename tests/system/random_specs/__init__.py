"""Random specs through both backends: drawn to be valid, compared in float64, and made small where they differ."""
