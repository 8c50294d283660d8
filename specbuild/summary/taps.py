"""The values of a model that another model can tap: path, shape, and stride relative to the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from specbuild.diagnostics.errors import make_printable
from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Ref, Skip
from specbuild.ops.base import AxisStride, Op
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType
from specbuild.summary.rows import node_kind
from specbuild.summary.table import align_columns

Strides: TypeAlias = Mapping[str, Fraction]  # by axis, for axes that come from the input

HEADINGS = ("tap", "op or block", "shape", "channels", "stride")


@dataclass(frozen=True)
class Tap:
    """One value; a spec refers to it by the step of the model and `path`: `backbone.layer3.0.conv1`."""

    path: str
    kind: str
    type: TensorType
    strides: Strides

    @property
    def channel_count(self) -> int | None:
        return concrete(self.type[CHANNEL]) if CHANNEL in self.type else None

    @property
    def name_level(self) -> int:
        return self.path.count(".")

    @property
    def stride_text(self) -> str:
        """One number if all spatial axes have the same stride, else a number for each axis."""
        strides = {axis: self.strides[axis] for axis in SPATIAL if axis in self.strides}
        if not strides:
            strides = {a: s for a, s in self.strides.items() if s != 1}
            return ", ".join(f"{a} {format_stride(s)}" for a, s in strides.items())
        if len(set(strides.values())) == 1 and set(strides) == {a for a in SPATIAL if a in self.type}:
            return format_stride(next(iter(strides.values())))
        return ", ".join(f"{a} {format_stride(s)}" for a, s in strides.items())

    def tap_record(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "kind": self.kind,
            "shape": {axis: concrete(n) for axis, n in self.type.sizes.items()},
            "dtype": self.type.dtype,
            "channels": self.channel_count,
            "stride": {axis: float(s) for axis, s in self.strides.items()},
        }

    def table_cells(self) -> tuple[str, ...]:
        channels = "" if self.channel_count is None else f"{self.channel_count:,}"
        return self.path, self.kind, make_printable(str(self.type)), channels, self.stride_text


def format_stride(stride: Fraction) -> str:
    """A stride as a whole number, a simple fraction, or rounded: 16, 1/2, 15.7."""
    return str(stride) if stride.denominator <= 8 else f"{float(stride):.3g}"


def list_taps(model: Block, depth: int | None = None) -> tuple[Tap, ...]:
    """All values of a model in the order of computation, down to `depth` levels of names."""
    input_strides = {
        name: {axis: Fraction(1) for axis in x.axes if axis != CHANNEL and x.batched}
        for name, x in model.inputs.items()
    }
    found: list[Tap] = []
    if model.alias_label:
        results = collect_taps(model, input_strides, f"{model.alias_label}.", found)
        ref, type_ = next((o.ref, o.type) for o in model.outputs.values())
        found.append(Tap(model.alias_label, f"= {model.alias_label}.{ref}", type_, results[ref]))
    else:
        collect_taps(model, input_strides, "", found)
    return tuple(tap for tap in found if depth is None or tap.name_level < depth)


def collect_taps(
    block: Block, input_strides: Mapping[Ref, Strides], prefix: str, into: list[Tap]
) -> dict[Ref, Strides]:
    """Append the taps of a block to `into`; returns the strides of its values."""
    found = dict(input_strides)
    ends: dict[str, list[str]] = {}  # node -> groups that end with it, innermost first
    last = {
        group: node.name
        for node in block.nodes
        for group in enclosing_groups(node.name)
        if group in block.groups
    }
    for group, name in reversed(last.items()):
        ends.setdefault(name, []).append(group)
    for node in block.nodes:
        path = f"{prefix}{node.name}"
        if isinstance(node.op, Block):
            pairs = zip(node.op.inputs, node.inputs, strict=True)
            input_strides = {name: found[ref] for name, ref in pairs if ref is not None}
            results = collect_taps(node.op, input_strides, f"{path}.", into)
            for output, value in node.op.outputs.items():
                found.setdefault(node.name, results[value.ref])
                found[f"{node.name}@{output}"] = results[value.ref]
        elif isinstance(node.op, Skip):
            found[node.name] = found[node.inputs[0]] if node.inputs[0] is not None else {}
        else:
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            sources = [{} if ref is None else found[ref] for ref in node.inputs]
            found[node.name] = result_strides(node.op, types, sources, node.type)
            for part, type_ in node.parts.items():
                found[f"{node.name}@{part}"] = result_strides(node.op, types, sources, type_)
        if node.parts:
            into += (
                Tap(f"{path}.{part}", node_kind(node), type_, found[f"{node.name}@{part}"])
                for part, type_ in node.parts.items()
            )
            continue
        into.append(Tap(path, node_kind(node), node.type, found[node.name]))
        into += (
            Tap(f"{prefix}{group}", f"= {prefix}{node.name}", node.type, found[node.name])
            for group in ends.get(node.name, ())
        )
    return found


def enclosing_groups(name: str) -> Iterator[str]:
    """The names of possible groups around a step, outermost first: `layer4`, `layer4.2` for `layer4.2.1`."""
    parts = name.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts)))


def result_strides(
    op: Op, types: Sequence[TensorType | None], sources: Sequence[Strides], out: TensorType
) -> dict[str, Fraction]:
    """The strides of a result relative to the model input, for the axes that come from it."""
    places: Mapping[str, AxisStride] = op.axis_strides(*types) if types else {}
    found = {}
    for axis in out.axes:
        if axis == CHANNEL and axis not in places:
            continue
        if axis in places:
            lies = places[axis]
            if lies.axis in sources[0]:
                found[axis] = sources[0][lies.axis] * Fraction(lies.numerator, lies.denominator)
        else:
            source = next((s for s in sources if axis in s), None)
            if source is not None:
                found[axis] = source[axis]
    return found


def taps_text(taps: Sequence[Tap]) -> str:
    """The taps as a table of text."""
    return "\n".join(align_columns([HEADINGS, *(tap.table_cells() for tap in taps)], 3)) + "\n"
