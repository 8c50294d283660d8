"""Runs the emitted files, each framework in a process of its own, and compares them step by step.

From the bottom: `steps` and `plan` know where each step of the model stands in both files, `draw` makes numbers,
`exchange` brings them to a process and back, `probes`, `switches` and the two workers run there, `process` starts
and watches it, `difference`, `tolerance` and `truth` judge, `compare` runs cases, `report` tells what came out.
"""
