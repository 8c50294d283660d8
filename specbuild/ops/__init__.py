"""What can be computed: one definition of each op, a module for each family."""

from specbuild.ops import activation, arrange, logic, math, merge, mix, norm, pool, reduce, shape, table
from specbuild.ops.base import OPS, Op

__all__ = ["OPS", "Op", "activation", "arrange", "logic", "math", "merge", "mix", "norm", "pool", "reduce", "shape", "table"]
