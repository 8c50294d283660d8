"""The printer says what the tree means, writes it as `ruff format` would, and lets no text become code."""

from __future__ import annotations

import ast
import difflib
import itertools
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from specbuild.codegen.from_expression import parse_code
from specbuild.codegen.printer import print_expression, print_module, print_statement
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    Comment,
    Conditional,
    DictOf,
    Do,
    Expr,
    For,
    Function,
    Generator,
    If,
    Index,
    Infix,
    ListComprehension,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Prefix,
    Return,
    SliceExpr,
    Star,
    Statement,
    TupleOf,
    Unpack,
    ValuePlaceholder,
)
from specbuild.codegen.tree_walk import substitute_placeholders, walk_expression
from tests.codegen.code_trees import expressions, modules, simple_statements
from tests.cpu_time import measure_cpu_time

BATCH = settings(
    max_examples=600,
    phases=[Phase.generate],
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def assert_unchanged(folder: Path, sources: Iterable[str]) -> None:
    """Fail with the diff, if `ruff format` would change any of the sources."""
    paths = {folder / f"case_{number}.py": source for number, source in enumerate(sources)}
    for path, source in paths.items():
        path.write_text(source, encoding="utf-8", newline="")
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--quiet", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pairs = ((source.splitlines(), path.read_bytes().decode().splitlines()) for path, source in paths.items())
    diff = [line for before, after in pairs for line in difflib.unified_diff(before, after, lineterm="", n=9)]
    if diff:
        pytest.fail("\n".join(diff), pytrace=False)


# -------------------------------------------------------------------------------------------- what is written

GOLDEN = {
    "a + b * c": parse_code("a + (b * c)"),
    "(a + b) * c": parse_code("(a+b)*c"),
    "a - (b - c)": parse_code("a - (b - c)"),
    "a**b": parse_code("a ** b"),
    "a**b**c": parse_code("a ** b ** c"),
    "a ** f(b) ** c": parse_code("a ** f(b) ** c"),
    "(-a) ** 2": parse_code("(-a) ** 2"),
    "-(a**2)": parse_code("-a ** 2"),
    "f(x) ** 2": parse_code("f(x)**2"),
    "(-1) ** n": Infix("**", Literal(-1), Name("n")),
    "not (a or b) and c": parse_code("not (a or b) and c"),
    "a < b and b < c": parse_code("a < b < c"),
    "(a < b) == c": Infix("==", parse_code("a < b"), Name("c")),
    "(a if b else c) if d else e": parse_code("(a if b else c) if d else e"),
    "a if b else c if d else e": parse_code("a if b else (c if d else e)"),
    "(a + b).shape[-1]": Index(Attribute(parse_code("a + b"), "shape"), (Literal(-1),)),
    "(1).real": Attribute(Literal(1), "real"),
    "x[:, None, ..., n // 2 :, ::2]": parse_code("x[:, None, ..., n//2:, ::2]"),
    "x[1:n]": parse_code("x[1:n]"),
    "x[self.n :]": parse_code("x[self.n:]"),
    "f(*xs, **kwargs)": Call(Name("f"), (Star(Name("xs")),), (("**", Name("kwargs")),)),
    '{**a, "b": 1}': DictOf(((None, Name("a")), (Literal("b"), Literal(1)))),
    "f(x for x in xs)": Call(Name("f"), (Generator(Name("x"), "x", Name("xs")),)),
    "f((x for x in xs), 1)": Call(Name("f"), (Generator(Name("x"), "x", Name("xs")), Literal(1))),
    "f(*(B() for _ in range(n)))": Call(
        Name("f"), (Star(Generator(parse_code("B()"), "_", parse_code("range(n)"))),)
    ),
    "[i + 1 for i, j in xs]": ListComprehension(parse_code("i + 1"), "i, j", Name("xs")),
    "(x,)": TupleOf((Name("x"),)),
    "()": TupleOf(()),
    "[*a, {}]": ListOf((Star(Name("a")), DictOf(()))),
    "1e-5": Literal(1e-05),
    "1e20": Literal(1e20),
    "0.1": Literal(0.1),
    '-float("inf") + float("nan")': Infix("+", Prefix("-", Literal(float("inf"))), Literal(float("nan"))),
    "'say \"hi\"'": Literal('say "hi"'),
    '"it\'s"': Literal("it's"),
    r'"\x1b\u202e\r\n\\ \ud800 größe 大"': Literal("\x1b\u202e\r\n\\ \ud800 größe 大"),
}


@pytest.mark.parametrize(("written", "tree"), GOLDEN.items(), ids=GOLDEN)
def test_expressions_are_written_with_as_few_parentheses_as_they_need(written: str, tree: Expr) -> None:
    assert print_expression(tree) == written


SAMPLE = """\
self.down = (
    Downsample(in_channels, 4 * channels, stride=stride)
    if stride != 1 or in_channels != 4 * channels
    else nn.Identity()
)
self.layers = nn.Sequential(
    Bottleneck(in_channels, channels, stride=stride),
    *(Bottleneck(4 * channels, channels) for _ in range(depths[0] - 1)),
)
x = torch.cat(
    [x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True), position],
    dim=1,
)
weights = torch.softmax(
    query @ key.transpose(-2, -1) * scale + relative_position_bias + mask, dim=-1
)
gate = self.expand(self.activation(self.squeeze(x))).sigmoid().view(batch, channels) * (
    gain + 1
)
x = (
    x.reshape(batch, height // window, window, width // window, window, channels)
    .permute(0, 1, 3, 2, 4, 5)
    .reshape(-1, window * window, channels)
)
relative_position_bias = (
    self.relative_position_bias_table_of_all_heads_flattened + self.project(bias)
)
total_number_of_windows = (
    first_term_of_the_sum + second_term_of_the_sum * third_term_of_the_sum + 1
)
"""
REST = Star(
    Generator(parse_code("Bottleneck(4 * channels, channels)"), "_", parse_code("range(depths[0] - 1)"))
)


def test_long_statements_break_as_a_person_would_break_them(tmp_path: Path) -> None:
    assert_unchanged(tmp_path, [SAMPLE])
    written = []
    for node in ast.parse(
        SAMPLE.replace("*(Bottleneck(4 * channels, channels) for _ in range(depths[0] - 1))", "rest")
    ).body:
        assert isinstance(node, ast.Assign)
        tree = parse_code(ast.unparse(node.value))
        if isinstance(tree, Call) and Name("rest") in tree.args:
            tree = Call(tree.function, (tree.args[0], REST))
        written += print_statement(Assign(ast.unparse(node.targets[0]), tree), 0)
    assert "\n".join([*written, ""]) == SAMPLE


def test_a_whole_module() -> None:
    forward = Function(
        "forward",
        (
            Parameter("self"),
            Parameter("x", "torch.Tensor"),
            Parameter("mask", "torch.Tensor | None", Literal(None)),
        ),
        "tuple[torch.Tensor, torch.Tensor]",
        "x: [N, C, H, W].\n\nSays `both`.",
        (
            If(parse_code("mask is not None"), (Assign("x", parse_code("x * mask")),), (If(Name("x"), ()),)),
            Blank(),
            For(
                "i, layer",
                parse_code("enumerate(self.layers)"),
                (Comment("light\nops"), Assign("x", parse_code("layer(x)"))),
            ),
            Unpack(("a", "*rest"), Name("x")),
            Return(TupleOf((Name("a"), Name("rest")))),
        ),
        (Name("torch.no_grad"),),
    )
    init = Function(
        "__init__",
        (Parameter("self"), Parameter("size", None, Literal(2), keyword_only=True)),
        None,
        "",
        (Do(parse_code("super().__init__()")),),
    )
    tree = Module(
        "A network.",
        ("import torch", "from torch import nn"),
        (Comment("The only block."), Class("Block", ("nn.Module",), "A block.", (init, forward))),
        ("Made by hand.",),
    )
    assert (
        print_module(tree)
        == '''\
# Made by hand.
"""A network."""

import torch
from torch import nn


# The only block.
class Block(nn.Module):
    """A block."""

    def __init__(self, *, size=2):
        super().__init__()

    @torch.no_grad
    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x: [N, C, H, W].

        Says `both`.
        """
        if mask is not None:
            x = x * mask
        elif x:
            pass

        for i, layer in enumerate(self.layers):
            # light
            # ops
            x = layer(x)
        a, *rest = x
        return a, rest
'''
    )


# ------------------------------------------------------------------------------------- as the formatter would


def test_the_formatter_changes_no_statement(tmp_path: Path) -> None:
    written: list[str] = []

    @BATCH
    @given(simple_statements, st.sampled_from([0, 4, 8]))
    def collect(node: Statement, indent: int) -> None:
        opening = [" " * level + "if x:" for level in range(0, indent, 4)]
        written.append("\n".join([*opening, *print_statement(node, indent), ""]))

    collect()
    assert sum(source.count("\n") > 4 for source in written) > len(written) / 10, (
        "hardly a line had to be broken"
    )
    assert_unchanged(tmp_path, written)


def test_the_formatter_changes_no_module(tmp_path: Path) -> None:
    written: list[str] = []

    @settings(BATCH, max_examples=100)
    @given(modules())
    def collect(tree: Module) -> None:
        written.append(print_module(tree))

    collect()
    assert_unchanged(tmp_path, written)


def test_the_formatter_changes_no_empty_line(tmp_path: Path) -> None:
    parts: tuple[Statement, ...] = (
        Comment("c"),
        Blank(),
        Do(Name("x")),
        Function("f", (), None, "", ()),
        Class("A", (), "", ()),
    )
    bodies = [body for length in range(4) for body in itertools.product(parts, repeat=length)]
    trees = [
        tree
        for body in bodies
        for tree in (
            Module("", ("import a",), body),
            Module("Doc.", (), (Class("K", (), "Doc.", body),)),
            Module("", (), (Function("g", (), None, "Doc.", body), Do(Name("x"))), ("h",)),
            Module("", (), body, ("h",)),
        )
    ]
    assert_unchanged(tmp_path, map(print_module, trees))


# -------------------------------------------------------------------------------------- what is written means


def spelled(expr: Expr) -> str:
    """The expression with parentheses around everything that can have them, written without the printer."""
    match expr:
        case Name(path):
            return path
        case Literal(float() as value) if value in (float("inf"), float("-inf")):
            return f"float('{value}')"
        case Literal(value):
            return f"({value!r})"
        case Call(function, args, keywords):
            named = [
                f"**{spelled(value)}" if key == "**" else f"{key}={spelled(value)}" for key, value in keywords
            ]
            return f"({spelled(function)}({', '.join([*map(spelled, args), *named])}))"
        case Attribute(of, name):
            return f"({spelled(of)}.{name})"
        case Index(of, items):
            return f"({spelled(of)}[{', '.join(map(spelled, items))}])"
        case SliceExpr(lower, upper, step):
            return ":".join("" if part is None else spelled(part) for part in (lower, upper, step))
        case Infix(operator, left, right):
            return f"({spelled(left)} {operator} {spelled(right)})"
        case Prefix(operator, operand):
            return f"({operator} {spelled(operand)})"
        case Conditional(test, then, otherwise):
            return f"({spelled(then)} if {spelled(test)} else {spelled(otherwise)})"
        case TupleOf(items):
            return f"({''.join(f'{spelled(item)},' for item in items)})"
        case ListOf(items):
            return f"[{', '.join(map(spelled, items))}]"
        case DictOf(items):
            pairs = [
                f"**{spelled(value)}" if key is None else f"{spelled(key)}: {spelled(value)}"
                for key, value in items
            ]
            return f"{{{', '.join(pairs)}}}"
        case Star(of):
            return f"*{spelled(of)}"
        case Generator(element, target, iterable):
            return f"({spelled(element)} for {target} in {spelled(iterable)})"
        case ListComprehension(element, target, iterable):
            return f"[{spelled(element)} for {target} in {spelled(iterable)}]"
    raise AssertionError(expr)


class _Flat(ast.NodeTransformer):
    """`(a and b) and c` is `a and b and c`."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        first = node.values[0]
        if isinstance(first, ast.BoolOp) and type(first.op) is type(node.op):
            node.values[:1] = first.values
        return node


def meaning(source: str) -> str:
    return ast.dump(_Flat().visit(ast.parse(source)))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expressions)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_an_expression_means_the_same_with_fewer_parentheses_and_in_lines(expr: Expr) -> None:
    assert meaning(print_expression(expr)) == meaning(spelled(expr))
    in_lines = "\n".join(print_statement(Assign("x", expr), 0))
    assert meaning(in_lines) == meaning(f"x = {spelled(expr)}")


@pytest.mark.parametrize(
    "words", ["4 * width", "x.C // reduction", "depths[0] - 1", "max(a, b) if c else -d ** 2", "a or not b"]
)
def test_words_are_read_and_said_back(words: str) -> None:
    assert print_expression(parse_code(words)).replace("-(d**2)", "-d ** 2") == words


@pytest.mark.parametrize(
    "words", ["", "a b", "lambda: x", "x := 1", "f'{x}'", "{1, 2}", "await x", "b'x'", "1j", "(" * 5000]
)
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="not "):
        parse_code(words)


def test_inputs_are_replaced_everywhere() -> None:
    places = parse_code("f(a, k=b)[c:d] + (e if g else [h, (i, -j)])")
    names = [part.text for part in walk_expression(places) if isinstance(part, Name)]
    numbered = parse_code(print_expression(places))
    for index, name in enumerate(names):
        numbered = _renamed(numbered, name, ValuePlaceholder(index))
    assert not any(isinstance(part, Name) for part in walk_expression(numbered))
    assert substitute_placeholders(numbered, [Name(name) for name in names]) == places
    with pytest.raises(AssertionError, match="not substituted"):
        print_expression(ValuePlaceholder(0))


def _renamed(expr: Expr, name: str, new: Expr) -> Expr:
    from specbuild.codegen.tree_walk import map_children

    return new if expr == Name(name) else map_children(expr, lambda part: _renamed(part, name, new))


def test_literals_of_different_kinds_differ() -> None:
    class Remembering(int):
        def __repr__(self) -> str:
            return "width"

    assert len({Literal(1), Literal(1.0), Literal(True), Literal("1"), Literal(None)}) == 5
    assert Literal(Remembering(3)) == Literal(3)
    assert print_expression(Literal(Remembering(3))) == "3"


# ------------------------------------------------------------------------------------------------------ speed


def test_printing_takes_time_in_proportion() -> None:
    def seconds(copies: int) -> float:
        deep = parse_code("f(" * 40 + "x" + ", a_long_argument=another_long_argument)" * 40)
        tree = Module("", (), (Function("f", (), None, "", (Assign("x", deep),) * copies),))
        with measure_cpu_time() as taken:
            assert print_module(tree).count("\n") == 121 * copies + 1
        return taken.seconds

    seconds(1)
    assert min(seconds(17) for _ in range(3)) < 1  # 2,058 lines, all broken
