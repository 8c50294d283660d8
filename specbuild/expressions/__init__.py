"""The expression language of a spec, and numbers that remember the expression that they come from.

`evaluate_expression` returns a value together with its expression: if `x.C` is 64 with the expression
`in_channels`, then `x.C // reduction` is 4 with the expression `in_channels // reduction`. An expression is
valid Python over the author's names and always evaluates to its number. A number that comes from no
expression is plain.

An expression is parsed once, into a syntax tree. The compiler rewrites this tree from block to block, and
code generation turns it into a code tree. Its text is only for messages, tables and diagrams.
"""

from specbuild.expressions.errors import ExpressionError
from specbuild.expressions.evaluator import Env, EnvWithLets, Value
from specbuild.expressions.expression_tree import (
    Expression,
    from_tree,
    parse_expression,
    presence_of,
    referenced_names,
)
from specbuild.expressions.input_values import InputList, OptionalInput
from specbuild.expressions.parser import FUNCTIONS, INFINITY, TABLE_FUNCTIONS, parse_tree
from specbuild.expressions.part_meter import PartMeter, count_evaluations, count_table
from specbuild.expressions.rewriting import MAX_EXPRESSION_CHARACTERS
from specbuild.expressions.symbolic_evaluation import (
    bind_name,
    evaluate_expression,
    freeze_lists,
    interpolate_text,
    rewrite_expression,
    symbolic_chain,
    symbolic_formula,
    translate_expression,
)
from specbuild.expressions.symbolic_numbers import (
    SymFloat,
    SymInt,
    concrete,
    expression_of,
    expression_text,
    symbolic,
)

__all__ = [
    "FUNCTIONS",
    "INFINITY",
    "MAX_EXPRESSION_CHARACTERS",
    "TABLE_FUNCTIONS",
    "Env",
    "EnvWithLets",
    "Expression",
    "ExpressionError",
    "InputList",
    "OptionalInput",
    "PartMeter",
    "SymFloat",
    "SymInt",
    "Value",
    "bind_name",
    "concrete",
    "count_evaluations",
    "count_table",
    "evaluate_expression",
    "expression_of",
    "expression_text",
    "freeze_lists",
    "from_tree",
    "interpolate_text",
    "parse_expression",
    "parse_tree",
    "presence_of",
    "referenced_names",
    "rewrite_expression",
    "symbolic",
    "symbolic_chain",
    "symbolic_formula",
    "translate_expression",
]
