"""Walk and rewrite whole statements: the expressions in assignments, calls, loops and conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import is_
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.tree import Expr, Parameter
from specbuild.codegen.tree_walk import code_field_names, code_fields, map_children, walk_expression


def walk_code(code: Any) -> Iterator[Expr]:
    """Yield all expressions in statements, the inner ones too."""
    if isinstance(code, Expr):
        yield from walk_expression(code)
    elif isinstance(code, tuple):
        for item in code:
            yield from walk_code(item)
    elif isinstance(code, Struct) and not isinstance(code, Parameter):
        for value in code_fields(code):
            yield from walk_code(value)


def map_code(code: Any, change: Callable[[Expr], Expr | None]) -> Any:
    """Return statements or expressions with those expressions replaced for which `change` gives another.

    Defaults of parameters stay. Code in which nothing becomes another is the same object.
    """
    if isinstance(code, Expr):
        changed = change(code)
        return changed if changed is not None else map_children(code, lambda part: map_code(part, change))
    if isinstance(code, tuple):
        parts = tuple([map_code(item, change) for item in code])
        return code if all(map(is_, parts, code)) else parts
    if isinstance(code, Struct) and not isinstance(code, Parameter):
        values = {name: map_code(getattr(code, name), change) for name in code_field_names(type(code))}
        is_changed = any(getattr(code, name) is not value for name, value in values.items())
        return replace(code, **values) if is_changed else code
    return code
