"""An example extension of specbuild: an op with a weight, a block, and a backend for NumPy."""
