"""What an optimizer is told of each weight: whether it decays, and at what share of the rate it learns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from specbuild import load
from specbuild.api import Model
from specbuild.backends.parameter_groups import table_rows
from specbuild.cli import main
from specbuild.compiler.parameter_groups import (
    layer_levels,
    model_parts,
    optimizer_records,
    trainable_tensors,
)
from tests.compiler.grouped_keras import DECAY, LAYERS, RATE

ROOT = Path(__file__).parents[1]
SPECS = ROOT.parent / "specs"
BACKBONES = ROOT.parent / "specbuild" / "library" / "backbones"
GOLDEN = ROOT / "golden" / "gated_classifier"

FILES = {
    "GatedClassifier": SPECS / "gated_classifier.yaml",
    "VisualQuestionAnswering": SPECS / "visual_question_answering.yaml",  # embedding, recurrent
    "TwoStreamCrossAttention": SPECS / "two_stream_cross_attention.yaml",
    "AttentionAugmentedCNN": SPECS / "attention_augmented_cnn.yaml",  # tables within a block
    "Frozen": ROOT / "specs" / "frozen.yaml",
    "Pieces": ROOT / "specs" / "pieces.yaml",
    "Tied": ROOT / "specs" / "tied.yaml",
    "Table": ROOT / "specs" / "table.yaml",  # with nothing to train
    "ResNet": BACKBONES / "resnet.yaml",
    "SwinTransformer": BACKBONES / "swin.yaml",
    "VisionTransformer": BACKBONES / "vit.yaml",
}
IN_KERAS = ("GatedClassifier", "VisualQuestionAnswering", "Frozen", "Pieces", "AttentionAugmentedCNN")


@cache
def model(name: str) -> Model:
    return load(FILES[name], **({"depths": [1, 1, 3, 1]} if name == "SwinTransformer" else {}))


@cache
def text(name: str, backend: str) -> str:
    return model(name).source(backend, groups=True)


def in_torch(name: str) -> tuple[torch.nn.Module, list[dict[str, Any]]]:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(text(name, "torch"), f"{name}.py", "exec"), scope)
    with torch.device("meta"):
        net = scope[model(name).name]()
    return net, scope["parameter_groups"](net, RATE, DECAY, LAYERS)


def expected(name: str, framework: str) -> dict[str, tuple[float, float]]:
    found = optimizer_records(model(name).graph, LAYERS).values()
    return {r[framework]: (RATE * r["rate_scale"], DECAY if r["decay"] else 0.0) for r in found}


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_is_in_one_group(name: str) -> None:
    net, groups = in_torch(name)
    names = {id(p): path for path, p in net.named_parameters() if p.requires_grad}
    found = [(names[id(p)], (g["lr"], g["weight_decay"])) for g in groups for p in g["params"]]
    assert len(found) == len(names) and dict(found) == expected(name, "torch")
    assert len({(g["lr"], g["weight_decay"]) for g in groups}) == len(groups)
    if names:
        torch.optim.AdamW(groups)


@pytest.mark.parametrize("name", FILES)
def test_what_decays_are_kernels(name: str) -> None:
    """The rule that everybody knows, where the names of weights are free."""
    for one in trainable_tensors(model(name).graph, "torch"):
        ends = {path.rpartition(".")[2] for path in one.paths}
        assert one.decays == (ends <= {"kernel", "recurrent_kernel"})


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("groups")
    for name in IN_KERAS:
        (folder / f"{model(name).name}.py").write_text(text(name, "keras"))
    files = [str(folder / f"{model(name).name}.py") for name in IN_KERAS]
    command = [sys.executable, "-m", "tests.compiler.grouped_keras", *files]
    done = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", IN_KERAS)
@pytest.mark.slow
def test_the_same_groups_in_keras(name: str, keras: dict[str, Any]) -> None:
    found = [(path, (rate, decay)) for path, rate, decay in keras[model(name).name]]
    assert len(found) == len(dict(found)) and dict(found) == expected(name, "keras")


@pytest.mark.slow
def test_a_step_of_the_grouped_optimizer_is_that_of_pytorch(keras: dict[str, Any]) -> None:
    """Plain gradient descent with gradients of one: in both, each weight moves as its group says."""
    in_keras = keras["stepped"]
    for path, (rate, decay) in expected("GatedClassifier", "keras").items():
        before, after = in_keras[path]
        weight = torch.full((1,), before, requires_grad=True)
        weight.grad = torch.ones(1)
        torch.optim.SGD([weight], lr=rate, weight_decay=decay).step()
        assert after == pytest.approx(weight.item(), rel=1e-6)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_source(backend: str) -> None:
    golden = GOLDEN / f"{backend}_with_groups.py"
    source = text("GatedClassifier", backend)
    if os.environ.get("SPECBUILD_UPDATE"):
        golden.write_text(source, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == source


def test_files_are_clean(tmp_path: Path) -> None:
    """As the formatter writes them, and without a word from the linter."""
    for name in FILES:
        for backend in ("torch", "keras") if name in (*IN_KERAS, "Table") else ("torch",):
            (tmp_path / f"{name}_{backend}.py").write_text(text(name, backend))
    for command in (["format", "--check", "--diff"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def written(steps: str, outputs: str = "") -> str:
    head = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nsteps:\n"
    return head + "".join(f"  - {line}\n" for line in steps.split("\n")) + outputs


def layers(text: str) -> dict[str, int]:
    return {part.path: part.layers_after for part in model_parts(load(text).graph, "torch")}


def test_layers_are_counted_along_the_longest_way() -> None:
    side = "{linear: {features: 4}, as: a}\n{linear: {features: 4}, as: b}\n{linear: {features: 4}, from: x, as: c}"
    assert layers(written(f"{side}\nadd: [b, c]\n" + "{linear: {features: 2}, as: head}")) == {
        "a": 2,
        "b": 1,
        "c": 1,
        "head": 0,
    }
    # an output on the way is a head of its own, but what it reads is no nearer to the end
    assert layers(written(side, "outputs: {one: a, two: b, three: c}\n")) == {"a": 1, "b": 0, "c": 0}


def test_what_is_used_again_counts_from_its_first_use() -> None:
    steps = "{linear: {features: 4}, as: a}\n{linear: {features: 4}, as: b}\n{reuse: a, as: again}"
    assert layers(written(steps)) == {"a": 2, "b": 1}


def test_norms_and_tables_are_no_layers() -> None:
    steps = (
        "layer_norm: {over: C}\n{linear: {features: 4}, as: a}\n{layer_norm: {over: C}, as: norm}\n"
        "{weight: {axes: {C: 4}}, as: shift}\nadd: {of: [norm, shift], broadcast: true}\n"
        "{linear: {features: 2}, as: head}"
    )
    assert layers(written(steps)) == {"layer_norm": 2, "a": 1, "norm": 1, "shift": 1, "head": 0}


def test_a_model_in_a_model_is_looked_into() -> None:
    found = layers(
        "specbuild: 1\nmodel: Net\nimports: {ResNet: library:backbones/resnet.yaml}\n"
        "inputs: {image: {C: 3, H: 64, W: 64}}\nsteps:\n  - {ResNet: {variant: resnet18}, as: backbone}\n"
        "  - {mean: {over: [H, W]}, from: backbone.layer3}\n  - {linear: {features: 2}, as: head}\n"
    )
    assert found["head"] == 0 and found["backbone.layer3.1"] == 1 and found["backbone.conv1"] == 7
    assert "backbone.layer4.0" not in found  # not compiled


def test_rows_are_told_by_one_rule() -> None:
    found = table_rows(model_parts(load(BACKBONES / "mobilenet_v2.yaml").graph, "keras"))
    assert found == ['**{f"features/{i}": 19 - i for i in range(19)},', '"classifier": 0,']


def test_levels_count_every_number() -> None:
    found = layer_levels(model("VisionTransformer").graph)
    assert [level.layers_after for level in found] == list(range(13, -1, -1))
    assert (
        sum(level.decaying[1] + level.others[1] for level in found) == model("VisionTransformer").parameters
    )
    assert found[0].parts == ("patches", "class_token", "position")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(FILES["GatedClassifier"])
    assert main(["weights", "groups", spec, "--layer-decay", "0.5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["weights"]["head.bias"] == {
        "torch": "head.bias",
        "keras": "head/bias",
        "decay": False,
        "layers_after": 0,
        "rate_scale": 1.0,
    }
    assert main(["weights", "groups", spec]) == 0
    assert "GatedClassifier: " in capsys.readouterr().out
    target = tmp_path / "net.py"
    command = ["compile", spec, "-b", "torch", "-o", str(target), "--with-optimizer-groups"]
    assert main(command) == 0 and "def parameter_groups(" in target.read_text()
    assert main([*command, "--check"]) == 0
