"""Where an axis of a result has its positions and its size from, for the cases of all ops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.expressions import concrete
from specbuild.ir.graph import walk_ops
from specbuild.ops import Op
from specbuild.ops.types import TensorType
from specbuild.runtimes.live_model import import_source
from tests.backends.test_op_parity import CASES, text


def op_steps() -> Iterator[tuple[str, Op, list[TensorType | None], TensorType]]:
    for name, case in CASES.items():
        for _, node, block in walk_ops(build_graph(text(*case))):
            if isinstance(node.op, Op) and not node.parts:
                types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
                yield name, node.op, types, node.type


@pytest.mark.slow
def test_an_axis_is_as_long_as_the_one_it_comes_from() -> None:
    """An op that shortens an axis does not say that the size is that of its input."""
    wrong, count = [], 0
    for name, op, types, out in op_steps():
        for axis in out.axes:
            source = op.size_source(axis, *types)
            if source is None or source.merged_axes or source.offset:
                continue
            given, own = types[source.input], source.axis or axis
            count += 1
            if given is not None and own in given and concrete(given[own]) not in (1, concrete(out[axis])):
                wrong.append((name, op.name, axis))
    assert count > 1_000 and not wrong


def test_an_axis_of_gated_halves_that_goes_into_the_batch() -> None:
    """It was read as that of the input, which is twice as long."""
    spec = "specbuild: 1\nmodel: Net\ninputs: {y: {W: 4, H: 4, C: 1}}\nsteps:\n- glu: {over: W}\n"
    model = load(spec + "- max_pool: {kernel: 3, stride: 1, over: H, padding: valid}\n")
    net = import_source(model.source("torch"), "halves").Net()
    assert net(torch.zeros(5, 1, 4, 4)).shape == (5, 1, 2, 2)
