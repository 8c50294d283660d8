"""Groups of parameters as timm makes them for its own models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from specbuild import load
from specbuild.compiler.parameter_groups import optimizer_records
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module
from tests.oracles.carried import BACKBONES

timm = lazy_module("timm")
optim = lazy_module("timm.optim")


MODELS = [("resnet", "resnet50", "resnet50"), ("vit", "vit_b_16", "vit_base_patch16_224")]
DECAY, LAYERS = 0.25, 0.5


def carried(model: Any, marks: dict[str, float], graph: Any) -> dict[str, float]:
    """What is said of timm's parameters, by the names that they have here; a packed one says it of all its parts."""
    state = {
        name: np.broadcast_to(np.float32(marks.get(name, 0)), tuple(value.shape))
        for name, value in model.state_dict().items()
    }
    return {
        name: float(value.flat[0]) for name, value in convert_published_weights(graph, "timm", state).items()
    }


@pytest.mark.parametrize(("file", "variant", "name"), MODELS, ids=[m[1] for m in MODELS])
def test_as_timm_groups_them(file: str, variant: str, name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    names = {id(p): path for path, p in model.named_parameters()}
    never = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    graph = load(BACKBONES / f"{file}.yaml", variant).graph
    ours = {r["torch"]: r for r in optimizer_records(graph, LAYERS).values()}

    groups = optim.param_groups_weight_decay(model, DECAY, no_weight_decay_list=never)
    marks = {names[id(p)]: g["weight_decay"] for g in groups for p in g["params"]}
    found = carried(model, marks, graph)
    assert {path: DECAY if r["decay"] else 0.0 for path, r in ours.items()} == {p: found[p] for p in ours}

    groups = optim.param_groups_layer_decay(model, DECAY, no_weight_decay_list=never, layer_decay=LAYERS)
    marks = {names[id(p)]: g["lr_scale"] for g in groups for p in g["params"]}
    found = carried(model, marks, graph)
    assert {path: r["rate_scale"] for path, r in ours.items()} == {p: found[p] for p in ours}
