"""Variables for values that a spec names under `let`: code that computes one of them several times computes it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from keyword import iskeyword
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.code_mapping import map_code, walk_code
from specbuild.codegen.from_expression import parse_code
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    Conditional,
    Expr,
    For,
    Function,
    Generator,
    If,
    Index,
    Infix,
    ListComprehension,
    Literal,
    Name,
    Parameter,
    Prefix,
    Unpack,
)
from specbuild.codegen.tree_walk import code_fields, list_read_names, walk_expression

LONGEST_FORMULA = 400  # characters
# Expressions that are compared with formulas, or read again after a change, in one function.
MAX_WORK = 300_000
SHAPE_FUNCTION = Name("ops.shape")
DIVISIONS = ("/", "//", "%", "**")


def write_let_variables(function: Function, class_spec: ClassSpec) -> Function:
    """Return the function with a variable for each `let` of the block that its code computes more than once."""
    lets = class_spec.block.at.read_value()
    lets = lets.get("let") if isinstance(lets, Mapping) else None
    if not isinstance(lets, Mapping) or not lets:
        return function
    writer, work = LetWriter(function, class_spec), 0
    for name, text in lets.items():
        if not (isinstance(text, str) and len(text) <= LONGEST_FORMULA and is_variable(name)):
            continue
        changed = writer.write(name, text)
        if changed is not writer.function:
            work += len(writer.expressions)
            writer = LetWriter(changed, class_spec)
        if work + writer.compared_count > MAX_WORK:
            break
    return writer.function


def is_variable(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier() and not iskeyword(name)


class LetWriter:
    """Finds the code of one named value in a function."""

    def __init__(self, function: Function, class_spec: ClassSpec):
        self.function, self.class_spec = function, class_spec
        self.parameters = {parameter.name for parameter in function.parameters}
        self.expressions = list(walk_code(function.body))
        self.compared_count = 0
        self.by_root: dict[Hashable, list[Expr]] = {}
        for code in self.expressions:
            self.by_root.setdefault(root_of(code), []).append(code)
        assigned = Counter(list_assigned(function.body))
        # variables that have one value in the whole function
        top = {name for statement in function.body for name in assigned_names(statement)}
        self.fixed = {name for name in top if assigned[name] == 1} - self.parameters
        self.fixed |= {name for name in self.parameters if not assigned[name]}
        self.names = {*self.parameters, *assigned}
        self.names |= {x.text.partition(".")[0] for x in self.expressions if isinstance(x, Name)}

    def write(self, name: str, text: str) -> Function:
        """Return the function with the variable, or as it is."""
        try:
            formula = parse_code(text)
        except ValueError:
            return self.function
        if name in self.names or not isinstance(formula, Infix | Conditional | Call):
            return self.function
        candidates = self.by_root.get(root_of(formula), [])
        self.compared_count += len(candidates)
        found = Counter(code for code in candidates if self.is_code_of(formula, code, {}))
        code, reads = max(found.items(), key=lambda item: item[1], default=(formula, 0))
        if reads < 2 or not (self.can_divide(formula, code) or code in walk_always(self.function.body)):
            return self.function
        variable = Name(name)

        body = self.function.body
        first = next(i for i, statement in enumerate(body) if code in walk_code(statement))
        rest = map_code(body[first:], lambda expr: variable if expr == code else None)
        return replace(self.function, body=(*body[:first], Assign(name, code), *rest))

    def can_divide(self, formula: Expr, code: Expr) -> bool:
        """Return whether code never divides by zero: it can be computed where no condition protects it."""
        sizes: dict[str, Expr] = {}
        self.is_code_of(formula, code, sizes)
        divisors = [
            part.right
            for part in walk_expression(code)
            if isinstance(part, Infix) and part.operator in DIVISIONS
        ]
        return all(isinstance(divisor, Literal) or divisor in sizes.values() for divisor in divisors)

    def is_code_of(self, formula: Expr, code: Expr, sizes: dict[str, Expr]) -> bool:
        """Return whether code computes a formula of the spec. `sizes` collects the code of its sizes, such as `x.C`."""
        match formula, code:
            case Literal(a), Literal(b):
                return type(a) is type(b) and a == b
            case Infix(operator, a, b), Infix(other, c, d):
                return operator == other and self.is_code_of(a, c, sizes) and self.is_code_of(b, d, sizes)
            case Prefix(operator, a), Prefix(other, b):
                return operator == other and self.is_code_of(a, b, sizes)
            case Call(a, args, ()), Call(b, others, ()) if len(args) == len(others):
                return a == b and all(
                    self.is_code_of(*pair, sizes) for pair in zip(args, others, strict=True)
                )
            case Conditional(a, b, c), Conditional(d, e, f):
                return all(self.is_code_of(*pair, sizes) for pair in ((a, d), (b, e), (c, f)))
            case Name(text), _ if "." not in text:
                return self.is_fixed(code) and code in (
                    Name(text),
                    Name(f"self.{self.class_spec.attribute_of(text)}"),
                )
            case Name(text), Name() | Index() | Attribute():
                is_own = (
                    isinstance(code, Name) and code.text.removeprefix("self.") in self.class_spec.block.params
                )
                return not is_own and self.is_fixed(code) and sizes.setdefault(text, code) == code
        return False

    def is_fixed(self, code: Expr) -> bool:
        """Return whether code of one number gives the same everywhere in the function."""
        parts = list(walk_expression(code))
        if any(isinstance(part, Call) and part.function != SHAPE_FUNCTION for part in parts):
            return False
        roots = {name for part in parts for name in list_read_names(part)}
        return roots <= self.fixed


def root_of(code: Expr) -> Hashable:
    """Return what a formula and its code have in common: the last operation, and the literals that it computes with."""
    match code:
        case Infix(operator, left, right):
            return (operator, *(side if isinstance(side, Literal) else None for side in (left, right)))
    kind: type = type(code)
    return kind


def walk_always(code: Any) -> Iterator[Expr]:
    """Yield the expressions that are computed whenever statements run, not under a condition or in a loop."""
    if isinstance(code, tuple):
        for item in code:
            yield from walk_always(item)
    elif isinstance(code, For | If):
        yield from walk_always(code.iterable if isinstance(code, For) else code.test)
    elif isinstance(code, Struct) and not isinstance(code, Parameter | Generator | ListComprehension):
        if isinstance(code, Expr):
            yield code
        match code:
            case Conditional(test):
                yield from walk_always(test)
            case Infix("and" | "or", first):
                yield from walk_always(first)
            case _:
                for value in code_fields(code):
                    yield from walk_always(value)


def assigned_names(statement: Any) -> tuple[str, ...]:
    match statement:
        case Assign(target):
            return (target,)
        case Unpack(targets):
            return targets
        case For(target):
            return tuple(map(str.strip, target.split(",")))
    return ()


def list_assigned(code: Any) -> Iterator[str]:
    """Yield the variables that statements assign to, those of loops too, once for each assignment."""
    if isinstance(code, tuple):
        for item in code:
            yield from list_assigned(item)
    elif isinstance(code, Struct) and not isinstance(code, Expr | Parameter):
        yield from assigned_names(code)
        for value in code_fields(code):
            yield from list_assigned(value)
