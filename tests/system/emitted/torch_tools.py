"""Run as a program: what PyTorch's own tools make of every emitted file; failures are printed as JSON.

`torch_tools.py JOBS [TOOL ...]`: without names, every tool that costs little.
"""

from __future__ import annotations

import copy
import io
import json
import pickle
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.system.emitted.torch_checks import inputs, tensors
from tests.torchvision_operators import operators_of_torchvision

torch.set_num_threads(1)


class Subject:
    """An emitted model with inputs and, in evaluation, its outputs."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.module = types.ModuleType(f"emitted_{job['name']}")
        sys.modules[self.module.__name__] = self.module  # for pickle
        exec(compile(Path(job["torch"]).read_text(), job["torch"], "exec"), self.module.__dict__)
        self.xs = inputs(job)
        self.model = self.made().eval()
        self.ys = self.run(self.model)

    def made(self) -> nn.Module:
        torch.manual_seed(0)
        model = getattr(self.module, self.job["model"])()
        assert isinstance(model, nn.Module)
        return model

    def run(self, model: Callable[..., Any], xs: list[torch.Tensor] | None = None) -> list[torch.Tensor]:
        with torch.no_grad():
            return tensors(model(*(self.xs if xs is None else xs)))

    def computes_the_same(self, model: Callable[..., Any]) -> None:
        for a, b in zip(self.ys, self.run(model), strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)


def reset_every_module(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()


def spoiled(model: nn.Module, device: str = "cpu") -> nn.Module:
    """The model of the meta device on a real one, with numbers that nobody takes for right ones."""
    model.to_empty(device=device)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(float("nan") if tensor.is_floating_point() else 0)
    return model


def from_meta(subject: Subject) -> None:
    """`to_empty`, `reset_parameters` of every module, then the weights."""
    with torch.device("meta"):
        model = subject.made()
    spoiled(model)
    reset_every_module(model)
    missing, unexpected = model.load_state_dict(subject.model.state_dict(), assign=True)
    assert not missing and not unexpected
    subject.computes_the_same(model.eval())


def reset_fills_all(subject: Subject) -> None:
    """After `reset_parameters` of every module, no number is left as it was."""
    model = spoiled(subject.made())
    reset_every_module(model)
    fixed = subject.job.get("given", [])  # numbers that come with the weights
    left = [
        name
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
        if tensor.is_floating_point() and not tensor.isfinite().all() and name not in fixed
    ]
    assert not left, left


def copies(subject: Subject) -> None:
    subject.computes_the_same(copy.deepcopy(subject.model))


def pickles(subject: Subject) -> None:
    subject.computes_the_same(pickle.loads(pickle.dumps(subject.model)))
    file = io.BytesIO()
    torch.save(subject.model, file)
    file.seek(0)
    subject.computes_the_same(torch.load(file, weights_only=False))


def channels_last(subject: Subject) -> None:
    ranks = {4: torch.channels_last, 5: torch.channels_last_3d}
    model = copy.deepcopy(subject.model).to(memory_format=torch.channels_last)
    xs = [x.to(memory_format=ranks[x.ndim]) if x.ndim in ranks else x for x in subject.xs]
    subject.computes_the_same(lambda *_: model(*xs))


def traced_by_fx(subject: Subject) -> None:
    for training in (False, True):
        model = subject.made().train(training)
        traced = torch.fx.symbolic_trace(model)
        if not training:
            subject.computes_the_same(traced)
            other = inputs(subject.job, 3)
            for a, b in zip(subject.run(model, other), subject.run(traced, other), strict=True):
                torch.testing.assert_close(a, b)
        else:
            subject.run(traced)


def feature_extractor(subject: Subject) -> None:
    operators_of_torchvision()
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    model = subject.made()
    names, _ = get_graph_node_names(model)
    extractor = create_feature_extractor(model, [names[-1]]).eval()
    subject.run(extractor)
    extractor.train()
    subject.run(extractor)


def sharded(subject: Subject) -> None:
    """FSDP2, on one process: each child, then the whole."""
    from torch.distributed.fsdp import fully_shard

    model = subject.made().eval()
    if not list(model.parameters()):
        return
    for child in model.children():
        if list(child.parameters()) and not isinstance(child, nn.ModuleList | nn.ModuleDict):
            fully_shard(child)
    fully_shard(model)
    subject.computes_the_same(model)


def sharded_from_meta(subject: Subject) -> None:
    from torch.distributed.fsdp import fully_shard

    with torch.device("meta"):
        model = subject.made().eval()
    if not list(model.parameters()):
        return
    fully_shard(model)
    model.to_empty(device="cpu")
    reset_every_module(model)
    assert all(y.isfinite().all() for y in subject.run(model) if y.is_floating_point()) or subject.job.get(
        "given"
    )


def in_parallel(subject: Subject) -> None:
    """DDP: two training steps, so that unused parameters are told."""
    model = subject.made().train()
    if not list(model.parameters()):
        return
    wrapped = nn.parallel.DistributedDataParallel(model)
    for _ in range(2):
        loss = sum(y.float().square().mean() for y in tensors(wrapped(*subject.xs)))
        loss.backward()  # type: ignore[union-attr]


def checkpointed(subject: Subject) -> None:
    """Activation checkpointing of every layer that the model has: the same gradients."""
    gradients = []
    for use in (False, True):
        model = subject.made().eval()
        if use:
            for child in model.children():
                called = child.forward
                child.forward = lambda *xs, called=called, **named: checkpoint(  # type: ignore[method-assign]
                    called, *xs, use_reentrant=False, **named
                )
        xs = [x.requires_grad_() if x.is_floating_point() else x for x in inputs(subject.job)]
        sum(y.float().square().mean() for y in tensors(model(*xs))).backward()  # type: ignore[union-attr]
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-5)


def in_bfloat16(subject: Subject) -> None:
    """Under autocast: a step with finite gradients; the whole model in bfloat16: an inference."""
    model = subject.made().train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(y.float().square().mean() for y in tensors(model(*subject.xs)))
    if list(model.parameters()):
        loss.backward()  # type: ignore[union-attr]
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    half = copy.deepcopy(subject.model).bfloat16()
    subject.run(half, [x.bfloat16() if x.is_floating_point() else x for x in subject.xs])


def exported(subject: Subject) -> None:
    """`torch.export` with any batch size, saved and loaded."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    xs = inputs(subject.job, 3)
    program = torch.export.export(subject.model, tuple(xs), dynamic_shapes=tuple({0: batch} for _ in xs))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    subject.computes_the_same(torch.export.load(file).module())


