"""Names of the members of a repeat, and `splice`, which puts the members into the group around the repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from msgspec.structs import replace

from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.expression_env import ExpressionEnv
from specbuild.elaborate.values import evaluate_text, is_condition_true, read_attribute
from specbuild.expressions import Env, concrete
from specbuild.frontend.document import StepDef
from specbuild.frontend.names import check_name
from specbuild.frontend.source import SourceAddress
from specbuild.ops.attribute_kinds import Integer

MAX_REPEAT = 10_000
Bind = Callable[[BlockScope, int], AbstractContextManager[None]]
FIELD = re.compile(r"\{([^{}]*)\}")


def read_length(scope: BlockScope, step: StepDef) -> int:
    """Return the number of members that `repeat` gives. Raises SB502 if there are too many."""
    at = step.at.child("repeat")
    length: int = scope.fix_step_sizes(read_attribute(Integer(0), step.repeat, at, ExpressionEnv(scope)))
    if length > MAX_REPEAT:
        message = f"a repeat of {concrete(length):,} is too long"
        raise at.error("SB502", message, f"the maximum is {MAX_REPEAT:,}")
    return length


@contextmanager
def keep_index(scope: BlockScope) -> Iterator[None]:
    """Give `i` its value back when this context ends: a repeat inside a repeat has an `i` of its own."""
    outer = scope.env.get("i")
    yield
    if outer is None:
        scope.env.pop("i", None)
    else:
        scope.env["i"] = outer


def bind_nothing(scope: BlockScope, number: int) -> AbstractContextManager[None]:
    return nullcontext()


def list_member_names(scope: BlockScope, step: StepDef, length: int, bind: Bind = bind_nothing) -> list[str]:
    """Return the names of the members of a repeat: those that `names` gives, else 0, 1, 2 and so on.

    `bind` gives other names than `i` their values in a member. Raises SB203 for a text that is no name, and SB204 for two members of one name.
    """
    if step.names is None:
        return [str(i) for i in range(length)]
    at, names = step.at.child("names"), dict[str, int]()
    with keep_index(scope):
        for i in range(length):
            scope.env["i"] = i
            with bind(scope, i):
                name = fill_fields(step.names, at, ExpressionEnv(scope))
            check_name(name, at, "a member")
            if name in names:
                message = f"the members {names[name]} and {i} would both be named {name!r}"
                raise at.error("SB204", message, 'count them: `names: "layer{i + 1}"`', key=True)
            names[name] = i
    return list(names)


def fill_fields(text: str, at: SourceAddress, env: Env) -> str:
    """Return a text with each expression in braces replaced by its value."""
    return FIELD.sub(lambda field: str(concrete(evaluate_text(field[1], at, env))), text)


def expand_splices(scope: BlockScope, steps: tuple[StepDef, ...], numbered: bool) -> tuple[StepDef, ...]:
    """Return the steps of a block or group, with the members of each repeat that has `splice` in its place.

    Their number and names are computed before the steps, so they cannot read values of these steps.
    """
    if not any(step.splice for step in steps):
        return steps
    before, scope.last = scope.last, None  # `prev` would be another value at each step
    expanded: list[StepDef] = []
    for step in steps:
        expanded += list_spliced(scope, step, numbered) if step.splice else [step]
    scope.last = before
    return tuple(expanded)


def list_spliced(scope: BlockScope, step: StepDef, numbered: bool) -> list[StepDef]:
    """Return a step for each member of a repeat that has `splice`."""
    at = step.at.child("splice")
    for key, value in (("as", step.name), ("expect", step.expect)):
        if value is not None:
            message = f"the members of this repeat are in the group around it: they have no common `{key}`"
            raise step.at.child(key).error("SB105", message, f"remove `{key}` or `splice`", key=True)
    if not numbered and step.names is None:
        message = "`splice` numbers members on in a `do`, and this repeat is in none"
        hint = 'put it into a `do`, or name the members: `names: "layer{i + 1}"`'
        raise at.error("SB105", message, hint, key=True)
    is_present = step.when is None or is_condition_true(scope, step)
    length = concrete(read_length(scope, step)) if is_present else 0
    if length == 0 and step.sources is not None:
        message = "this repeat has no members, so nothing takes its input"
        raise step.from_at.error("SB210", message, "remove `splice`, or `from` and what is read by it")
    names = list_member_names(scope, step, length) if step.names is not None else [None] * length
    member = replace(step, repeat=None, names=None, splice=None, when=None, member_of=step)
    return [replace(member, name=name, index=i) for i, name in enumerate(names)]
