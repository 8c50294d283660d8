"""Drop defaults that a constructor refuses itself, or passes on to a layer which refuses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from specbuild.codegen.class_spec import REQUIRED, ClassSpec, ConstructorParam, Guard
from specbuild.codegen.constructions import Construction, Member
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.printer import print_expression
from specbuild.codegen.requirements import is_met, list_rows
from specbuild.codegen.tree import Expr, Infix, Name
from specbuild.codegen.tree_walk import list_read_names, map_children
from specbuild.expressions import evaluate_expression


def drop_refused_defaults(
    params: Mapping[str, ConstructorParam], derived: Mapping[str, Expr], guards: Iterable[Guard]
) -> dict[str, ConstructorParam]:
    """Return the parameters without the defaults that guards refuse; those without a default come first."""
    values = {name: param.default for name, param in params.items() if param.default is not REQUIRED}
    sources = {name: {name} for name in values}  # name -> the parameters that its value follows from
    for name, code in derived.items():
        if sources.keys() >= {*list_read_names(code)} & {*params, *derived}:
            sources[name] = set().union(*(sources[n] for n in list_read_names(code) if n in sources))
            values[name] = evaluate_expression(print_expression(code), values)
    refused = set[str]()
    for guard in guards:
        for part in split_alternatives(guard.condition):
            if is_met(replace(guard, condition=part), values):
                refused |= set().union(*(sources.get(name, ()) for name in list_read_names(part)))
    changed = {n: replace(p, default=REQUIRED) if n in refused else p for n, p in params.items()}
    return dict(sorted(changed.items(), key=lambda item: item[1].default is not REQUIRED))


def split_alternatives(condition: Expr) -> list[Expr]:
    """Return `a` and `b` for `a or b`."""
    if isinstance(condition, Infix) and condition.operator == "or":
        return [*split_alternatives(condition.left), *split_alternatives(condition.right)]
    return [condition]


def find_inner_guards(steps: Sequence[LoweredStep], classes: Iterable[ClassSpec]) -> Iterator[Guard]:
    """Yield the guards of the layers that a constructor always creates, for the arguments that it gives them."""
    guarded = {class_spec.name: class_spec for class_spec in classes if class_spec.guards}
    layers = [layer for step in steps if not step.skip_key for layer in list_own_layers(step.member)]
    for layer in layers:
        if (inner := guarded.get(layer.function)) is not None:
            codes = {argument.name: argument.value for argument in layer.arguments}
            for guard in inner.guards:
                yield replace(guard, condition=insert_codes(guard.condition, codes))


def list_own_layers(member: Member | None) -> list[Construction]:
    """Return the layers of a member; of a row, those that are written out."""
    parts = [part for row in list_rows(member) for part in row.members.head]
    return [part for part in (member, *parts) if isinstance(part, Construction) and part.is_own_class]


def insert_codes(expr: Expr, codes: Mapping[str, Expr]) -> Expr:
    """Return an expression with codes in place of names."""
    if isinstance(expr, Name):
        return codes.get(expr.text, expr)
    return map_children(expr, partial(insert_codes, codes=codes))
