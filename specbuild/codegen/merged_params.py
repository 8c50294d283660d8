"""The constructor parameters of a merged class: their names, values, defaults and types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from msgspec.structs import force_setattr

from specbuild.codegen.class_spec import REQUIRED, ConstructorParam
from specbuild.codegen.constructions import (
    ComputedTable,
    Construction,
    LayerRow,
    literal_expression,
    literal_value,
)
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.tree import Expr, Literal
from specbuild.codegen.tree_walk import list_read_names
from specbuild.expressions import (
    Expression,
    ExpressionError,
    concrete,
    evaluate_expression,
    rewrite_expression,
    symbolic,
)
from specbuild.ir.graph import Block, BlockArgument, block_size_names
from specbuild.ops.types import CHANNEL


class MergedParams:
    """The parameters of a class that several instances share: values that vary become parameters.

    A column has the values at one place of the code, one for each instance. `preferred_names` are names for
    new parameters, by their columns.
    """

    def __init__(
        self,
        group: Sequence[LoweredBlock],
        instance_count: int,  # those after them are variations
        is_model: bool,
        preferred_names: Mapping[tuple[str, ...], str] | None = None,
    ):
        self.group, self.is_model, self.preferred_names = group, is_model, preferred_names or {}
        self.instance_count = instance_count
        self.added_columns: dict[str, dict[int, Expr]] = {}  # new parameter -> its code where it is used
        self.added_values: dict[str, list[Any]] = {}  # new parameter -> its value in each instance
        self.added_expressions: dict[str, list[Any]] = {}  # the same, with the expressions of the instances
        self.name_hints: dict[tuple[str, ...], list[str]] = {}  # values that vary -> possible names
        self.used_names: set[str] = set()

    @property
    def instances(self) -> Sequence[LoweredBlock]:
        """The group without its variations."""
        return self.group[: self.instance_count]

    @cached_property
    def shared_sizes(self) -> dict[str, tuple[str, str]]:
        """The names of the input sizes that every instance has, each with its input and axis."""
        first, *others = (block_size_names(lowered.block) for lowered in self.group)
        return {n: source for n, source in first.items() if all(o.get(n) == source for o in others)}

    @cached_property
    def unshared_sizes(self) -> frozenset[str]:
        """The names of the input sizes that only some instances have: the constructor cannot take them."""
        names = (block_size_names(lowered.block) for lowered in self.group)
        return frozenset(chain.from_iterable(names)) - set(self.shared_sizes)

    def better_names(self) -> dict[tuple[str, ...], str]:
        """Return better names for new parameters called `padding` whose values are those of another argument too."""
        return {
            key: hints[1] for key, hints in self.name_hints.items() if hints[0] == "padding" and hints[1:]
        }

    @property
    def is_complete(self) -> bool:
        """Whether the spec says what every parameter is: no new one varies only with the variations."""
        columns = (column[: self.instance_count] for column in self.added_values.values())
        return all(any(value != column[0] for value in column) for column in columns)

    def added_arguments(self, instance: int) -> dict[str, Any]:
        """Return the values of the new parameters in one instance, with their expressions in its block."""
        return {name: column[instance] for name, column in self.added_expressions.items()}

    def choose_param(
        self, column: Sequence[Expr], hint: str, instances: Sequence[int], step: str = ""
    ) -> str:
        """Return the parameter for values that vary: one of the block with just these values, else a new one.

        `column` has only the values of these `instances`, given by their numbers in the group; `step` uses them.
        """
        known = self.known_values(hint)
        matches = [
            name
            for name, values in known.items()
            if all(values[i] == value for i, value in zip(instances, column, strict=True))
        ]
        if not matches:
            active = dict(zip(instances, column, strict=True))
            hint = self.choose_hint(active, hint)
            name = self.find_added(active, hint) or self.add_param(active, hint, step, known)
        elif hint in matches:
            name = hint
        else:
            name = matches[0]
        self.used_names.add(name)
        return name

    def known_values(self, hint: str) -> dict[str, list[Expr]]:
        """Return the block's own parameters and input channels, and the size called `hint`, for each instance."""
        blocks = [lowered.block for lowered in self.group]
        known = {
            name: [literal_expression(b.params[name]) for b in blocks] for name in value_params(blocks[0])
        }
        for name, (source, axis) in self.shared_sizes.items():
            if axis == CHANNEL or name == hint:
                known[name] = [Literal(concrete(b.inputs[source][axis])) for b in blocks]
        return known

    def choose_hint(self, active: Mapping[int, Expr], hint: str) -> str:
        """Record a possible name for these values; return the preferred one."""
        key = tuple(repr(active.get(i)) for i in range(len(self.group)))
        hints = self.name_hints.setdefault(key, [])
        if hint not in hints:
            hints.append(hint)
        return self.preferred_names.get(key, hint)

    def find_added(self, active: Mapping[int, Expr], hint: str) -> str | None:
        """Return the new parameter that has just these values wherever both are used; None if there is none.

        A step that some instances lack uses it only in the others. A single value may agree by chance.
        """
        for name, known in self.added_columns.items():
            shared = known.keys() & active.keys()
            if len(shared) < min(len(known), len(active)):
                continue
            values = {repr(active[i]) for i in shared}
            is_certain = name == hint or known.keys() == active.keys() or len(values) > 1
            if is_certain and all(repr(known[i]) == repr(active[i]) for i in shared):
                self.fill_column(name, {**active, **known})
                return name
        return None

    def add_param(self, active: Mapping[int, Expr], hint: str, step: str, known: Iterable[str]) -> str:
        """Return the new parameter for these values."""
        block = self.group[0].block
        taken = {
            *known,
            *self.shared_sizes,
            *block.params,
            *block.inputs,
            *block.step_sizes,
            *(node.name.partition(".")[0] for node in block.nodes),
            *self.added_columns,
        }
        name = next(name for name in self.suggest_names(active, hint, step) if name not in taken)
        self.fill_column(name, active)
        return name

    def suggest_names(self, active: Mapping[int, Expr], hint: str, step: str) -> Iterator[str]:
        """Yield names for new values: what the block calls them, what the code sets by them, and last with numbers."""
        blocks = {i: self.group[i].block for i in active}
        for name in next(iter(blocks.values())).let_numbers:
            if all(literal_value(code) == blocks[i].let_numbers.get(name) for i, code in active.items()):
                yield name
        yield hint
        owner = next((part for part in reversed(step.split(".")) if not part.isdigit()), "")
        if owner and owner != hint:
            yield f"{owner}_{hint}"
        yield from (f"{hint}{number}" for number in range(2, 10_000))

    def fill_column(self, name: str, active: Mapping[int, Expr]) -> None:
        """Give a new parameter its values. Where nothing uses it, it has the first of them."""
        first = active[min(active)]
        codes = [active.get(i, first) for i in range(len(self.group))]
        self.added_columns[name] = dict(active)
        self.added_values[name] = list(map(literal_value, codes))
        self.added_expressions[name] = [
            x.value if isinstance(x, Literal) else literal_value(x) for x in codes
        ]

    def mark_used(self, expr: Any) -> None:
        """Record the names that a piece of code reads."""
        if isinstance(expr, Construction):
            for argument in expr.arguments:
                self.mark_used(argument.value)
        elif isinstance(expr, LayerRow):
            for part in (*expr.members.head, expr.members.tail, expr.members.length):
                self.mark_used(part)
        elif isinstance(expr, ComputedTable):
            # sizes that a table needs are read from the inputs
            local = {name for name, _ in expr.variables} | self.group[0].block.readable_sizes
            own = local - self.used_names
            for part in (*(e for _, e in expr.variables), expr.value, *expr.shape):
                self.mark_used(part)
            self.used_names -= own
        elif expr is not None:
            self.used_names |= set(list_read_names(expr))

    def derived_params(self) -> dict[str, Expr]:
        """Return parameters whose default is an expression over others, if every instance has that default."""
        derived: dict[str, Expr] = {}
        for name, default in reversed(list(self.group[0].block.defaults.items())):
            if name not in self.used_names or not isinstance(default, str):
                continue
            expression = self.default_expression(name, default)
            if expression is not None and self.group[0].unstable_values.keys().isdisjoint(expression.names):
                derived[name] = expression_code(expression)
                self.mark_used(derived[name])
        return dict(reversed(derived.items()))

    @cached_property
    def symbolic_envs(self) -> list[dict[str, Any]]:
        """What the default of a parameter can read in each instance: the parameters under their names, and sizes."""
        return [
            {p: symbolic(concrete(value), p) for p, value in value_params(lowered.block).items()}
            | {i: x.sizes for i, x in lowered.block.inputs.items()}
            for lowered in self.group
        ]

    def default_expression(self, name: str, default: str) -> Expression | None:
        """Return the default as an expression over other parameters.

        None if an instance has another value.
        """
        expression = None
        for lowered, env in zip(self.group, self.symbolic_envs, strict=True):
            params = lowered.block.params
            if isinstance(params[name], str):
                return None
            try:
                if evaluate_expression(default, env) != params[name]:
                    return None
                expression = rewrite_expression(default, env, use_own_names=True)
            except ExpressionError:
                return None
        return expression

    def build_params(self) -> dict[str, ConstructorParam]:
        """Return the constructor's parameters: first input sizes, then required ones, then those with a default."""
        block = self.group[0].block
        columns: dict[str, tuple[Any, list[Any]]] = {}
        for name, (source, axis) in self.shared_sizes.items():
            if name in self.used_names and not self.is_model:
                columns[name] = (REQUIRED, [lowered.block.inputs[source][axis] for lowered in self.group])
        declared = {
            p: [lowered.block.params[p] for lowered in self.group]
            for p in block.params
            if p in self.used_names
        }
        for p, column in declared.items():
            default = concrete(column[0]) if self.is_model else block.defaults.get(p, REQUIRED)
            if isinstance(default, str) and not isinstance(column[0], str):
                default = REQUIRED  # an expression over other parameters
            columns[p] = (default, column)
        for p, column in self.added_values.items():
            if p in self.used_names:
                columns[p] = (self.param_default(p, column), column)
        ordered = sorted(columns, key=lambda p: columns[p][0] is not REQUIRED)
        return {
            p: ConstructorParam(columns[p][0], type_annotation([*columns[p][1], columns[p][0]]))
            for p in ordered
        }

    def param_default(self, name: str, column: Sequence[Any]) -> Any:
        """Return the default of a new parameter: False for a flag, any value that is used if others need none.

        The value without edits, if edits set it.
        """
        if all(isinstance(value, bool) for value in column):
            return False
        used = self.added_columns[name]
        if any(i not in used for i in range(self.instance_count)):
            return column[0]  # some instances do not use it: it need not be given there
        column = column[: self.instance_count]
        rest = [
            value
            for value, lowered in zip(column, self.group, strict=False)
            if not any(name in edit.settings for edit, _ in lowered.block.applied_edits)
        ]
        return rest[0] if len(rest) < len(column) and rest and rest.count(rest[0]) == len(rest) else REQUIRED


