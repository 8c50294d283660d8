"""The words on a box: what an op is told by, sizes by axis name, and short numbers."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from specbuild.expressions import concrete, expression_of
from specbuild.ir.graph import Block, BlockArgument, Node, Skip
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType, spatial_axes

# Attributes that a picture is better without: how weights begin, numeric details.
HIDDEN_ATTRIBUTES = frozenset(
    "init bias_init bias epsilon momentum affine padding padding_mode ceil_mode count_include_pad keep broadcast "
    "dtype value correction output_padding".split()
)
OUTPUT_ATTRIBUTES = ("channels", "features", "units")  # told as an arrow to the size that comes out
OP_SYMBOLS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "sigmoid": "σ"}

AxisSizes = tuple[tuple[str, str], ...]


def format_values(values: Sequence[Any]) -> str:
    """One value that several instances have; where they differ, the author's words for it, else its range."""
    first = values[0]
    numbers = [concrete(v) for v in values]
    if all(n == numbers[0] for n in numbers):
        return format_number(numbers[0])
    expression = expression_of(first)
    if expression is not None and len(expression) <= 24:
        return expression
    if all(isinstance(n, int | float) for n in numbers):
        return f"{format_number(min(numbers))}…{format_number(max(numbers))}"
    return "…"


def format_number(value: Any) -> str:
    """A value as an author writes it, short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(format_number, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {format_number(concrete(v))}" for k, v in value.items())
    return str(value)


# -- ops


def op_caption(ops: Sequence[Op], windows: int, hides_target: bool = False) -> str:
    """An op with what matters of it, given all its instances: `conv 7×7, stride 2 → 64`.

    `windows` is how many axes its window slides over; `target_told`: the size that comes out is told elsewhere.
    """
    op = ops[0]
    special = SPECIAL_CAPTIONS.get(op.name)
    if special is not None:
        return f"{op.name} {special(op)}".strip()
    name, parts, target = op.name, [], ""
    for f in fields(op):  # type: ignore[arg-type]
        values = [getattr(o, f.name) for o in ops]
        text = format_values(values)
        if f.name == "kernel":
            name += f" {format_window(values[0], text, windows)}"
        elif (
            f.name in HIDDEN_ATTRIBUTES or values[0] is None or all(concrete(v) == f.default for v in values)
        ):
            continue
        elif f.name in OUTPUT_ATTRIBUTES:
            target = "" if hides_target else f" → {text}"
        elif isinstance(values[0], bool):
            parts += [f.name] * values[0]
        else:
            parts.append(f.name if text == f.name else f"{f.name} {text}")
    if parts and not name.endswith(op.name):
        parts.insert(0, "")
    return name + (" " if parts and parts[0] else "") + ", ".join(parts) + target


def format_window(value: Any, text: str, axes: int) -> str:
    """`3×3` for a window of one length along two axes."""
    value = concrete(value)
    if isinstance(value, Mapping):
        return "×".join(format_number(concrete(v)) for v in value.values())
    if isinstance(value, list | tuple):
        return "×".join(map(format_number, value))
    return "×".join([text] * max(axes, 1))


def window_axes(node: Node) -> int:
    """How many axes the window of an op slides over."""
    return len(getattr(node.op, "over", None) or spatial_axes(node.type))


def node_label(node: Node) -> str:
    """The block or op of a step."""
    if isinstance(node.op, Skip):
        return "skipped"
    return node.op.kind if isinstance(node.op, Block) else node.op.name


def join_parts(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def join_axes(axes: Iterable[str]) -> str:
    return ", ".join(axes)


SPECIAL_CAPTIONS: Mapping[str, Callable[[Any], str]] = {
    "flatten": lambda op: f"{join_axes(op.axes)} → {op.into}",
    "unflatten": lambda op: f"{op.axis} → {join_axes(op.into)}",
    "rename": lambda op: ", ".join(f"{a} → {b}" for a, b in op.axes.items()),
    "split": lambda op: f"{op.over} → {join_axes(op.into)}",
    "stack": lambda op: f"→ {op.axis}",
    "squeeze": lambda op: join_axes(op.over),
    "weight": lambda op: "",
    "const": lambda op: "",
    "contract": lambda op: f"over {join_axes(op.over)}" if op.over else "",
    "slice": lambda op: (
        f"{op.over} at {format_number(concrete(op.at))}"
        if op.at is not None
        else f"{op.over} {format_number(concrete(op.start)) if op.start else ''}:{'' if op.stop is None else format_number(concrete(op.stop))}"
    ),
}


# -- blocks


def format_arguments(nodes: Sequence[Node], is_repeat: bool = False, exclude: Container[str] = ()) -> str:
    """What block instances under one box are told by: arguments that are not the default, at most three.

    They are members of a repeat, one after another, or the same step in several instances. Those `without` are told elsewhere.
    """
    blocks = [n.op for n in nodes if isinstance(n.op, Block)]
    parts = []
    for name, value in blocks[0].params.items():
        if name in exclude:
            continue
        values = [n.args.get(name, b.params.get(name)) for n, b in zip(nodes, blocks, strict=True)]
        if any(isinstance(v, BlockArgument) for v in values):
            kinds = {str(v) for v in values}
            if kinds != {"none"} and len(kinds) == 1:
                parts.append(f"{name} {kinds.pop()}")
            continue
        default = blocks[0].defaults.get(name)
        if isinstance(default, str) or (
            name in blocks[0].defaults and all(concrete(v) == default for v in values)
        ):
            continue
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            text = format_series(values) if is_repeat else format_values(values)
            parts.append(name if text == name else f"{name} {text}")
        elif value is True:
            parts.append(name)
    return ", ".join(parts[:3])


def format_series(values: Sequence[Any]) -> str:
    """The values of one argument along a repeat."""
    numbers = [format_number(concrete(v)) for v in values]
    distinct = list(dict.fromkeys(numbers))
    if len(distinct) == 1:
        return numbers[0]
    if len(set(numbers[1:])) == 1:
        return f"{numbers[0]} then {numbers[1]}"
    return "/".join(distinct) if len(distinct) <= 2 else f"{numbers[0]}…{numbers[-1]}"


# -- sizes and numbers


def format_axis_sizes(types: Sequence[TensorType], old_types: Sequence[TensorType] = ()) -> AxisSizes:
    """Each axis with its size, and the one it had; where instances differ, the words for it, or nothing."""
    labels = []
    for axis in types[0].axes:
        values = [t.sizes.get(axis) for t in types]
        if len({concrete(v) for v in values}) == 1:
            former = {concrete(t[axis]) for t in old_types if set(t.axes) == set(types[0].axes)} - {
                concrete(values[0])
            }
            was = f"{format_number(former.pop())} → " if len(former) == 1 else ""
            labels.append((axis, was + format_number(concrete(values[0]))))
        else:
            expression = expression_of(values[0])
            labels.append((axis, expression if expression is not None and len(expression) <= 16 else ""))
    return tuple(labels)


def format_axes(axes: Iterable[tuple[str, str]]) -> str:
    return "  ".join(f"{a} {n}".strip() for a, n in axes)


def short_number(n: int) -> str:
    """Three digits and a unit: 4.09 G, 25.6 M, 9.54 k."""
    for unit, size in (("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12), ("P", 10**15)):
        if n >= 1000 and round(n / size, 2) < 999.5:
            value = n / size
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"
    return str(n)
