"""Every constructor argument of an emitted file builds what the spec describes at its value, or is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from specbuild import load
from specbuild.compiler.pipeline import elaborate_model, open_spec
from specbuild.ir.graph import Block
from tests.system.arguments.sweep import Trial, sweep
from tests.system.smaller import smaller

ROOT = Path(__file__).parents[2]
SPECS = Path(__file__).parent / "arguments" / "specs"
OWN = sorted(SPECS.glob("*.yaml"))
LIBRARY = ROOT / "specbuild" / "library"
MODELS = sorted([*(ROOT / "specs").glob("*.yaml"), *(LIBRARY / "models").glob("*.yaml")])
IN_KERAS = [
    LIBRARY / "backbones" / "mobileone.yaml",
    LIBRARY / "backbones" / "swin.yaml",
    LIBRARY / "models" / "detr.yaml",
]
QUICK = [
    ROOT / "specs" / f"{name}.yaml"
    for name in ("additive_feature_fusion", "face_recognition_spatial_attention")
]


def trials(path: Path, backend: str, sample: int | None = None) -> list[Trial]:
    spec, files = open_spec(path)
    small = smaller(path)

    def elaborate_with(changed: Mapping[str, Any]) -> Block:
        return elaborate_model(spec, files, {**small, **changed}).graph

    return list(sweep(elaborate_model(spec, files, small), elaborate_with, backend, sample=sample))


@pytest.mark.parametrize("path", [*OWN, *QUICK], ids=lambda p: p.stem)
def test_torch(path: Path) -> None:
    found = trials(path, "torch")
    assert sum(trial.outcome == "same" for trial in found) >= 5
    assert not any(trial.outcome.startswith("not tried:") for trial in found)
    assert [trial for trial in found if not trial.is_right] == []


@pytest.mark.parametrize(
    "path",
    [p if p.stem == "heads" else pytest.param(p, marks=pytest.mark.slow) for p in OWN],
    ids=lambda p: p.stem,
)
def test_keras(path: Path) -> None:
    """A sample: each trial builds two models, which takes Keras about a second."""
    assert [trial for trial in trials(path, "keras", sample=6) if not trial.is_right] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", MODELS[::4], ids=lambda p: p.stem)
def test_every_fourth_model_in_torch(path: Path) -> None:
    """`python -m tests.system.arguments torch specs/*.yaml ...` tries all of them."""
    assert [trial for trial in trials(path, "torch", sample=2) if not trial.is_right] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", IN_KERAS, ids=lambda p: p.stem)
def test_models_in_keras(path: Path) -> None:
    assert [trial for trial in trials(path, "keras", sample=1) if not trial.is_right] == []


def test_a_number_that_decides_between_members_of_a_repeat_is_no_argument() -> None:
    source = load(SPECS / "down.yaml").source("torch")  # `channels if i == times - 1 else x.C`, with times: 1
    assert "times" not in source and re.search(
        r"class Down.*?in_channels: int, channels: int\)", source, re.S
    )


def test_a_number_that_follows_a_parameter_is_the_parameter() -> None:
    source = load(SPECS / "mask.yaml").source("torch")
    assert "self.mask = Mask(window)" in source


@pytest.mark.parametrize(
    ("backend", "condition", "subject"),
    [
        # an empty first stage passes its input on: its blocks would be alike
        ("torch", "depths[1] < 1", "depths[1]"),
        ("keras", "min(depths) < 1", "every item of depths"),  # which has no row without layers
    ],
)
def test_depths_for_which_a_file_has_no_code_are_refused(backend: str, condition: str, subject: str) -> None:
    source = load(SPECS / "staged.yaml").source(backend)
    message = f'raise ValueError("{subject} must be at least 1")'
    assert re.search(rf"if {re.escape(condition)}:\s+{re.escape(message)}", source)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_heads_that_do_not_divide_the_channels_are_refused(backend: str) -> None:
    source = load(SPECS / "heads.yaml").source(backend)
    assert re.search(
        r'if in_channels % (self\.)?heads:\s+raise ValueError\("in_channels must be divisible by', source
    )
    assert "16 % window" not in load(SPECS / "mask.yaml").source(backend)  # inputs may have other sizes
