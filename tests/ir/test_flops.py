"""Counts against PyTorch's own: every parameter, and the flops that its counter sees in the emitted model.

A multiply-add is two flops. The models run on PyTorch's meta device, where nothing is computed, and where a fused op
shows as the products that it is made of. There all agrees to the last digit: every spec, every backbone, every row of
tests/backends/ops. Where the two count otherwise, it is told here:

| what | PyTorch | specbuild |
|---|---|---|
| products that are not summed, sums, norms, activations, pooling, resizing | none | none: elementwise work |
| `lstm` on a CPU (`mkldnn_rnn_layer`) | none: its counter does not know the fused op | as on every other device |
| `attention` with heads on a CPU (`_scaled_dot_product_flash_attention_for_cpu`) | none, for the same reason | the same everywhere |
| `attention` with `causal` | the whole square of scores | the whole square |
| recurrent layers with `lengths` or `mask` | cannot be counted without data: parameters only | all steps |
| `contract` of more than two values | two at a time, as emitted | two at a time, in the order written |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from specbuild import backends
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.ir.cost import model_cost
from specbuild.ir.graph import Block
from tests.backends.test_op_parity import CASES, text

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
BACKBONES = ROOT / "specbuild" / "library" / "backbones"
READ = (
    "convnext",
    "mobilenet_v2",
    "resnet",
    "swin",
    "vit",
    "xception",
    "densenet",
    "mobilenet_v3",
    "poolformer",
)
SPECS = sorted([*(ROOT / "specs").glob("*.yaml"), *(BACKBONES / f"{name}.yaml" for name in READ)])
VARIANTS = (("resnet", "resnet18"), ("resnet", "resnext50_32x4d"), ("vit", "vit_b_32"))

TYPES = {"float": torch.float32, "int32": torch.int64, "bool": torch.bool}


def counted(model: Block, device: str = "meta") -> tuple[int, int]:
    """The parameters and the flops of one sample, as PyTorch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    scope: dict[str, Any] = {}
    exec(compile_source(model, "torch"), scope)
    natural = backends.load_backend("torch").natural_order
    with torch.device(device):
        net = scope[model.name]().eval()
        inputs = [
            torch.zeros(1, *(int(x[axis]) for axis in natural(x)), dtype=TYPES[x.dtype])
            for x in model.inputs.values()
        ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(*inputs)
    return sum(p.numel() for p in net.parameters()), counter.get_total_flops()


def counted_parameters(model: Block) -> int:
    scope: dict[str, Any] = {}
    exec(compile_source(model, "torch"), scope)
    return sum(parameter.numel() for parameter in scope[model.name]().parameters())


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_spec(path: Path) -> None:
    model = build_graph(path)
    found = model_cost(model)
    assert (found.parameters, 2 * found.macs) == counted(model)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_variants(name: str, variant: str) -> None:
    model = build_graph(BACKBONES / f"{name}.yaml", variant=variant)
    found = model_cost(model)
    assert (found.parameters, 2 * found.macs) == counted(model)


@pytest.mark.slow
def test_every_op() -> None:
    """In one test: seven hundred rows, each a hundredth of a second."""
    other: dict[str, Any] = {}
    for name, case in CASES.items():
        model = build_graph(text(*case))
        found = model_cost(model)
        if "pack_padded_sequence(" in compile_source(model, "torch"):  # it reads the lengths
            expected, seen = found.parameters, counted_parameters(model)
        else:
            expected, seen = (found.parameters, 2 * found.macs), counted(model)
        if expected != seen:
            other[name] = (expected, seen)
    assert not other


@pytest.mark.parametrize(
    ("steps", "macs"),
    [
        ("- lstm: {units: 5}", 6 * 4 * 5 * (4 + 5)),  # steps, gates, units, what each gate reads
        (
            "- unflatten: {into: {heads: 2, C: -1}}\n  as: h\n- attention: {query: h, key: h, value: h}",
            2 * 6 * 6 * (2 + 2),
        ),  # heads, scores, features of keys and values
    ],
)
def test_what_is_unseen_on_a_cpu(steps: str, macs: int) -> None:
    """If this fails, PyTorch has learned to count them there: the table above can do without a line."""
    model = build_graph(text("{x: {T: 6, C: 4}}", steps))
    assert model_cost(model).macs == macs
    assert counted(model)[1] == 2 * macs
    assert counted(model, "cpu")[1] == 0


@pytest.mark.parametrize(
    ("steps", "macs"),
    [
        ("- contract: [a, c]", 0),  # an outer product sums nothing
        ("- contract: {of: [a, c], over: T}", 4 * 3 * 2),
        ("- contract: {of: [a, c, e], over: [T, K]}", 4 * 3 * 2 + 3 * 2 * 5),
        ("- contract: {of: [c, e, a], over: [T, K]}", 4 * 2 * 5 + 4 * 3 * 5),
    ],
)
def test_contractions(steps: str, macs: int) -> None:
    """The order in which three values are multiplied is the author's, and changes the work."""
    model = build_graph(text("{a: {T: 4, C: 3}, c: {T: 4, K: 2}, e: {K: 2, S: 5}}", steps))
    assert model_cost(model).macs == macs
    assert counted(model)[1] == 2 * macs
