"""A library backbone with the weights of torchvision's own, and how far their outputs are apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from specbuild import load
from specbuild.api import Model
from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from specbuild.weights.published_names import convert_published_weights
from tests.emitted_style import find_style_faults
from tests.lazy_modules import lazy_module
from tests.oracles.randomised import difference, randomise

torchvision = lazy_module("torchvision")
timm = lazy_module("timm")

BACKBONES = Path(__file__).parents[2] / "specbuild" / "library" / "backbones"
TOLERANCE = 1e-10


def images(height: int, width: int) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))


def shorten(model: nn.Module, lengths: Mapping[str, int]) -> None:
    """Keep the first layers of rows of layers, by the path of the row."""
    for path, length in lengths.items():
        row = model.get_submodule(path)
        for name in [name for name, _ in row.named_children()][length:]:
            delattr(row, name)


def published(name: str, *tables: str, lengths: Mapping[str, int] | None = None) -> nn.Module:
    """torchvision's own model, every weight of it random; `tables` are added as they are, and made large.

    Position tables and tokens have no fan-in: drawn like kernels they would be next to nothing. `lengths` shortens
    large models: what their variants differ by is in every layer.
    """
    model: nn.Module = torchvision.models.get_model(name, weights=None)
    shorten(model, lengths or {})
    side = getattr(model, "image_size", 64)
    randomise(model, images(side, side))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if path.endswith(tables):
                parameter.normal_(generator=generator)
    return model.eval()


def compiled(file: str, variant: str, theirs: nn.Module, **parameters: int | list[int]) -> nn.Module:
    """The emitted model with the same weights: each of them used, and each of its own given."""
    spec = load(BACKBONES / f"{file}.yaml", variant=variant, **parameters)
    assert spec.parameters == sum(p.numel() for p in theirs.parameters())
    faults = find_style_faults(spec.source("torch"))
    assert not faults, faults
    ours: nn.Module = spec.build("torch")
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = {
        key: torch.from_numpy(value)
        for key, value in convert_published_weights(spec.graph, "torchvision", entries).items()
    }
    # `assign` takes the tensors instead of copying them, and frees what the constructor made: up to 2 GB.
    ours.load_state_dict(state, strict=True, assign=True)
    assert sum(p.numel() for p in ours.parameters()) == spec.parameters
    return ours.eval()


@torch.no_grad()
def apart(a: nn.Module, b: nn.Module, height: int, width: int) -> float:
    """The largest difference of their outputs over the largest output."""
    x = images(height, width)
    return difference(a(x), b(x))


@torch.no_grad()
def carry_and_compare(spec: Model, theirs: nn.Module, naming: str, x: torch.Tensor) -> float:
    """How far the outputs of `spec` and of `theirs` are apart, all of whose weights become random and are carried.

    Every published weight is used or ignored by a rule, and every own one given.
    """
    randomise(theirs, x)
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = convert_published_weights(spec.graph, naming, entries)
    faults = find_style_faults(spec.source("torch"))
    assert not faults, faults
    ours: nn.Module = spec.build("torch")
    ours.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)
    return difference(theirs.eval()(x), ours.eval()(x))


def check_parameters_of_timm(file: str, variant: str) -> None:
    """A variant of a backbone has as many parameters as timm's model of the same name."""
    with torch.device("meta"):
        reference = timm.create_model(variant, pretrained=False, num_classes=1000)
    graph = build_graph(BACKBONES / f"{file}.yaml", variant=variant)
    assert model_cost(graph).parameters == sum(p.numel() for p in reference.parameters())
