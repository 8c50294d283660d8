"""The texts on a box: captions of ops and blocks, sizes by axis, and short numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from specbuild.expressions import concrete, expression_text
from specbuild.ir.graph import Block, BlockArgument, Node, Skip
from specbuild.ops.base import Op, list_attributes
from specbuild.ops.types import TensorType, spatial_axes

NUMBER = re.compile(r"\b[0-9][0-9.e]*\b")

AxisSizes = tuple[tuple[str, str], ...]
FREE_SIZE_STAR = "*"  # beside a size that can be any
FREE_SIZES_KEY = "* this size can be any; numbers are for the one shown"


def format_values(values: Sequence[Any]) -> str:
    """Return one value in several instances: the number, the expression if they differ, or the range of numbers."""
    numbers = [concrete(v) for v in values]
    if all(n == numbers[0] for n in numbers):
        return format_caption_value(numbers[0])
    expression = shared_expression(values)
    if expression is not None and len(expression) <= 24:
        return expression
    if all(isinstance(n, int | float) for n in numbers):
        return f"{format_caption_value(min(numbers))}…{format_caption_value(max(numbers))}"
    return "…"


def shared_expression(values: Sequence[Any]) -> str | None:
    """Return the expression of one value in several instances; None if it has a number of one instance in it."""
    first, *others = (expression_text(value) for value in values)
    if first is None:
        return None
    without_numbers = NUMBER.sub("", first)
    is_of_one = any(x and x != first and NUMBER.sub("", x) == without_numbers for x in others)
    return None if is_of_one else first


def format_caption_value(value: Any) -> str:
    """Return a value as in the spec, floats with three digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(format_caption_value, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {format_caption_value(concrete(v))}" for k, v in value.items())
    return str(value)


# -- ops


def op_caption(ops: Sequence[Op], windows: int, hides_target: bool = False) -> str:
    """Return an op with its main attributes: `conv 7×7, stride 2 → 64`.

    `ops` are the same op in all instances, `windows` is how many axes its window slides over. `hides_target`
    leaves out the size of the output, which the box shows elsewhere.
    """
    op = ops[0]
    special = op.caption()
    if special is not None:
        return f"{op.title} {special}".strip()
    name, parts, target = op.title, [], ""
    for attribute in list_attributes(type(op)).values():
        values = [getattr(o, attribute.name) for o in ops]
        text = format_values(values)
        is_default = values[0] is None or all(concrete(v) == attribute.default for v in values)
        if attribute.role == "window":
            name += f" {format_windows(values, text, windows)}"
        elif attribute.role == "detail" or is_default:
            continue
        elif attribute.role == "output":
            target = "" if hides_target else f" → {text}"
        elif isinstance(values[0], bool):
            parts += [attribute.name] * values[0]
        else:
            parts.append(format_named_value(attribute.name, values, text))
    if parts and not name.endswith(op.title):
        parts.insert(0, "")
    return name + (" " if parts and parts[0] else "") + ", ".join(parts) + target


def format_windows(values: Sequence[Any], text: str, axes: int) -> str:
    """Return the size of a window in several instances: `3×3`, `1×1 or 3×3`, `3×3…7×7`."""
    sizes = list(dict.fromkeys(format_window(value, "", axes) for value in values))
    if len(sizes) == 1 or text not in list(map(expression_text, values)):
        return format_window(values[0], text, axes)
    sizes.sort(key=lambda size: (len(size), size))
    return " or ".join(sizes) if len(sizes) == 2 else f"{sizes[0]}…{sizes[-1]}"


def format_window(value: Any, text: str, axes: int) -> str:
    """Return a window size: `3×3` for a window of length 3 along two axes."""
    value = concrete(value)
    if isinstance(value, Mapping):
        return "×".join(format_caption_value(concrete(v)) for v in value.values())
    if isinstance(value, list | tuple):
        return "×".join(map(format_caption_value, value))
    return "×".join([text or format_caption_value(value)] * max(axes, 1))


def count_window_axes(node: Node) -> int:
    """Return how many axes the window of an op slides over."""
    return len(getattr(node.op, "over", None) or spatial_axes(node.type))


def node_label(node: Node) -> str:
    """Return the block or op of a step."""
    if isinstance(node.op, Skip):
        return "skipped"
    return node.op.name if isinstance(node.op, Block) else node.op.title


def join_caption(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


# -- blocks


def format_arguments(nodes: Sequence[Node], is_repeat: bool = False, exclude: Container[str] = ()) -> str:
    """Return the arguments of the blocks in one box that differ from the defaults, at most three.

    The nodes are the members of a repeat (`is_repeat`), or the same step in several instances. The arguments
    in `exclude` are left out: the box shows them elsewhere.
    """
    blocks = [n.op for n in nodes if isinstance(n.op, Block)]
    parts = []
    for name in blocks[0].params:
        if name not in exclude:
            values = [n.args.get(name, b.params.get(name)) for n, b in zip(nodes, blocks, strict=True)]
            parts.append(format_argument(name, values, blocks[0], is_repeat))
    scan = nodes[0].scan
    along = [] if scan is None else [f"along {scan.over}{' reversed' if scan.reverse else ''}"]
    return ", ".join([*along, *[part for part in parts if part][:3]])


def format_argument(name: str, values: Sequence[Any], block: Block, is_repeat: bool) -> str:
    """Return one argument with its value; an empty text for a default."""
    if any(isinstance(v, BlockArgument) for v in values):
        kinds = {str(v) for v in values}
        return f"{name} {kinds.pop()}" if len(kinds) == 1 and kinds != {"none"} else ""
    default = block.defaults.get(name)
    if isinstance(default, str) or (name in block.defaults and all(concrete(v) == default for v in values)):
        return ""
    value = block.params[name]
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        text = format_series(values) if is_repeat else format_values(values)
        return format_named_value(name, values, text)
    return name if value is True else ""


def format_named_value(name: str, values: Sequence[Any], text: str) -> str:
    """Return a name with its value in several instances, which is `text`: `stride 2`, `channels 2 * width`.

    Where the value is a parameter of the same name, the numbers say more than its name: `stride 1 or 2`.
    """
    if text == name:
        numbers = sorted({n for n in map(concrete, values) if isinstance(n, int | float)})
        texts = list(map(format_caption_value, numbers)) or [text]
        text = " or ".join(texts) if len(texts) <= 2 else f"{texts[0]}…{texts[-1]}"
    return f"{name} {text}"


def format_series(values: Sequence[Any]) -> str:
    """Return the values of one argument in the members of a repeat: `64 then 128`, `0 and 3 in turn`, `64…512`."""
    numbers = [format_caption_value(concrete(v)) for v in values]
    distinct = list(dict.fromkeys(numbers))
    if len(distinct) == 1:
        return numbers[0]
    if len(set(numbers[1:])) == 1:
        return f"{numbers[0]} then {numbers[1]}"
    if len(distinct) == 2:
        return f"{distinct[0]} and {distinct[1]}" + " in turn" * is_alternating(numbers)
    return f"{numbers[0]}…{numbers[-1]}"


def is_alternating(texts: Sequence[str]) -> bool:
    return all(a != b for a, b in pairwise(texts))


# -- sizes and numbers


def format_axis_sizes(
    types: Sequence[TensorType], old_types: Sequence[TensorType] = (), free: Collection[str] = ()
) -> AxisSizes:
    """Return each axis with its size, and with its old size if that was different; axes in `free` get a star.

    If the size differs between instances, its expression, or an empty text if that is long.
    """
    labels = []
    for axis in types[0].axes:
        values = [t.sizes.get(axis) for t in types]
        if len({concrete(v) for v in values}) == 1:
            size = concrete(values[0])
            old_sizes = {concrete(t[axis]) for t in old_types if set(t.axes) == set(types[0].axes)} - {size}
            old_size = f"{format_caption_value(old_sizes.pop())} → " if len(old_sizes) == 1 else ""
            star = FREE_SIZE_STAR if axis in free else ""
            labels.append((axis, old_size + format_caption_value(size) + star))
        else:
            expression = shared_expression(values)
            labels.append((axis, expression if expression is not None and len(expression) <= 16 else ""))
    return tuple(labels)


def resolution_of(*types: TensorType) -> tuple[tuple[str, int], ...]:
    """Return the axes that give values their resolution, with their sizes; () if the values differ in it."""
    grids = {tuple((axis, int(concrete(t[axis]))) for axis in spatial_axes(t)) for t in types}
    return grids.pop() if len(grids) == 1 else ()


def step_resolution(node: Node) -> tuple[tuple[str, int], ...]:
    """Return the resolution of the value of a step, or of all its values if they agree."""
    if isinstance(node.op, Block) and "" not in node.op.outputs:
        return resolution_of(*(output.type for output in node.op.outputs.values()))
    return resolution_of(node.type)


def format_axes(axes: Iterable[tuple[str, str]]) -> str:
    """Return `C 64  H 56  W 56`."""
    return "  ".join(f"{a} {n}".strip() for a, n in axes)


def short_number(n: int) -> str:
    """Return a number with three digits and a unit: 4.09 G, 25.6 M, 9.54 k."""
    for unit, size in (("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12), ("P", 10**15)):
        if n >= 1000 and round(n / size, 2) < 999.5:
            value = n / size
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"
    return str(n)
