"""Taps: the intermediate values of a model that `--features` or another spec can read.

Each has a path, a shape, and a stride relative to the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagnostics.errors import make_printable
from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Ref, Skip
from specbuild.ops.base import AxisStride, Op
from specbuild.ops.types import CHANNEL, SPATIAL, TensorType
from specbuild.summary.rows import node_kind
from specbuild.summary.table import align_columns

Strides: TypeAlias = Mapping[str, Fraction]  # by axis, for axes that come from the input

HEADINGS = ("tap", "op or block", "shape", "channels", "stride")


class Tap(Struct, frozen=True):
    """One value. A spec that uses the model as the step `backbone` reads it as `backbone.` and `path`."""

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
        spatial = {axis: self.strides[axis] for axis in SPATIAL if axis in self.strides}
        if len(set(spatial.values())) == 1 and set(spatial) == {a for a in SPATIAL if a in self.type}:
            return format_stride(next(iter(spatial.values())))
        strides = spatial or {axis: stride for axis, stride in self.strides.items() if stride != 1}
        return ", ".join(f"{axis} {format_stride(stride)}" for axis, stride in strides.items())

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
    """Return a stride as a whole number, a simple fraction, or rounded: 16, 1/2, 15.7."""
    return str(stride) if stride.denominator <= 8 else f"{float(stride):.3g}"


def list_taps(model: Block, depth: int | None = None) -> tuple[Tap, ...]:
    """Return the taps of a model in the order of computation, down to `depth` levels of names."""
    input_strides = {
        name: {axis: Fraction(1) for axis in x.axes if axis != CHANNEL and x.batched}
        for name, x in model.inputs.items()
    }
    taps: list[Tap] = []
    if model.alias_label:
        strides = collect_taps(model, input_strides, f"{model.alias_label}.", taps)
        ref, type_ = next((o.ref, o.type) for o in model.outputs.values())
        taps.append(Tap(model.alias_label, f"= {model.alias_label}.{ref}", type_, strides[ref]))
    else:
        collect_taps(model, input_strides, "", taps)
    return tuple(tap for tap in taps if depth is None or tap.name_level < depth)


def collect_taps(
    block: Block, input_strides: Mapping[Ref, Strides], prefix: str, taps: list[Tap]
) -> dict[Ref, Strides]:
    """Append the taps of a block to `taps`; returns the strides of its values."""
    strides = dict(input_strides)
    ending_groups = groups_by_value(block)
    for node in block.nodes:
        path = f"{prefix}{node.name}"
        if isinstance(node.op, Block):
            pairs = zip(node.op.inputs, node.inputs, strict=True)
            inner_strides = {name: strides[ref] for name, ref in pairs if ref is not None}
            inner_taps: list[Tap] = []
            results = collect_taps(node.op, inner_strides, f"{path}.", inner_taps)
            if node.scan is not None:
                inner_taps = [replace(tap, type=node.scan.output_type("", tap.type)) for tap in inner_taps]
            taps += inner_taps
            for output, value in node.op.outputs.items():
                strides.setdefault(node.name, results[value.ref])
                strides[f"{node.name}@{output}"] = results[value.ref]
        elif isinstance(node.op, Skip):
            strides[node.name] = strides[node.inputs[0]] if node.inputs[0] is not None else {}
        else:
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            sources = [{} if ref is None else strides[ref] for ref in node.inputs]
            strides[node.name] = result_strides(node.op, types, sources, node.type)
            for part, type_ in node.parts.items():
                strides[f"{node.name}@{part}"] = result_strides(node.op, types, sources, type_)
        if node.parts:
            taps += (
                Tap(f"{path}.{part}", node_kind(node), type_, strides[f"{node.name}@{part}"])
                for part, type_ in node.parts.items()
            )
            continue
        taps.append(Tap(path, node_kind(node), node.type, strides[node.name]))
        taps += (
            Tap(f"{prefix}{group}", f"= {prefix}{node.name}", node.type, strides[node.name])
            for group in ending_groups.get(node.name, ())
        )
    return strides


def groups_by_value(block: Block) -> dict[str, list[str]]:
    """Return the groups that have the value of each node, innermost first."""
    groups: dict[str, list[str]] = {}
    for name, group in reversed(list(block.groups.items())):
        if group.value is not None and group.value in block.nodes_by_name:
            groups.setdefault(group.value, []).append(name)
    return groups


def result_strides(
    op: Op, types: Sequence[TensorType | None], sources: Sequence[Strides], out: TensorType
) -> dict[str, Fraction]:
    """Return the strides of a result relative to the model input, for the axes that come from it."""
    axis_strides: Mapping[str, AxisStride] = op.axis_strides(*types) if types else {}
    strides = {}
    for axis in out.axes:
        if axis in axis_strides:
            own = axis_strides[axis]
            if own.axis in sources[0]:
                strides[axis] = sources[0][own.axis] * Fraction(own.numerator, own.denominator)
        elif axis != CHANNEL:
            source = next((s for s in sources if axis in s), None)
            if source is not None:
                strides[axis] = source[axis]
    return strides


def taps_text(taps: Sequence[Tap]) -> str:
    """Return the taps as a table of text."""
    return "\n".join(align_columns([HEADINGS, *(tap.table_cells() for tap in taps)], 3)) + "\n"
