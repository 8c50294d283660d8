"""The loader in emitted Keras files: what it looks like, and that it fills every variable as it should."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from specbuild import load
from specbuild.codegen.printer import print_module
from specbuild.codegen.tree import Module
from specbuild.compiler.audit import AuditError, audit_source
from specbuild.compiler.compiled_model import compile_graph
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.compiler.weight_locations import locate_weights, to_framework
from specbuild.ir.graph import Block
from specbuild.weights.initial import initialize_weights
from tests.backends.test_op_parity import CASES, text

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "golden"
BACKBONES = ROOT / "specbuild" / "library" / "backbones"
# plain, repeated; sums and lists; depthwise
SHOWN = [
    ROOT / "specs" / "gated_classifier.yaml",
    ROOT / "specs" / "visual_question_answering.yaml",
    BACKBONES / "xception.yaml",
]
NAMES = "acmix_net conv1d_multihead_timeseries multi_attention_xception self_attention_fusion spatio_temporal_video"
SPECS = [ROOT / "specs" / f"{name}.yaml" for name in NAMES.split()]


@pytest.mark.parametrize("path", SHOWN, ids=lambda p: p.stem)
def test_source(path: Path) -> None:
    golden = GOLDEN / path.stem / "keras_with_loader.py"
    source = load(path).source("keras", loader=True)
    if os.environ.get("SPECBUILD_UPDATE"):
        golden.write_text(source, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == source


def test_files_are_clean(tmp_path: Path) -> None:
    """As the formatter writes them, and without a word from the linter."""
    cases = {name: CASES[name] for name in ("gru_bidirectional", "lstm", "prelu_channels") if name in CASES}
    sources = {path.stem: compile_source(build_graph(path), "keras", loader=True) for path in SHOWN}
    sources |= {
        name: compile_source(build_graph(text(*case)), "keras", loader=True) for name, case in cases.items()
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    for command in (["format", "--check", "--diff"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Variable:
    """What stands in for a variable of Keras."""

    def __init__(self, path: str, shape: tuple[int, ...]) -> None:
        self.path, self.shape, self.value = path, shape, np.empty(0)

    def assign(self, value: Any) -> None:
        assert tuple(value.shape) == self.shape
        self.value = value


def loaded(model: Block, values: Mapping[str, Any], whole: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the emitted loader makes of canonical weights, by the paths of variables."""
    module = compile_graph(model, "keras").add_loader(Module("", (), ()))
    source = print_module(replace(module, imports=()))
    keras = SimpleNamespace(Model=object, ops=np)
    scope: dict[str, Any] = {"keras": keras, "load_file": lambda path: dict(values)}
    exec(source, scope)
    variables = [
        Variable(k, v.shape) for k, v in to_framework(locate_weights(model, "keras"), whole or values).items()
    ]
    variables.append(Variable("drop/seed_generator/seed_generator_state", (2,)))
    scope["load_weights"](SimpleNamespace(weights=variables), "weights.safetensors")
    assert variables.pop().value.size == 0
    return {v.path: v.value for v in variables}


def same(model: Block, name: str) -> None:
    values = {
        k: v + np.arange(v.size).reshape(v.shape)
        for k, v in initialize_weights(locate_weights(model, "torch")).items()
    }
    wanted = to_framework(locate_weights(model, "keras"), values)
    found = loaded(model, values)
    assert set(found) == set(wanted)
    for path, value in wanted.items():
        np.testing.assert_allclose(found[path], value, rtol=1e-6, err_msg=f"{name}: {path}")


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_variable_of_a_spec_is_filled(path: Path) -> None:
    same(build_graph(path), path.stem)


@pytest.mark.slow
def test_every_variable_of_every_op_is_filled() -> None:
    count = 0
    for name, case in CASES.items():
        model = build_graph(text(*case))
        if locate_weights(model, "keras"):
            same(model, name)
            count += 1
    assert count > 100


def test_what_is_missing_or_left_over_is_named() -> None:
    model = build_graph(ROOT / "specs" / "gated_classifier.yaml")
    values = initialize_weights(locate_weights(model, "torch"))
    with pytest.raises(ValueError, match="the model has no other"):
        loaded(model, {**values, "other": np.zeros(1)})
    with pytest.raises(KeyError, match=r"head\.bias"):
        loaded(model, {k: v for k, v in values.items() if k != "head.bias"}, values)


def test_only_a_file_that_is_to_load_may_import_what_loads() -> None:
    source = compile_source(build_graph(ROOT / "specs" / "gated_classifier.yaml"), "keras", loader=True)
    audit_source(source, "keras", loader=True)
    with pytest.raises(AuditError, match=r"imports safetensors\.numpy\.load_file"):
        audit_source(source, "keras")
    for other in ("from safetensors.numpy import save_file", "import safetensors", "import numpy"):
        with pytest.raises(AuditError, match="imports"):
            audit_source(
                source.replace("from safetensors.numpy import load_file", other), "keras", loader=True
            )
