"""Expressions of whole numbers in their short form, with the same value everywhere."""

from __future__ import annotations

import random

import pytest

from specbuild.expressions import parse_expression
from specbuild.expressions.evaluator import evaluate_tree
from specbuild.expressions.simplify import simplify_whole_number

SHORTER = {
    "a + a": "2 * a",
    "2 * a // 2": "a",
    "2 * c // 2 + 2 * c // 2 + c + c": "4 * c",
    "w - w // 4 + w // 4": "w",
    "16 * w // 2 // 2": "4 * w",
    "w // 2 // 2": "w // 4",
    "(a + a) // 3": "2 * a // 3",
    "a - 2 + 2": "a",
    "a * b + a * b": "2 * (a * b)",
    "4 * (a // b * c // c)": "4 * (a // b)",
    "a * b * c // b": "a * c",
    "a + 2 - 1": "a + 1",
    "a // 1": "a",
    "a - (b - a)": "2 * a - b",
    "x.C + x.C - 1 + 2": "2 * x.C + 1",
}
SHORTEST = (
    "1 + a",
    "-a + b",
    "a*2",
    "3*w//2",
    "2*(a+b)",
    "max(a + a, 3)",
    "(a+a) % 3",
)


@pytest.mark.parametrize(("long", "short"), SHORTER.items())
def test_a_shorter_form(long: str, short: str) -> None:
    assert str(simplify_whole_number(parse_expression(long))) == short


@pytest.mark.parametrize("text", SHORTEST)
def test_what_stays_as_it_is(text: str) -> None:
    expression = parse_expression(text)
    assert simplify_whole_number(expression) is expression


def test_a_constant_has_no_expression() -> None:
    assert simplify_whole_number(parse_expression("a - a + 3")) is None


def test_the_value_is_the_same() -> None:
    generator = random.Random(0)

    def draw_expression(depth: int) -> str:
        kind = generator.random()
        if depth == 0 or kind < 0.2:
            return generator.choice("abc1236")
        if kind < 0.3:
            return f"-({draw_expression(depth - 1)})"
        if kind < 0.35:
            return f"max({draw_expression(depth - 1)}, {draw_expression(depth - 1)})"
        operator = generator.choice(["+", "-", "*", "//", "%"])
        return f"({draw_expression(depth - 1)}) {operator} ({draw_expression(depth - 1)})"

    changed = 0
    for _ in range(3000):
        expression = parse_expression(draw_expression(4))
        simplified = simplify_whole_number(expression)
        env = {name: generator.randint(1, 40) for name in "abc"}
        try:
            value = evaluate_tree(expression.tree, env)
        except Exception:  # divides by zero
            continue
        if simplified is not None:
            assert evaluate_tree(simplified.tree, env) == value, expression
            changed += simplified is not expression
    assert changed > 300
