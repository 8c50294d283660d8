"""The expression language of a spec, and numbers that remember the words they came from.

`evaluate` computes an expression and says its result in the words of the scope: with `x.C` told as
`in_channels`, `x.C // reduction` is 4 and "in_channels // reduction". Words are always true of the value
and always a Python expression over the author's names; where they cannot be kept, they are forgotten and
the plain number stays.
"""

from specbuild.expressions.errors import WordsError
from specbuild.expressions.evaluator import Scope, Value
from specbuild.expressions.parser import FUNCTIONS, TABLE_FUNCTIONS, names, parse
from specbuild.expressions.symbolic import (
    Named,
    NamedFloat,
    evaluate,
    formula,
    named,
    plain,
    retell,
    settled,
    substitute,
    translate,
    words,
)

__all__ = [
    "FUNCTIONS",
    "TABLE_FUNCTIONS",
    "Named",
    "NamedFloat",
    "Scope",
    "Value",
    "WordsError",
    "evaluate",
    "formula",
    "named",
    "names",
    "parse",
    "plain",
    "retell",
    "settled",
    "substitute",
    "translate",
    "words",
]
