"""What emitted files must be able to do, run in a process of each framework."""
