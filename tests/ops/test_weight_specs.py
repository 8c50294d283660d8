"""An op is one definition: no code outside of ops and backends knows the names of its weights."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from specbuild import load
from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.compiler.parameter_groups import trainable_tensors
from specbuild.compiler.pipeline import build_graph
from specbuild.compiler.weight_locations import from_framework, locate_weights, to_framework
from specbuild.frontend.source import Source
from specbuild.ir.graph import walk_ops
from specbuild.ops import OPS, Op
from specbuild.ops.base import list_attributes, register_op
from specbuild.ops.initializers import Init, InitKind
from specbuild.ops.norm import RmsNorm
from specbuild.ops.types import TensorType
from specbuild.ops.weight_spec import UniformValues, WeightSpec
from specbuild.parity.case import ParityCase
from specbuild.parity.random_data import draw_weight
from specbuild.weights.initial import initialize_weights
from tests.backends.test_op_parity import CASES, text
from tests.parity_runner import ParityOf

ROOT = Path(__file__).parents[2] / "specbuild"
NET = """
specbuild: 1
model: Net
inputs: {image: {C: 4, T: 6}}
steps:
  - linear: {features: 8}
    as: widen
  - gain_norm:
    as: norm
  - linear: {features: 3}
    as: head
"""

# ------------------------------------------------------------------------------------------ an op of a test


@pytest.fixture
def gain_norm() -> Iterator[type[Op]]:
    """An op whose weight has a name that no other op has, with writers for all backends."""

    @register_op("norm")
    class GainNorm(RmsNorm):
        """Root mean square normalisation with a gain."""

        def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
            axes = {axis: x[axis] for axis in self.over}
            return {"gain": WeightSpec(axes, init=Init("constant", (0.5,)), random=UniformValues(2.0, 3.0))}

    def emit(backend: str, op: GainNorm, x: Operand, out: TensorType) -> LoweringResult:
        result = load_backend(backend).writers[RmsNorm](op, x, out=out)
        return replace(result, weights={"gain": result.weights["scale"]})

    for name in BACKEND_NAMES:
        load_backend(name).emits(GainNorm)(lambda op, x, out, name=name: emit(name, op, x, out))
    yield GainNorm
    for name in BACKEND_NAMES:
        del load_backend(name).writers[GainNorm]
    del OPS["gain_norm"]


@pytest.mark.parametrize("backend", BACKEND_NAMES)
def test_weights_of_a_new_op(gain_norm: type[Op], backend: str) -> None:
    model = load(NET)
    weights = locate_weights(model.graph, backend)
    [gain] = [weight for weight in weights if weight.name == "gain"]
    assert (gain.path, gain.shape, gain.is_trainable, gain.decays) == ("norm.gain", (8,), True, False)

    initial = initialize_weights(weights)
    np.testing.assert_array_equal(initial["norm.gain"], np.full(8, 0.5, "float32"))
    back = from_framework(weights, to_framework(weights, initial))
    np.testing.assert_array_equal(back["norm.gain"], initial["norm.gain"])

    random = draw_weight(gain, np.random.default_rng(0))
    assert 2 <= random.min() < random.max() <= 3

    [tensor] = [t for t in trainable_tensors(model.graph, backend) if t.paths == ("norm.gain",)]
    assert (tensor.count, tensor.decays, tensor.layers_after) == (8, False, 1)


def test_summary_of_a_new_op(gain_norm: type[Op]) -> None:
    model = load(NET)
    assert model.parameters == (4 + 1) * 8 + 8 + (8 + 1) * 3
    assert "gain_norm" in model.summary()


def test_parity_of_a_new_op(gain_norm: type[Op], parity_of: ParityOf) -> None:
    def gain_case() -> ParityCase:
        return ParityCase("gain", build_graph(NET), dtype="float64")

    report = parity_of(gain_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


# -------------------------------------------------------------------------------------- names of weights

# Texts that are also names of weights, but mean something else, by file.
OTHER_MEANINGS = {
    "frontend/schema/op_schema.py": {"kernel"},  # an attribute
    "frontend/schema/phrases.py": {"kernel", "mean"},  # an attribute, and an op
    "importing/first_difference.py": {"value"},  # what a step gives
    "cli/parity_output.py": {"value"},  # a key of a JSON report
    "cli/weights.py": {"mean"},  # a column of statistics
    "weights/adapt_options.py": {"mean"},  # a mode
    "weights/input_channels.py": {"mean"},  # the same mode
    "runtimes/switches.py": {"value"},  # a key of a JSON report
    "parity/probe_plan.py": {"value"},  # a kind of mark
    "codegen/statements.py": {"value"},  # the same kind of mark
    "codegen/merge_code.py": {"kernel"},  # an argument of layers
    "compiler/keras_weights_loader.py": {"value"},  # emitted code
    "diagram/captions.py": {"kernel"},  # an attribute
    "importing/pytorch/attention_pattern.py": {
        "scale",
        "value",
        "bias",
    },  # an op, an attribute, inputs of `attention`
    "importing/block_plan.py": {"kernel"},  # an attribute
    "importing/broadcasting.py": {"scale"},  # an op
    "importing/relations.py": {"kernel", "scale", "shift"},  # attributes
    "importing/slicing.py": {"value"},  # an attribute
    "importing/model_params.py": {"shift"},  # an argument of windows in people's code
    "importing/spec_text.py": {"bias", "kernel"},  # the role of a table, an attribute
    "importing/step_patterns.py": {"mean", "scale"},  # ops
    "importing/tables.py": {"value"},  # an attribute
    "importing/rewrites.py": {"mean", "scale", "value"},  # ops, an attribute
    "importing/ultralytics.py": {"kernel"},  # an attribute
    "importing/windows.py": {"kernel"},  # an attribute
    "frontend/foreign_names.py": {"bias", "kernel", "mean", "scale", "slope"},  # ops and attributes
    "frontend/foreign_steps.py": {"kernel"},  # an attribute
    "codegen/lowered_steps.py": {"value"},  # an argument of an initializer
}
# Here are names of weights, and they are meant: those of a framework's own layers, which are read from a live model.
READERS_OF_LAYERS = ("importing/pytorch/handlers/", "importing/keras/")


def weight_names() -> set[str]:
    """The names of the weights of all ops, found in the rows of `tests/backends/ops` for ops with weights."""
    with_weights = {op.name for op in OPS.values() if op.weight_specs is not Op.weight_specs}
    names = set()
    for case in CASES.values():
        if with_weights.isdisjoint(re.findall(r"\w+", case[1])):
            continue
        for _, node, block in walk_ops(build_graph(text(*case))):
            if isinstance(node.op, Op):
                types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
                names |= set(node.op.weight_specs(*types))
    return names


def test_an_initializer_names_its_weight() -> None:
    """Each attribute with initial values says which weight gets them, and that weight gets them."""
    declared = {
        (op.name, name)
        for op in OPS.values()
        for name, attribute in list_attributes(op).items()
        if isinstance(attribute.kind, InitKind)
    }
    init, unchecked = Init("normal", (0.123,)), set(declared)
    for inputs, steps in CASES.values():
        if not any(name in steps for name, _ in unchecked):
            continue
        for _, node, block in walk_ops(build_graph(Source(text(inputs, steps)))):
            assert isinstance(node.op, Op)
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            for name, attribute in list_attributes(type(node.op)).items():
                if isinstance(attribute.kind, InitKind):
                    weights = dataclasses.replace(node.op, **{name: init}).weight_specs(*types)
                    if attribute.kind.weight in weights:
                        assert weights[attribute.kind.weight].init == init, f"{node.op.name}: {name}"
                        unchecked.discard((node.op.name, name))
    assert declared and not unchecked


@pytest.mark.slow
def test_no_other_code_knows_names_of_weights() -> None:
    names = weight_names()
    assert names >= {"kernel", "bias", "backward_kernel", "scale", "shift", "variance", "slope", "value"}
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        if not file.startswith(("ops/", "backends/", *READERS_OF_LAYERS)):
            constants = (
                n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Constant)
            )
            texts = {n.value for n in constants if isinstance(n.value, str)}
            if used := texts & names - OTHER_MEANINGS.get(file, set()):
                found[file] = used
    assert not found