def exported_to_onnx(subject: Subject) -> None:
    import onnxruntime

    batch = torch.export.Dim("batch", min=1, max=1024)
    xs = inputs(subject.job, 3)
    shapes = tuple({0: batch} for _ in xs)
    program = torch.onnx.export(subject.model, tuple(xs), dynamo=True, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    given = {i.name: x.numpy() for i, x in zip(session.get_inputs(), subject.xs, strict=True)}
    for y, found in zip(subject.ys, session.run(None, given), strict=True):
        torch.testing.assert_close(torch.from_numpy(found), y, rtol=1e-3, atol=1e-4)


def compiled_by_inductor(subject: Subject) -> None:
    """`torch.compile(fullgraph=True)`: inference and a training step."""
    torch._dynamo.reset()
    torch._dynamo.config.allow_rnn = True
    subject.computes_the_same(torch.compile(subject.model, fullgraph=True))
    model = subject.made().train()
    if list(model.parameters()):
        sum(
            y.float().square().mean() for y in tensors(torch.compile(model, fullgraph=True)(*subject.xs))
        ).backward()  # type: ignore[union-attr]


def summarised_by_torchinfo(subject: Subject) -> None:
    import torchinfo

    found = torchinfo.summary(subject.made(), input_data=subject.xs, verbose=0, device="cpu")
    assert found.total_params == sum(p.numel() for p in subject.model.parameters())
    str(found)


Tool = Callable[[Subject], None]
CHEAP: tuple[Tool, ...] = (
    from_meta,
    reset_fills_all,
    copies,
    pickles,
    channels_last,
    traced_by_fx,
    feature_extractor,
    sharded,
    sharded_from_meta,
    in_parallel,
    checkpointed,
    in_bfloat16,
    exported,
)
COSTLY: tuple[Tool, ...] = (exported_to_onnx, compiled_by_inductor, summarised_by_torchinfo)


def main(jobs: Path, chosen: list[str]) -> None:
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    tools = [tool for tool in (*CHEAP, *COSTLY) if tool.__name__ in chosen] if chosen else CHEAP
    failures = {}
    for job in json.loads(jobs.read_text()):
        try:
            subject = Subject(job)
        except Exception as error:
            failures[f"{job['name']}: construction"] = f"{type(error).__name__}: {error}"[:600]
            continue
        for tool in tools:
            try:
                tool(subject)
            except Exception as error:  # every failure of every job is reported
                failures[f"{job['name']}: {tool.__name__}"] = f"{type(error).__name__}: {error}"[:600]
                print(
                    job["name"],
                    tool.__name__,
                    str(error)[:300].replace("\n", " "),
                    file=sys.stderr,
                    flush=True,
                )
        print(job["name"], file=sys.stderr, flush=True)
    dist.destroy_process_group()
    print("FAILURES " + json.dumps(failures))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
