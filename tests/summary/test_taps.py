"""Values inside a model that it gives besides its outputs, or instead of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from specbuild import load
from specbuild.api import Model
from specbuild.cli import main
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError

ROOT = Path(__file__).parents[1]
BACKBONES = ROOT.parent / "specbuild" / "library" / "backbones"
RESNET = BACKBONES / "resnet.yaml"

# Of each backbone a small one, and values of it that a neck reads.
FEATURES: dict[str, tuple[int, dict[str, Any], tuple[str, ...]]] = {
    "resnet": (
        64,
        {"variant": "resnet18", "depths": [1, 1, 2, 1]},
        ("layer1", "layer2", "layer3.0", "layer3.1.bn2", "layer4"),
    ),
    "mobilenet_v2": (
        64,
        {"width": 0.25},
        ("features.1", "features.3", "features.6", "features.13", "features"),
    ),
    "swin": (
        56,
        {"height": 56, "width": 56, "features": 12, "depths": [1, 2, 3, 1]},
        ("patches", "stage1", "stage2.0", "stage3.1"),
    ),
    "vit": (32, {"height": 32, "width": 32, "features": 24}, ("encoder.2", "encoder.5", "encoder.8")),
    "convnext": (
        64,
        {"widths": [8, 12, 16, 24], "depths": [2, 1, 3, 1]},
        ("stem", "stage1.0", "stage2", "stage3.1", "downsample4.norm"),
    ),
}


def named(values: Any, names: list[str]) -> dict[str, torch.Tensor]:
    found = values if isinstance(values, tuple) else (values,)
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_the_values_inside(name: str) -> None:
    """Of the same weights, under the same names: what hooks on the model without features see."""
    side, choices, paths = FEATURES[name]
    plain = load(BACKBONES / f"{name}.yaml", **choices)
    both, only = plain.with_features(*paths), plain.with_features(*paths, only=True)
    net, with_features, without_head = (m.build("torch").eval() for m in (plain, both, only))
    torch.manual_seed(0)
    state = {
        key: torch.rand_like(value) * 0.1 if value.is_floating_point() else value
        for key, value in net.state_dict().items()
    }
    net.load_state_dict(state)
    with_features.load_state_dict(state)  # strictly
    missing, unexpected = without_head.load_state_dict(state, strict=False)
    assert not missing and unexpected and all(key not in without_head.state_dict() for key in unexpected)

    seen: dict[str, torch.Tensor] = {}
    modules = dict(net.named_modules())
    for path in paths:
        if path in modules:
            modules[path].register_forward_hook(lambda _, __, out, path=path: seen.update({path: out}))
    image = torch.randn(2, 3, side, side)
    with torch.no_grad():
        expected = net(image)
        found = named(with_features(image), list(both.graph.outputs))
        alone = named(without_head(image), list(only.graph.outputs))
    first, *names = both.graph.outputs
    assert names == [path.replace(".", "_") for path in paths] == list(only.graph.outputs)
    assert torch.equal(found[first], expected) and len(seen) >= len(paths) - 1
    for path in paths:
        value = found[path.replace(".", "_")]
        assert torch.equal(value, alone[path.replace(".", "_")])
        if path in seen:  # inside, channels may stand last
            inside = seen[path]
            assert torch.equal(value, inside if inside.shape == value.shape else inside.permute(0, 3, 1, 2))


def test_a_row_in_pieces_is_traced_whole() -> None:
    net = load(ROOT / "specs" / "pieces.yaml").build("torch").eval()
    image = torch.randn(2, 3, 16, 12)
    expected = net(image)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    assert all(torch.equal(a, b) for a, b in zip(compiled(image), expected, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
def test_features_can_be_scripted() -> None:
    """TorchScript wants to know how many there are."""
    plain = load(RESNET, "resnet18", depths=[1, 1, 1, 1])
    net = plain.with_features("layer1", "layer4", only=True).build("torch").eval()
    image = torch.randn(2, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(torch.jit.script(net)(image), net(image), strict=True))


def test_a_model_renamed_keeps_its_names_whatever_its_outputs() -> None:
    plain = load(ROOT / "specs" / "backbone.yaml", "wide")
    renamed = load(ROOT / "specs" / "renamed_outputs.yaml")
    assert list(renamed.graph.outputs) == ["logits", "first", "map"]
    for backend in ("torch", "keras"):
        assert [h.framework_path for h in locate_weights(renamed.graph, backend)] == [
            h.framework_path for h in locate_weights(plain.graph, backend)
        ]
    image = torch.randn(1, 3, 16, 16)
    logits, first, features = renamed.build("torch")(image)
    assert torch.equal(features, first.relu()) and logits.shape == (1, 10)
    imported = load(ROOT / "specs" / "imported_outputs.yaml").build("torch")
    assert [x.shape[1] for x in imported(image)] == [2, 10]


def test_what_a_feature_needs_is_all_that_is_left() -> None:
    model = load(RESNET).with_features("layer2", only=True)
    assert model.graph.find_node("layer3") is None and model.graph.find_node("fc") is None
    assert "classes" not in model.source("torch") and "depths" in model.source("torch")
    assert model.digest != load(RESNET).digest != load(RESNET).with_features("layer2").digest
    source = load(BACKBONES / "vit.yaml").with_features("encoder.3").source("torch")
    assert "encoder_3 = self.encoder[:4](sequence + self.position)" in source
    assert "depth: int = 12" in source  # the rest of the row is as long as it is told
    last = load(BACKBONES / "vit.yaml").with_features("encoder.11").source("torch")
    assert "depth: int" not in last  # which is the last only at this depth


def test_an_output_that_is_there_is_not_given_twice() -> None:
    model = load(RESNET).with_features("fc", "layer4")
    assert list(model.graph.outputs) == ["fc", "layer4"]


REFUSED = {
    "layr2": ("there is no 'layr2' in ResNet", "did you mean 'layer2'?"),
    "layer3.9": ("there is no 'layer3.9' in ResNet", "did you mean 'layer3.0'?"),
    "layer3.2.bn5": ("there is no 'bn5' in Bottleneck", "did you mean 'layer3.2.bn1'?"),
    "xyz": ("there is no 'xyz' in ResNet", "`specbuild show --taps` lists all values"),
    "": ("a feature is the path of a value", "`specbuild show --taps` lists all values"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_refused(path: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(RESNET).with_features("layer1", path)
    assert (caught.value.code, caught.value.message, caught.value.hint) == ("SB202", *REFUSED[path])


def test_two_features_of_one_name() -> None:
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 3}}\nsteps:\n"
        "  - {linear: {features: 2}, as: a_0}\n  - {do: [{linear: {features: 2}}], as: b, repeat: 2}\n"
        "outputs: {b_1: a_0, last: b}\n"
    )
    with pytest.raises(SpecError, match="SB204"):
        load(text).with_features("b.1")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "net.py"
    command = ["compile", str(RESNET), "-b", "torch", "-o", str(target), "--features", "layer1, layer2"]
    assert main([*command, "--features-only"]) == 0
    assert "return layer1, layer2\n" in target.read_text() and "layer3" not in target.read_text()
    assert "no output needs layer3, layer4, pooled and fc" in capsys.readouterr().err
    assert main(["compile", str(RESNET), "-b", "torch", "--features", "layer1,layr2"]) == 3
    assert "--features:1:8" in capsys.readouterr().err
    assert main(["compile", str(RESNET), "-b", "torch", "--features-only"]) == 2
    assert main(["show", str(RESNET), "--features", "layer3", "--features-only"]) == 0
    assert "layer4" not in capsys.readouterr().out


def test_a_model_can_be_asked_again() -> None:
    model: Model = load(RESNET, "resnet18", classes=5)
    again = model.with_features("layer1").with_features("layer2", only=True)
    assert list(again.graph.outputs) == ["layer2"] and again.variant == "resnet18"


def test_a_class_that_gives_more_says_so() -> None:
    source = load(RESNET).with_features("layer4.0.bn2").source("torch")
    assert "class BottleneckWithBn2(" in source and "class Bottleneck(" in source


def test_an_output_of_a_renamed_model_that_is_not_there() -> None:
    text = (ROOT / "specs" / "renamed_outputs.yaml").read_text().replace("first: conv1", "first: conv2")
    text = text.replace("./backbone.yaml", "library:backbones/resnet.yaml").replace("Backbone", "ResNet")
    with pytest.raises(SpecError) as caught:
        load(text.replace("variant: wide", "variant: resnet18").replace("classifier", "fc"))
    assert (caught.value.code, caught.value.message) == ("SB202", "there is no 'conv2' in ResNet")
    assert caught.value.location is not None and caught.value.location.text.startswith("outputs: ")


def test_a_package_is_of_the_spec_alone(tmp_path: Path) -> None:
    command = ["compile", str(RESNET), "-b", "torch", "--layout", "package", "-o", str(tmp_path / "net")]
    assert main([*command, "--features", "layer1"]) == 2
    assert main([*command, "--with-optimizer-groups"]) == 2
    assert not (tmp_path / "net").exists()


def test_weights_of_the_rest_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, whole, part = str(ROOT / "specs" / "backbone.yaml"), tmp_path / "a.safetensors", tmp_path / "b.pt"
    assert main(["weights", "init", spec, "-o", str(whole)]) == 0
    features = ["--features", "features", "--features-only"]
    capsys.readouterr()
    assert main(["weights", "convert", spec, str(whole), "-o", str(part), *features]) == 0
    assert "2 of 2 matched, 0 new, 0 mismatched, 0 left over, 2 unused" in capsys.readouterr().out
    net = load(spec).with_features("features", only=True).build("torch")
    net.load_state_dict(torch.load(part, weights_only=True), strict=True)
    entries = {**load_file(whole), "stray": torch.zeros(1)}
    save_file(entries, whole)
    capsys.readouterr()
    assert main(["weights", "convert", spec, str(whole), "-o", str(part), "--force", *features]) == 1
    assert "left over  stray (1,)" in capsys.readouterr().out
