"""Random code trees, of the sizes at which lines break."""

from __future__ import annotations

from hypothesis import strategies as st

from specbuild.codegen import tree as code
from specbuild.codegen.precedence import INFIX
from specbuild.codegen.tree import Expr, Name, Statement

WORDS = ["x", "conv1", "channels", "kernel_size", "reduction_ratio", "relative_position_index_of_the_window"]
TYPES = ["int", "torch.Tensor", "int | None", "dict[str, torch.Tensor]", "tuple[torch.Tensor, torch.Tensor]"]
HOSTILE = [
    '"',
    "'",
    '"""',
    "\\",
    "\n",
    "\r",
    "\t",
    "\0",
    "\x1b",
    "\x85",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\ud800",
    "{}",
]

words = st.sampled_from(WORDS)
names = st.lists(words, min_size=1, max_size=3).map(lambda parts: Name(".".join(parts)))
plain = st.text(st.sampled_from("ab \"'\\é中"), max_size=60)
literals = st.builds(
    code.Literal,
    st.sampled_from([0, 1, 16, 224, -1, 1e-05, 0.5, -2.0, float("inf"), float("-inf"), True, False, None])
    | plain,
)
texts = st.lists(
    st.sampled_from(["word ", "a. ", "- item", "  ", "#", "é", "中文", "😀", *HOSTILE]), max_size=60
).map("".join)


def tuples(
    items: st.SearchStrategy[Expr], most: int = 3, least: int = 0
) -> st.SearchStrategy[tuple[Expr, ...]]:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def _larger(parts: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    maybe = st.none() | parts
    items = parts | st.builds(code.Star, parts)
    targets = st.sampled_from(["i", "_", "i, j"])
    keywords = st.lists(st.tuples(words, parts), max_size=3, unique_by=lambda pair: pair[0]).map(tuple)
    unpacked = st.builds(lambda pairs, last: (*pairs, ("**", last)), keywords, parts)
    return st.one_of(
        st.builds(code.Call, names | parts, tuples(items), keywords | unpacked),
        st.builds(code.Call, names, tuples(items)),
        st.builds(code.Attribute, parts, words),
        st.builds(code.Index, parts, tuples(parts | st.builds(code.SliceExpr, maybe, maybe, maybe), 3, 1)),
        st.builds(code.Infix, st.sampled_from(sorted(INFIX)), parts, parts),
        st.builds(code.Infix, st.sampled_from(["+", "*", "and"]), parts, parts),
        st.builds(code.Prefix, st.sampled_from(["-", "not", "~"]), parts),
        st.builds(code.Conditional, parts, parts, parts),
        st.builds(code.TupleOf, tuples(items)),
        st.builds(code.ListOf, tuples(items, 5)),
        st.builds(code.DictOf, st.lists(st.tuples(maybe, parts), max_size=3).map(tuple)),
        st.builds(code.Generator, parts, targets, parts),
        st.builds(code.ListComprehension, parts, targets, parts),
    )


expressions: st.SearchStrategy[Expr] = st.deferred(
    lambda: st.recursive(names | literals, _larger, max_leaves=12)
)

simple_statements: st.SearchStrategy[Statement] = st.one_of(
    st.builds(
        code.Assign, names.map(lambda name: name.text), expressions, st.none() | st.sampled_from(TYPES)
    ),
    st.builds(code.Unpack, st.lists(words, min_size=1, max_size=4).map(tuple), expressions),
    st.builds(code.Return, expressions),
    st.builds(code.Do, expressions.filter(lambda expr: not isinstance(expr, code.Literal))),
)


@st.composite
def bodies(draw: st.DrawFn, depth: int, definitions: bool) -> tuple[Statement, ...]:
    """A few statements; down to `depth`, some have a body themselves."""
    result: list[Statement] = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["simple", "comment", "blank", "for", "if", "function", "class"]))
        inner = bodies(depth - 1, definitions and kind not in ("for", "if"))
        if kind == "comment":
            result.append(code.Comment(draw(texts)))
        elif kind == "blank":
            result.append(code.Blank())
        elif kind == "for" and depth:
            result.append(code.For(draw(st.sampled_from(["i", "i, j"])), draw(expressions), draw(inner)))
        elif kind == "if" and depth:
            result.append(code.If(draw(expressions), draw(inner), draw(inner)))
        elif kind == "function" and depth and definitions:
            returns = draw(st.none() | st.sampled_from(TYPES))
            result.append(
                code.Function(
                    draw(words), draw(parameters()), returns, draw(texts), draw(inner), draw(decorators)
                )
            )
        elif kind == "class" and depth and definitions:
            bases = tuple(draw(st.lists(names.map(lambda name: name.text), max_size=3, unique=True)))
            result.append(code.Class(draw(words), bases, draw(texts), draw(inner), draw(decorators)))
        else:
            result.append(draw(simple_statements))
    return tuple(result)


decorators = tuples(st.builds(code.Call, names, tuples(names)), 2)


@st.composite
def parameters(draw: st.DrawFn) -> tuple[code.Parameter, ...]:
    names = draw(st.lists(words, max_size=6, unique=True))
    default = draw(st.integers(0, len(names)))
    keyword_only = draw(st.integers(0, len(names)))
    annotations = st.none() | st.sampled_from(TYPES)
    return tuple(
        code.Parameter(
            name,
            draw(annotations),
            draw(expressions if at >= default else st.none()),
            keyword_only=at >= keyword_only,
        )
        for at, name in enumerate(names)
    )


@st.composite
def modules(draw: st.DrawFn) -> code.Module:
    imports = draw(st.sampled_from([(), ("import math", "", "import torch", "from torch import nn")]))
    return code.Module(draw(texts), imports, draw(bodies(3, True)), tuple(draw(st.lists(texts, max_size=2))))
