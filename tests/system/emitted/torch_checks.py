"""Run as a program: every check of an emitted PyTorch file on every job; failures are printed as JSON."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

torch.set_num_threads(1)
torch._dynamo.config.allow_rnn = True  # off by default: PyTorch leaves LSTMs and GRUs out of its graphs


def made(job: dict[str, Any]) -> nn.Module:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(Path(job["torch"]).read_text(), job["torch"], "exec"), scope)
    torch.manual_seed(0)
    model = scope[job["model"]]()
    assert isinstance(model, nn.Module)
    return model


def inputs(job: dict[str, Any], batch: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(1)
    found = []
    for shape, dtype in job["torch_inputs"]:
        if dtype == "int32":
            found.append(torch.randint(0, 5, (batch, *shape), dtype=torch.int32))
        elif dtype == "bool":
            found.append(torch.rand(batch, *shape) < 0.8)
        else:
            found.append(torch.randn(batch, *shape))
    return found


def tensors(result: Any) -> list[torch.Tensor]:
    if isinstance(result, dict):
        return list(result.values())
    return list(result) if isinstance(result, tuple | list) else [result]


def other_batch_sizes(job: dict[str, Any]) -> None:
    model = made(job).eval()
    for batch in (1, 3):
        for y, shape in zip(tensors(model(*inputs(job, batch))), job["torch_outputs"], strict=True):
            assert list(y.shape) == [batch, *shape], f"{list(y.shape)} for {[batch, *shape]}"


def samples_do_not_meet(job: dict[str, Any]) -> None:
    """Inference on a batch is inference on each sample."""
    model = made(job).eval()
    xs = inputs(job, 3)
    whole = tensors(model(*xs))
    alone = tensors(model(*(x[1:2] for x in xs)))
    for a, b in zip(whole, alone, strict=True):
        torch.testing.assert_close(a[1:2], b, rtol=1e-3, atol=1e-4)


def compiles_whole(job: dict[str, Any]) -> None:
    model = made(job).eval()
    xs = inputs(job)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for a, b in zip(tensors(model(*xs)), tensors(compiled(*xs)), strict=True):
        torch.testing.assert_close(a, b)


def exports_with_any_batch(job: dict[str, Any]) -> None:
    model = made(job).eval()
    xs = inputs(job, 3)
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(model, tuple(xs), dynamic_shapes=tuple({0: batch} for _ in xs))
    other = inputs(job, 5)
    for a, b in zip(tensors(model(*other)), tensors(program.module()(*other)), strict=True):
        torch.testing.assert_close(a, b)


def made_on_meta(job: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = made(job)
    assert all(p.is_meta for p in model.parameters())
    ys = model.eval()(*(x.to("meta") for x in inputs(job)))
    for y, shape in zip(tensors(ys), job["torch_outputs"], strict=True):
        assert list(y.shape) == [2, *shape]


def every_parameter_learns(job: dict[str, Any]) -> None:
    """No dead parameter: they break distributed training."""
    model = made(job).train()
    if not list(model.parameters()):
        return
    sum(y.float().square().sum() for y in tensors(model(*inputs(job, 4)))).backward()  # type: ignore[union-attr]
    dead = [n for n, p in model.named_parameters() if p.grad is None]
    assert not dead, f"no gradient reaches {dead}"


def counts(job: dict[str, Any]) -> None:
    found = sum(p.numel() for p in made(job).parameters())
    assert found == job["torch_parameters"], f"{found} for {job['torch_parameters']}"


CHECKS: tuple[Callable[[dict[str, Any]], None], ...] = (
    counts,
    other_batch_sizes,
    samples_do_not_meet,
    made_on_meta,
    every_parameter_learns,
    compiles_whole,
    exports_with_any_batch,
)


def main() -> None:
    failures = {}
    for job in json.loads(Path(sys.argv[1]).read_text()):
        for check in CHECKS:
            try:
                check(job)
            except Exception as error:  # every failure of every job is reported
                failures[f"{job['name']}: {check.__name__}"] = (
                    f"{type(error).__name__}: {error}"[:600] or traceback.format_exc()
                )
    print("FAILURES " + json.dumps(failures))


if __name__ == "__main__":
    main()
