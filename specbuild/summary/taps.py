"""Every value of a model that another one can tap: its path, its shape, and how coarse it is beside the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from specbuild.diagnostics.errors import printable
from specbuild.expressions import plain
from specbuild.ir.graph import Block, Ref, Skip
from specbuild.ops.base import Op, Places
from specbuild.ops.types import CHANNEL, SPATIAL, Tensor
from specbuild.summary.rows import what
from specbuild.summary.table import laid

Strides: TypeAlias = Mapping[str, Fraction]  # of each axis that came from the input

HEADINGS = ("tap", "op or block", "shape", "channels", "stride")


@dataclass(frozen=True)
class Tap:
    """One value: `path` is what is written after the name of the model, as in `backbone.layer3.0.conv1`."""

    path: str
    what: str
    type: Tensor
    strides: Strides

    @property
    def channels(self) -> int | None:
        return plain(self.type[CHANNEL]) if CHANNEL in self.type else None

    @property
    def level(self) -> int:
        return self.path.count(".")

    @property
    def stride(self) -> str:
        """One number if it is the same for every axis of places, else each with its axis."""
        mine = {axis: self.strides[axis] for axis in SPATIAL if axis in self.strides}
        if not mine:
            mine = {a: s for a, s in self.strides.items() if s != 1}
            return ", ".join(f"{a} {told(s)}" for a, s in mine.items())
        if len(set(mine.values())) == 1 and set(mine) == {a for a in SPATIAL if a in self.type}:
            return told(next(iter(mine.values())))
        return ", ".join(f"{a} {told(s)}" for a, s in mine.items())

    def record(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "kind": self.what,
            "shape": {axis: plain(n) for axis, n in self.type.sizes.items()},
            "dtype": self.type.dtype,
            "channels": self.channels,
            "stride": {axis: float(s) for axis, s in self.strides.items()},
        }

    def cells(self) -> tuple[str, ...]:
        channels = "" if self.channels is None else f"{self.channels:,}"
        return self.path, self.what, printable(str(self.type)), channels, self.stride


def told(stride: Fraction) -> str:
    """Whole, a fraction of a small number, or rounded: 16, 1/2, 15.7."""
    return str(stride) if stride.denominator <= 8 else f"{float(stride):.3g}"


def taps(model: Block, depth: int | None = None) -> tuple[Tap, ...]:
    """Every value of a model, in the order in which it is computed; `depth` levels of names in all."""
    given = {
        name: {axis: Fraction(1) for axis in x.axes if axis != CHANNEL and x.batched}
        for name, x in model.inputs.items()
    }
    found: list[Tap] = []
    if model.known_as:
        results = visit(model, given, f"{model.known_as}.", found)
        ref, type_ = next((o.ref, o.type) for o in model.outputs.values())
        found.append(Tap(model.known_as, f"= {model.known_as}.{ref}", type_, results[ref]))
    else:
        visit(model, given, "", found)
    return tuple(tap for tap in found if depth is None or tap.level < depth)


def visit(block: Block, given: Mapping[Ref, Strides], above: str, into: list[Tap]) -> dict[Ref, Strides]:
    """Enters the values of a block, and gives how each lies on the input of the model."""
    found = dict(given)
    ends: dict[str, list[str]] = {}  # the groups that a node is the last of, innermost first
    last = {group: node.name for node in block.nodes for group in around(node.name) if group in block.groups}
    for group, name in reversed(last.items()):
        ends.setdefault(name, []).append(group)
    for node in block.nodes:
        path = f"{above}{node.name}"
        if isinstance(node.op, Block):
            pairs = zip(node.op.inputs, node.inputs, strict=True)
            given = {name: found[ref] for name, ref in pairs if ref is not None}
            results = visit(node.op, given, f"{path}.", into)
            for output, value in node.op.outputs.items():
                found.setdefault(node.name, results[value.ref])
                found[f"{node.name}@{output}"] = results[value.ref]
        elif isinstance(node.op, Skip):
            found[node.name] = found[node.inputs[0]] if node.inputs[0] is not None else {}
        else:
            types = [None if ref is None else block.typed(ref) for ref in node.inputs]
            sources = [{} if ref is None else found[ref] for ref in node.inputs]
            found[node.name] = strides(node.op, types, sources, node.type)
            for part, type_ in node.parts.items():
                found[f"{node.name}@{part}"] = strides(node.op, types, sources, type_)
        if node.parts:
            into += (
                Tap(f"{path}.{part}", what(node), type_, found[f"{node.name}@{part}"])
                for part, type_ in node.parts.items()
            )
            continue
        into.append(Tap(path, what(node), node.type, found[node.name]))
        into += (
            Tap(f"{above}{group}", f"= {above}{node.name}", node.type, found[node.name])
            for group in ends.get(node.name, ())
        )
    return found


def around(name: str) -> Iterator[str]:
    """`layer4`, `layer4.2` for `layer4.2.1`: what may be a group that holds it, widest first."""
    parts = name.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts)))


def strides(
    op: Op, types: Sequence[Tensor | None], sources: Sequence[Strides], out: Tensor
) -> dict[str, Fraction]:
    """How far apart the places of a result lie on the input, by axis, as far as that can be followed."""
    places: Mapping[str, Places] = op.places(*types) if types else {}
    found = {}
    for axis in out.axes:
        if axis == CHANNEL and axis not in places:
            continue
        if axis in places:
            lies = places[axis]
            if lies.axis in sources[0]:
                found[axis] = sources[0][lies.axis] * Fraction(lies.steps, lies.of)
        else:
            source = next((s for s in sources if axis in s), None)
            if source is not None:
                found[axis] = source[axis]
    return found


def listing(found: Sequence[Tap]) -> str:
    """The taps as a table of text."""
    return "\n".join(laid([HEADINGS, *(tap.cells() for tap in found)], 3)) + "\n"
