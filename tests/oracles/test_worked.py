"""The worked examples of specs/: torchvision's weights carried into them, and what comes out, in both frameworks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from specbuild import load
from specbuild.api import Model
from specbuild.backends.torch.weight_files import STATE_DICT
from specbuild.compiler.weight_locations import locate_weights, to_framework
from specbuild.runtimes.live_model import import_source
from specbuild.weights.adapt import adapt_weights
from specbuild.weights.adapt_options import parse_adaptation
from specbuild.weights.initial import initialize_weights
from specbuild.weights.matching import MatchExceptions, match_weights, naming_candidates
from specbuild.weights.report import WeightReport, build_report
from tests.lazy_modules import lazy_module
from tests.oracles.randomised import Array, difference, randomise
from tests.system.smaller import smaller
from tests.system.test_sizes import listed

keras = lazy_module("keras")
models = lazy_module("torchvision.models")
ops = lazy_module("torchvision.ops")

SPECS = Path(__file__).parents[2] / "specs"
TOLERANCE = 1e-10
BETWEEN = 1e-6  # of both frameworks: Keras has constants of GELU in float32


@pytest.fixture(autouse=True)
def float64_keras() -> Iterator[None]:
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def taken(
    spec: Model, theirs: nn.Module, missing: tuple[str, ...], unused: tuple[str, ...] = (), **chosen: Any
) -> tuple[dict[str, Array], WeightReport]:
    """Every weight of the model: theirs, as far as they fit or are adapted, and first ones."""
    entries = {name: value.numpy() for name, value in theirs.state_dict().items()}
    declared = MatchExceptions(missing, unused, tuple(map(parse_adaptation, chosen.get("adapt", ()))))
    names = naming_candidates(spec.graph, STATE_DICT, "torchvision", chosen.get("into", ()))
    found = adapt_weights(spec.graph, match_weights(spec.graph, entries, names), declared.adaptations)
    weights = locate_weights(spec.graph, "torch")
    told = build_report(found, declared, [h.path for h in weights])
    assert told.is_complete, told.summary_line()
    assert not told.notes, told.notes
    begun = initialize_weights([h for h in weights if h.path not in found.values])
    assert {h.path for h in weights} == {*found.values, *begun}
    return {**found.values, **{path: value.astype("float64") for path, value in begun.items()}}, told


def in_torch(spec: Model, values: Mapping[str, Array]) -> nn.Module:
    ours: nn.Module = spec.build("torch")
    state = {
        k: torch.from_numpy(v) for k, v in to_framework(locate_weights(spec.graph, "torch"), values).items()
    }
    left = ours.load_state_dict(state, strict=False)
    assert not left.unexpected_keys and all("num_batches" in name for name in left.missing_keys)
    return ours.eval()


def in_keras(spec: Model, values: Mapping[str, Array], *inputs: torch.Tensor) -> list[Array]:
    """What the emitted Keras file gives with the same weights."""
    ours = getattr(import_source(spec.source("keras"), "worked"), spec.name)()
    kept = to_framework(locate_weights(spec.graph, "keras"), values)
    assert {v.path for v in ours.weights} == set(kept)
    for variable in ours.weights:
        variable.assign(kept[variable.path])
    xs = [x.permute(0, 2, 3, 1).numpy() for x in inputs]
    found = [np.asarray(y) for y in listed(ours(xs if len(xs) > 1 else xs[0], training=False))]
    return [y.transpose(0, 3, 1, 2) if y.ndim == 4 else y for y in found]


def both(
    spec: Model, values: Mapping[str, Array], *inputs: torch.Tensor
) -> tuple[nn.Module, list[torch.Tensor]]:
    """The emitted PyTorch model and what it gives, which is what the emitted Keras file gives."""
    ours = in_torch(spec, values)
    found = listed(ours(*inputs))
    for a, b in zip(found, in_keras(spec, values, *inputs), strict=True):
        assert difference(a, b) < BETWEEN
    return ours, found


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def small(name: str) -> Model:
    path = SPECS / f"{name}.yaml"
    return load(path, **smaller(path))


@torch.no_grad()
def test_global_context_begins_as_convnext() -> None:
    spec, images = small("global_context_convnext"), random(2, 3, 96, 96)
    widths, depths = [16, 32, 64, 128, None], [1, 1, 2, 1]
    settings = [models.convnext.CNBlockConfig(widths[i] or 0, widths[i + 1], depths[i]) for i in range(4)]
    theirs = models.convnext.ConvNeXt(settings)
    randomise(theirs, images)
    values, told = taken(spec, theirs, ("*.context",))
    assert told.new_steps == ("context",) and len(told.new) == 3 * 8
    ours, [found] = both(spec, values, images)
    assert difference(theirs.eval()(images), found) < TOLERANCE
    for name, parameter in ours.named_parameters():
        parameter.add_(0.1 * (".context." in name))
    assert difference(theirs(images), ours(images)) > 1e-3


@torch.no_grad()
def test_a_pyramid_of_swins_stages() -> None:
    spec, images = small("swin_feature_pyramid"), random(1, 3, 224, 224)
    theirs = models.swin_transformer.SwinTransformer([4, 4], 24, [1, 1, 2, 1], [3, 6, 12, 24], [7, 7])
    randomise(theirs, images)
    values, told = taken(spec, theirs, ("neck",), ("norm.*", "head.*"), into=["backbone"])
    assert told.new_steps == ("neck",) and len(told.new) == 2 * 8
    _, found = both(spec, values, images)
    pyramid = ops.FeaturePyramidNetwork([24, 48, 96, 192], 16)
    for at, level in enumerate("2345"):
        for step, blocks in (
            (f"lateral{level}", pyramid.inner_blocks),
            (f"smooth{level}", pyramid.layer_blocks),
        ):
            blocks[at][0].weight.copy_(torch.from_numpy(values[f"neck.{step}.kernel"]))
            blocks[at][0].bias.copy_(torch.from_numpy(values[f"neck.{step}.bias"]))
    maps, x = {}, images
    for at, part in enumerate(theirs.eval().features):
        x = part(x)
        if at % 2:
            maps[str(at)] = x.permute(0, 3, 1, 2)
    for a, b in zip(pyramid(maps).values(), found, strict=True):
        assert difference(a, b) < TOLERANCE


@torch.no_grad()
def test_two_streams_from_one_file() -> None:
    """The stream of depth gives what the original gives of a grey picture; fused as the paper writes it."""
    spec, colour, depth = small("rgbd_segmentation"), random(2, 3, 96, 128), random(2, 1, 96, 128)
    theirs = models.resnet.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1])
    randomise(theirs, colour)
    values, told = taken(
        spec,
        theirs,
        ("fusion*", "pyramid", "head"),
        ("fc.*",),
        into=["colour", "depth"],
        adapt=["depth.conv1=repeat"],
    )
    assert [(a.weight.path, a.description) for a in told.adapted] == [("depth.conv1.kernel", "repeat")]
    assert told.matched_count == 2 * 60 - 1
    assert told.new_steps == ("fusion1", "fusion2", "fusion3", "fusion4", "pyramid", "head")
    ours, _ = both(spec, values, colour, depth)
    grey = depth.expand(-1, 3, -1, -1)
    seen = [levels(theirs, x) for x in (colour, grey)]
    for a, b, wanted, other in zip(ours.colour(colour), ours.depth(depth), *seen, strict=True):
        assert difference(wanted, a) < TOLERANCE and difference(other, b) < TOLERANCE
    fusion, x, y = ours.fusion3, seen[0][2], seen[1][2]
    gate = fusion.attention

    def branch(z: torch.Tensor, *names: str) -> torch.Tensor:
        first, norm1, second, norm2 = (getattr(gate, name) for name in names)
        return norm2(second(torch.relu(norm1(first(z)))))  # type: ignore[no-any-return]

    near = branch(x + y, "local1", "local_norm1", "local2", "local_norm2")
    far = branch((x + y).mean((2, 3)), "global1", "global_norm1", "global2", "global_norm2")
    share = torch.sigmoid(near + far[:, :, None, None])
    assert difference(share * x + (1 - share) * y, fusion(x, y)) < TOLERANCE


def levels(theirs: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    net: Any = theirs.eval()
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    found = []
    for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
        x = layer(x)
        found.append(x)
    return found


@torch.no_grad()
def test_a_transformer_of_four_channels_on_a_larger_picture() -> None:
    """With nothing of the new channel it is torchvision's own at that size, its positions resampled by torchvision."""
    spec, images = small("vit_b_16_four_channels"), random(1, 4, 256, 256)
    theirs = models.vision_transformer.VisionTransformer(224, 16, 1, 12, 768, 3072)
    randomise(theirs, images[:, :3, :224, :224])
    theirs.encoder.pos_embedding.normal_(generator=torch.Generator().manual_seed(1))
    values, told = taken(spec, theirs, (), adapt=["patches=zero", "position=resample"])
    assert [a.description for a in told.adapted] == ["zero", "resample 14x14 to 16x16 after 1 row"]
    _, [found] = both(spec, values, images)
    larger = models.vision_transformer.VisionTransformer(256, 16, 1, 12, 768, 3072).eval()
    larger.load_state_dict(models.vision_transformer.interpolate_embeddings(256, 16, theirs.state_dict()))
    assert difference(larger(images[:, :3]), found) < TOLERANCE
