"""Whole models: those of specs/, and a small one in tests/specs/ for each thing that the language can say."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.library import LIBRARY
from specbuild.frontend.source import Source
from specbuild.ir.graph import Block
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf
from tests.system.smaller import smaller

ROOT = Path(__file__).parents[1]
SYSTEMS = sorted((ROOT.parent / "specs").glob("*.yaml"))
LANGUAGE = sorted((ROOT / "specs").glob("*.yaml"))

Variant = tuple[Path, str | None]


def variants(paths: list[Path]) -> Iterator[Variant]:
    """Every model with its defaults, then each of its variants that changes something."""
    for path in paths:
        data = Source.read(path, path.name).data
        if "model" in data:
            yield path, None
            yield from ((path, name) for name, params in data.get("variants", {}).items() if params)


def label(case: Variant) -> str:
    path, variant = case
    return f"{path.stem}-{variant}" if variant else path.stem


CASES = {label(case): case for case in variants(SYSTEMS + LANGUAGE)}
FAMILIES = ("convnext", "mobilenet_v2", "resnet", "swin", "vit", "xception")
VARIANTS = ("resnet50", "seresnet50")  # the other ones differ from these only by numbers
BACKBONES = {
    label(case): case
    for case in variants([LIBRARY / "backbones" / f"{name}.yaml" for name in FAMILIES])
    if case[1] in (None, *VARIANTS)
}

# Small models, whose constructors are tried in the quick tests.
SMALL = ("additive_feature_fusion", "face_antispoof_fusion", "gated_classifier", "self_attention_fusion")
QUICK = [*map(label, variants(LANGUAGE)), *SMALL]
CONSTRUCTORS = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in [*CASES, *BACKBONES]
]

# Learned numbers, counted by hand from the layers' sizes.
STAGES = 3 * 9 * 32 + 32 * 9 * 64 + 64 * 9 * 128 + 2 * (32 + 64 + 128)  # three convolutions with their norms
XCEPTION = 20_861_480 - 54_528  # without top, as keras.applications counts it, less the running statistics
HEAD = 2 * 2048 + (2048 * 512 + 512) + (512 * 10 + 10)
ENCODERS = 5 * 9 * 16 + 3 * (16 * 9 * 32 + 32 * 9 * 64 + 2 * (16 + 32 + 64) + 64 * 128 + 128)
PARAMETERS = {
    "additive_feature_fusion": (64 * 64 + 64) + (128 * 64 + 64) + (64 * 64 + 64) + 64,
    "additive_feature_fusion-summed": (64 * 64 + 64) + (128 * 64 + 64) + (64 * 64 + 64),
    "behavior_net": 390_853,
    "conv1d_multihead_timeseries": (5 * 3 * 32 + 32) + 4 * (32 * 32 + 32) + 2 * 32 + (32 + 1),
    "face_antispoof_fusion": ENCODERS + 128 + (128 * 2 + 2),
    "face_antispoof_fusion-mean_query": ENCODERS + (128 * 2 + 2),
    "face_recognition_spatial_attention": 7 * 7 + STAGES - 2 * 9 * 32 + (128 * 9 * 256 + 2 * 256) + 256 * 128,
    "micro_expression_channel_attention": STAGES + (128 * 128 + 128) + (128 * 5 + 5),
    "micro_expression_channel_attention-squeezed": STAGES + (128 * 8 + 8 + 8 * 128 + 128) + (128 * 5 + 5),
    "micro_expression_self_attention": 3 * (64 * 128 + 128) + (128 * 64 + 64) + 2 * 64 + (64 * 5 + 5),
    "micro_expression_self_attention-weighted": 3 * (64 * 128 + 128)
    + (128 * 64 + 64)
    + 2 * 64
    + 64
    + (64 * 5 + 5),
    "micro_expression_spatial_attention": STAGES + (128 * 9 + 1) + (128 * 5 + 5),
    "micro_expression_spatial_attention-pooled": STAGES + 2 * 49 + (128 * 5 + 5),
    "multi_attention_xception": XCEPTION + 1_050_880 + 2 * 49 + 2048 + HEAD,
    "multi_attention_xception-faithful": XCEPTION + 1_050_880 + 2 * 24_336 + 2048 + HEAD,
    "self_attention_fusion": (512 + 256 + 136 + 3) * 128 + 3 * 128 * 128 + 2 * 128,
    "spatial_attention_net": 10_709_578,
    "spatial_attention_net-pooled": 10_706_318,
}

# How many permutes the files of PyTorch and of Keras need: heads beside the batch for PyTorch's attention (and channels
# before time for its convolution); the canonical order, channels first, where Keras flattens a map.
PERMUTES = {
    "additive_feature_fusion": (0, 0),
    "behavior_net": (0, 1),
    "conv1d_multihead_timeseries": (4 + 2, 0),
    "face_antispoof_fusion": (0, 0),
    "face_recognition_spatial_attention": (0, 0),
    "micro_expression_channel_attention": (0, 0),
    "micro_expression_self_attention": (4, 0),
    "micro_expression_spatial_attention": (0, 0),
    "multi_attention_xception": (0, 0),
    "self_attention_fusion": (0, 1),  # of the key, where the scores are multiplied out
    "spatial_attention_net": (0, 1),
}

# GELU's tanh form on small numbers: closer than what is allowed for it.
CLOSER = {"frozen": 1e-9, "residual": 1e-9, "words-fast": 1e-9}


def emitted(model: Block, backend: str) -> dict[str, Any]:
    """What an emitted file defines."""
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(compile_source(model, backend), f"{model.name}_{backend}.py", "exec"), scope)
    return scope


def on_meta(model: Block, **arguments: Any) -> nn.Module:
    """The PyTorch model without memory for its weights."""
    with torch.device("meta"):
        made = emitted(model, "torch")[model.name](**arguments)
    assert isinstance(made, nn.Module)
    return made


def system_case(name: str) -> ParityCase:
    path, variant = CASES[name]
    return ParityCase(name, build_graph(path, smaller(path), variant), batch=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_both_files_compute_the_same(name: str, parity_of: ParityOf) -> None:
    report = parity_of(system_case)
    assert not report.error, report.error
    assert report.worst_relative <= CLOSER.get(name, report.tolerance.fail_above), str(report)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    path, variant = CASES[name]
    model = on_meta(build_graph(path, variant=variant))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


def test_parameters_and_statistics_as_keras_counts_them() -> None:
    path, _ = CASES["multi_attention_xception"]
    held = on_meta(build_graph(path, variant="faithful")).state_dict()
    assert (
        sum(x.numel() for name, x in held.items() if not name.endswith("num_batches_tracked")) == 23_025_490
    )


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.slow
def test_formatter_and_linter_agree(backend: str, tmp_path: Path) -> None:
    for name, (path, variant) in CASES.items():
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(
            compile_source(build_graph(path, variant=variant), backend)
        )
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [name for name, (path, _) in CASES.items() if path.stem in PERMUTES])
def test_no_needless_permute(name: str) -> None:
    path, variant = CASES[name]
    texts = [compile_source(build_graph(path, variant=variant), backend) for backend in ("torch", "keras")]
    found = tuple(
        sum(text.count(word) for word in (".transpose(", ".permute(", ".movedim(", ".swapaxes("))
        for text in texts
    )
    assert found == PERMUTES[path.stem]


def others(value: Any) -> list[Any]:
    """Other values for a parameter; a spec may refuse some of them."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [2 * value, value + 1]
    if isinstance(value, tuple):
        return (
            [tuple(2 * v for v in value), (*value, value[-1])]
            if all(isinstance(v, int) for v in value)
            else []
        )
    return []


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructor_means_what_the_spec_means(name: str) -> None:
    """`Net(depth=5)` from the emitted file is the network that the spec describes with depth 5."""
    path, variant = (CASES | BACKBONES)[name]
    small = smaller(path)
    model = build_graph(path, small, variant)
    signature = inspect.signature(emitted(model, "torch")[model.name])
    for parameter in signature.parameters.values():
        for value in others(parameter.default):
            given = list(value) if isinstance(value, tuple) else value
            try:
                wanted = build_graph(path, {**small, parameter.name: given}, variant)
            except SpecError:
                continue
            told = f"{parameter.name}={value}"
            if isinstance(value, tuple) and len(value) > len(parameter.default):
                try:
                    found = on_meta(model, **{parameter.name: value})
                except ValueError as error:  # it would ignore the items that no step reads
                    assert "must have" in str(error), told
                    continue
            else:
                found = on_meta(model, **{parameter.name: value})
            expected = on_meta(wanted)
            assert repr(found) == repr(expected), told
            assert shapes(found) == shapes(expected), told


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(x.shape) for name, x in model.state_dict().items()}
