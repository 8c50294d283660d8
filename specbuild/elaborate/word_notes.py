"""Notes on what ops call differently or do differently by default: the width of the output, and padding."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.diagnostics.errors import Location
from specbuild.elaborate.notes import SpecNote
from specbuild.expressions import concrete
from specbuild.frontend.document import Spec
from specbuild.ir.graph import Block, Node, distinct_blocks
from specbuild.ops.pool import AvgPool, MaxPool


def width_notes(spec: Spec) -> list[SpecNote]:
    """Return a note for each kind of op whose width goes by the word of another op."""
    places = {spec.source.key_location(path): path for path in spec.source.other_words}
    notes: dict[tuple[object, str], SpecNote] = {}
    for location in sorted(places, key=lambda place: (place.line, place.column)):
        op, word = places[location][-2:]
        written = spec.source.other_words[places[location]]
        message = f"{op} calls the width of its output {word!r}; {written!r} means the same here"
        notes.setdefault((op, written), SpecNote(message, location))
    return list(notes.values())


def padding_notes(spec: Spec, graph: Block) -> list[SpecNote]:
    """Return a note for each pooling without `padding` whose windows overlap: `conv` would keep the border."""
    notes: dict[Location, SpecNote] = {}
    for block in distinct_blocks(graph):
        for node in block.nodes:
            if node.at.source is spec.source and (message := describe_lost_border(node, block)):
                notes.setdefault(node.at.location, SpecNote(message, node.at.location))
    return list(notes.values())


def describe_lost_border(node: Node, block: Block) -> str:
    """Return the text of the note, for the first axis that `same` would leave longer; else an empty text."""
    step, source = node.at.read_value(), node.inputs[0] if node.inputs else None
    if not isinstance(node.op, MaxPool | AvgPool) or source is None or not isinstance(step, Mapping):
        return ""
    body = step.get(node.op.name)
    if not isinstance(body, Mapping) or {"padding", "ceil_mode"} & body.keys():
        return ""
    x = block.value_type(source)
    window = node.op.sliding_window(x)
    for axis, kernel, stride in zip(window.axes, window.kernel, window.stride, strict=True):
        size, short = concrete(x[axis]), concrete(node.type[axis])
        full = -(-size // concrete(stride))
        if concrete(stride) < concrete(kernel) and short < full:
            return (
                f"{node.op.name} pads nothing by default, unlike conv: {axis} goes from {size} to {short}; "
                f"`padding: same` gives {full}, and `padding: 0` says that this is meant"
            )
    return ""
