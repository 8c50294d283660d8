"""Simplify expressions with whole numbers that the compiler has put together: `n + n` is `2 * n`.

Only operations that are exact for whole numbers are changed, and only where the operands are whole numbers: an
expression whose value is a whole number has no fraction in its sums, products and whole divisions.
"""

from __future__ import annotations

import ast
from functools import lru_cache

from msgspec import Struct

from specbuild.expressions.expression_tree import Expression, from_tree


class IntegerSum(Struct):
    """A sum of whole numbers: a constant, and terms with their factors, in the order in which they first occur."""

    constant: int
    factors: dict[str, int]
    terms: dict[str, ast.expr]
    is_simpler: bool = False  # whether it has fewer operations than the tree that it was read from

    def add(self, other: IntegerSum, sign: int = 1) -> None:
        """Add another sum, or subtract it."""
        self.is_simpler |= other.is_simpler or bool(self.constant and other.constant)
        self.is_simpler |= any(not part.constant and not part.factors for part in (self, other))
        self.constant += sign * other.constant
        for text, factor in other.factors.items():
            self.is_simpler |= text in self.factors
            self.factors[text] = self.factors.get(text, 0) + sign * factor
            self.terms[text] = other.terms[text]

    def scale(self, factor: int) -> None:
        self.constant *= factor
        self.factors = {text: factor * n for text, n in self.factors.items()}

    def divide(self, divisor: int) -> bool:
        """Divide by a number if nothing remains, and return whether that was possible."""
        numbers = (self.constant, *self.factors.values())
        if divisor <= 0 or any(number % divisor for number in numbers):
            return False
        self.constant //= divisor
        self.factors = {text: n // divisor for text, n in self.factors.items()}
        return True


@lru_cache(maxsize=8192)
def simplify_whole_number(expression: Expression) -> Expression | None:
    """Return an expression of a whole number in a shorter form; None if only a constant remains."""
    total = read_sum(expression.tree)
    if not total.is_simpler:
        return expression
    tree = write_sum(total)
    return None if isinstance(tree, ast.Constant) else from_tree(tree)


def read_sum(node: ast.expr) -> IntegerSum:
    """Return the sum that a tree computes; a part that is no sum, product or division is one term."""
    match node:
        case ast.Constant(int() as number) if not isinstance(number, bool):
            return IntegerSum(number, {}, {})
        case ast.UnaryOp(ast.USub(), operand):
            total = read_sum(operand)
            total.scale(-1)
            return total
        case ast.BinOp(left, ast.Add() | ast.Sub() as operator, right):
            total = read_sum(left)
            total.add(read_sum(right), 1 if isinstance(operator, ast.Add) else -1)
            return total
        case ast.BinOp(left, ast.Mult(), right):
            return read_product(node, read_sum(left), read_sum(right))
        case ast.BinOp(left, ast.FloorDiv(), right):
            return read_division(node, read_sum(left), read_sum(right))
    return single_term(node)


def single_term(node: ast.expr, is_simpler: bool = False) -> IntegerSum:
    text = ast.unparse(node)
    return IntegerSum(0, {text: 1}, {text: node}, is_simpler)


def read_product(node: ast.BinOp, left: IntegerSum, right: IntegerSum) -> IntegerSum:
    """Return a product: of a number and one term, or one term by itself, which may have simpler operands."""
    for factor, other in ((left, right), (right, left)):
        if not factor.factors and (not other.factors or (len(other.factors) == 1 and not other.constant)):
            # `2 * (3 * n)` has one operation more than `6 * n`, and `1 * n` than `n`
            other.is_simpler |= not other.factors or next(iter(other.factors.values())) != 1
            other.is_simpler |= factor.constant == 1
            other.scale(factor.constant)
            return other
    if not (left.is_simpler or right.is_simpler):
        return single_term(node)
    return single_term(ast.BinOp(write_sum(left), ast.Mult(), write_sum(right)), is_simpler=True)


def read_division(node: ast.BinOp, left: IntegerSum, right: IntegerSum) -> IntegerSum:
    """Return a whole division: without a remainder where all factors allow it, `4 * n // 2` as `2 * n`."""
    divisor = right.constant if not right.factors else 0
    if divisor and left.divide(divisor):
        left.is_simpler = True
        return left
    [*terms] = left.terms.values()
    if divisor > 0 and not left.constant and list(left.factors.values()) == [1]:
        match terms[0]:
            case ast.BinOp(inner, ast.FloorDiv(), ast.Constant(int() as first)) if first > 0:
                return single_term(
                    ast.BinOp(inner, ast.FloorDiv(), ast.Constant(first * divisor)), is_simpler=True
                )
    if (rest := cancel_factor(write_sum(left), ast.unparse(write_sum(right)))) is not None:
        rest_sum = read_sum(rest)
        rest_sum.is_simpler = True
        return rest_sum
    if not (left.is_simpler or right.is_simpler):
        return single_term(node)
    return single_term(ast.BinOp(write_sum(left), ast.FloorDiv(), write_sum(right)), is_simpler=True)


def cancel_factor(product: ast.expr, factor: str) -> ast.expr | None:
    """Return a product without one of its factors: `b` for `a * b` without `a`; None if that is no factor of it."""
    match product:
        case ast.BinOp(left, ast.Mult(), right):
            if ast.unparse(right) == factor:
                return left
            if ast.unparse(left) == factor:
                return right
            if (rest := cancel_factor(left, factor)) is not None:
                return ast.BinOp(rest, ast.Mult(), right)
    return None


def write_sum(total: IntegerSum) -> ast.expr:
    """Return the tree of a sum; a term with a positive factor comes first if there is one."""
    terms = [(factor, total.terms[text]) for text, factor in total.factors.items() if factor]
    terms.sort(key=lambda term: term[0] < 0)  # stable
    tree: ast.expr | None = None
    for factor, term in terms:
        part = term if abs(factor) == 1 else ast.BinOp(ast.Constant(abs(factor)), ast.Mult(), term)
        if tree is None:
            tree = part if factor > 0 else ast.UnaryOp(ast.USub(), part)
        else:
            tree = ast.BinOp(tree, ast.Add() if factor > 0 else ast.Sub(), part)
    if tree is None or total.constant:
        number = ast.Constant(abs(total.constant))
        if tree is None:
            return number if total.constant >= 0 else ast.UnaryOp(ast.USub(), number)
        tree = ast.BinOp(tree, ast.Add() if total.constant > 0 else ast.Sub(), number)
    return tree
