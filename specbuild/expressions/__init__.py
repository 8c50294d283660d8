"""The expression language of a spec, and numbers that remember the words they came from.

`evaluate` computes an expression and says its result in the words of the scope: with `x.C` told as
`in_channels`, `x.C // reduction` is 4 and "in_channels // reduction". Words are always true of the value
and always a Python expression over the author's names; where they cannot be kept, they are forgotten and
the plain number stays.
"""

from specbuild.expressions.errors import ExpressionError
from specbuild.expressions.evaluator import Scope, Value
from specbuild.expressions.parser import FUNCTIONS, TABLE_FUNCTIONS, parse_tree, referenced_names
from specbuild.expressions.symbolic_numbers import (
    SymFloat,
    SymInt,
    bind_name,
    concrete,
    evaluate_expression,
    expression_of,
    interpolate_text,
    rewrite_expression,
    symbolic,
    symbolic_formula,
    translate_expression,
)

__all__ = [
    "FUNCTIONS",
    "TABLE_FUNCTIONS",
    "ExpressionError",
    "Scope",
    "SymFloat",
    "SymInt",
    "Value",
    "bind_name",
    "concrete",
    "evaluate_expression",
    "expression_of",
    "interpolate_text",
    "parse_tree",
    "referenced_names",
    "rewrite_expression",
    "symbolic",
    "symbolic_formula",
    "translate_expression",
]
