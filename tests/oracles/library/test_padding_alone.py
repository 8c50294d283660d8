"""Blocks of the library that take a mask, on a sample that is all padding: finite numbers, in both frameworks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.frontend.block_inputs import declared_axes, declared_dtype
from specbuild.frontend.document import BlockDef
from specbuild.frontend.editor_schema import library_blocks
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import random_values
from tests.parity_runner import ParityOf

SIZES = {"T": 5, "S": 5, "C": 8, "H": 4, "W": 4}
PARAMS = {"heads": 2, "features": 8, "key_features": 8, "units": 8, "kv_heads": 1, "hidden": 8}
MASKED = {
    name: block
    for name, block in library_blocks().items()
    if block.model is None and any(declared_dtype(raw) == "bool" for raw in block.inputs.values())
}
# What a sample gives that has nothing to look at: 0 where the block is a mean, else what the rest of it makes of 0.
MEANS = {
    "SequenceMean": ("mean",),
    "AttentionMean": ("",),
    "MultipleInstanceAttention": ("",),
    "GatedMultipleInstanceAttention": ("",),
    "AdditiveAttention": ("context", "share"),
    "ContextAttention": ("mean", "share"),
    "WeightedAverage": ("mean", "share"),
    "TopDownAttention": ("found", "share"),
    "MaskedSoftmax": ("",),
}


def masked_text(name: str, mask: str = "") -> str:
    """Return a model of a block with all its inputs; `mask` is a step that makes the masks in place of inputs."""
    block: BlockDef = MASKED[name]
    inputs, steps, sources = {}, "", {}
    for given, raw in block.inputs.items():
        axes = {axis: SIZES[axis] for axis in declared_axes(raw) or ["T", "C"] if axis != "..."}
        is_mask = declared_dtype(raw) == "bool"
        inputs[given] = f"{{axes: {axes}, dtype: bool}}" if is_mask and not mask else str(axes)
        sources[given] = given
        if is_mask and mask:
            steps += f"  - {mask}\n    from: {given}\n    as: no_{given}\n"
            sources[given] = f"no_{given}"
    arguments = {k: v for k, v in PARAMS.items() if k in block.params}
    outputs = [*block.outputs] if isinstance(block.outputs, dict) else [""]
    named = {out or "y": f"block.{out}" if out else "block" for out in outputs}
    declared = "".join(f"  {given}: {text}\n" for given, text in inputs.items())
    text = f"specbuild: 1\nmodel: Net\ninputs:\n{declared}steps:\n{steps}"
    text += f"  - {name}: {arguments}\n    from: {sources}\n    as: block\noutputs: {named}\n"
    return text.replace("'", "")


def run_masked(name: str, masks: Any) -> dict[str, torch.Tensor]:
    """Return the outputs of a block, and the gradients of its inputs, for three samples with these masks."""
    torch.manual_seed(0)
    text = masked_text(name)
    model = load(text)
    net = model.build("torch").double().eval()
    shapes = [(3, *x.sizes.values()) for x in build_graph(text).inputs.values()]
    values = [x.double().detach().requires_grad_() for x in random_values(*shapes)]
    given = []
    for x, declared in zip(values, build_graph(text).inputs.values(), strict=True):
        given.append(masks(x.shape) if declared.dtype == "bool" else x)
    found = net(*given)
    found = dict(found._asdict()) if hasattr(found, "_asdict") else found
    named = [*MASKED[name].outputs] if isinstance(MASKED[name].outputs, dict) else [""]
    outputs = dict(zip(named, (found,) if isinstance(found, torch.Tensor) else found, strict=True))
    sum(y.square().sum() for y in outputs.values()).backward()  # type: ignore[union-attr]
    gradients = {f"d{i}": x.grad for i, x in enumerate(values) if x.grad is not None}
    gradients |= {n: p.grad for n, p in net.named_parameters() if p.grad is not None}
    return outputs | gradients  # type: ignore[return-value]


def padding_in_the_last(shape: tuple[int, ...]) -> torch.Tensor:
    mask = torch.ones(shape, dtype=torch.bool)
    mask[1, ..., 3:] = False
    mask[2] = False
    return mask


@pytest.mark.parametrize("name", MASKED)
def test_a_sample_that_is_all_padding_gives_numbers(name: str) -> None:
    found = run_masked(name, padding_in_the_last)
    assert found
    for key, value in found.items():
        assert value.isfinite().all(), key
    for output in MEANS.get(name, ()):
        assert (found[output][2] == 0).all() and (found[output][:2] != 0).any()


@pytest.mark.parametrize("name", ["SequenceMean", "AttentionMean", "GraphAttention", "DynamicGraphAttention"])
def test_padding_beside_steps_does_not_count(name: str) -> None:
    """What stands at masked steps changes nothing: the mean is that of the steps before."""
    full = run_masked(name, lambda shape: torch.ones(shape, dtype=torch.bool))
    part = run_masked(name, padding_in_the_last)
    first = next(iter(full))
    torch.testing.assert_close(full[first][0], part[first][0])
    assert not torch.equal(full[first][1], part[first][1])


def empty_mask_case(name: str) -> ParityCase:
    text = masked_text(name, "compare: {test: greater, value: 1000000000}")
    return ParityCase(name, build_graph(text), dtype="float64", modes=("forward", "gradients"))


@pytest.mark.parametrize("name", MASKED)
def test_both_frameworks_agree_on_padding_alone(name: str, parity_of: ParityOf) -> None:
    report = parity_of(empty_mask_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)
