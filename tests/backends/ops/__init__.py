"""One table of cases for each family of ops; `test_op_parity` runs every one through both emitted files."""
