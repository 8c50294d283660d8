"""What can be computed: one definition of each op, a module for each family."""

from specbuild.ops import activation, arrange, attention, contraction, index, dropout, logic, math, merge, mix, neighbourhood, norm, pool, recurrent, reduce, resize, shape, table
from specbuild.ops.base import OPS, Op

__all__ = ["OPS", "Op", "activation", "arrange", "attention", "contraction", "index", "dropout", "logic", "math", "merge", "mix", "neighbourhood", "norm", "pool", "recurrent", "reduce", "resize", "shape", "table"]