def value_params(block: Block) -> dict[str, Any]:
    """Return the parameters of a block whose values are not blocks themselves."""
    return {name: value for name, value in block.params.items() if not isinstance(value, BlockArgument)}


def instance_values(block: Block) -> Mapping[str, Any]:
    """Return the values of all names that the code of a block can read: parameters and input sizes."""
    values: dict[str, Any] | None = block.__dict__.get("_instance_values")
    if values is None:
        names = block_size_names(block).items()
        values = {name: concrete(block.inputs[source][axis]) for name, (source, axis) in names}
        values |= {name: concrete(block.value_type(r)[axis]) for name, (r, axis) in block.step_sizes.items()}
        values |= {name: concrete(value) for name, value in value_params(block).items()}
        force_setattr(block, "_instance_values", values)
    return values


def type_annotation(values: Sequence[Any]) -> str:
    """Return the type annotation of a constructor parameter, from its values and its default."""
    kinds = {type(concrete(v)) for v in values if v is not REQUIRED}
    if kinds <= {bool}:
        return "bool"
    if kinds <= {int}:
        return "int"
    if kinds <= {int, float}:
        return "float"
    if kinds <= {str}:
        return "str"
    if kinds <= {list, tuple}:
        inner = {type_annotation([item]) for v in values if v is not REQUIRED for item in v}
        return f"tuple[{inner.pop() if len(inner) == 1 else 'float'}, ...]"
    if kinds == {int, tuple}:
        return "int | tuple[int, ...]"
    if type(None) in kinds:
        return type_annotation([v for v in values if v is not None]) + " | None"
    return "object"
