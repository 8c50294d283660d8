"""Imports in this process, and the comparison of what comes out with the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from specbuild.importing.importer import ImportedModel, import_trace
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.pytorch.recorder_worker import record_model
from specbuild.importing.pytorch.tensor_facts_worker import list_tensors
from specbuild.weights.published_names import convert_published_weights


def import_live(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    name: str = "Net",
    watch: ConstructorWatch | None = None,
    axes: Mapping[str, Sequence[str]] | None = None,
) -> ImportedModel:
    """Import a model that exists; the inputs have three samples."""
    trace, constants = record_model(model, dict(inputs), watch or ConstructorWatch())
    usual = {n: ("T",) if x.dtype == torch.long else READER.usual_axes[x.ndim - 1] for n, x in inputs.items()}
    return import_trace(READER, name, trace, constants, {**usual, **(axes or {})})


def fill(model: nn.Module, seed: int = 0) -> None:
    """Give every weight and statistic a number of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.3 + 0.1
            )
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)


def largest_difference(imported: ImportedModel, model: nn.Module, inputs: Sequence[Tensor]) -> float:
    """The largest relative difference of outputs, and of gradients of inputs and weights, on two other samples."""
    fill(model)
    model = model.double().eval()
    own = imported.model.build("torch").double().eval()
    state = {n: t.numpy() for n, t in model.state_dict().items()}
    if not imported.key_map.is_strict:
        state = convert_published_weights(imported.model.graph, READER.naming, state)
    else:
        state = {n: v for n, v in state.items() if n not in imported.key_map.ignored}
    own.load_state_dict({n: torch.from_numpy(v) for n, v in state.items()}, strict=True)
    generator = torch.Generator().manual_seed(1)
    pairs = []
    for x in inputs:
        shape = (2, *x.shape[1:])
        if x.is_floating_point():
            new = torch.randn(shape, generator=generator, dtype=torch.float64)
            pairs.append((new.clone().requires_grad_(True), new.clone().requires_grad_(True)))
        else:
            new = torch.randint(0, 5, shape, generator=generator)
            pairs.append((new, new))
    theirs, mine = (
        list(list_tensors(m(*xs))) for m, xs in ((model, [a for a, _ in pairs]), (own, [b for _, b in pairs]))
    )
    differences = [relative(a, b) for a, b in zip(theirs, mine, strict=True)]
    for outputs in (theirs, mine):
        if any(y.requires_grad for y in outputs):
            sum(
                (y * torch.arange(y.numel()).reshape(y.shape)).sum() for y in outputs if y.requires_grad
            ).backward()
    differences += [relative(a.grad, b.grad) for a, b in pairs if a.grad is not None and b.grad is not None]
    norms = [
        sum(float(p.grad.square().sum()) for p in m.parameters() if p.grad is not None) for m in (model, own)
    ]
    needed = [p.numel() for n, p in model.named_parameters() if n not in imported.key_map.ignored]
    assert sum(needed) == sum(p.numel() for p in own.parameters())
    return max([*differences, abs(norms[0] - norms[1]) / max(norms[0], 1e-30)])


def relative(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max() / a.abs().max().clamp_min(1e-30))
