"""No size is baked in that the network does not need: emitted files run at the sizes that their spec would allow."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import torch

from specbuild.backends import load_backend
from specbuild.compiler.pipeline import compile_source, elaborate_model, open_spec
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.expressions import concrete
from specbuild.frontend.source import Source
from specbuild.ir.graph import Block
from specbuild.runtimes.live_model import import_source
from tests.system.smaller import smaller

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
MORE = {"H": 32, "W": 64, "T": 3, "R": 2}  # what each axis grows by; they stay divisible, and differ
# Specs whose weights hang on the size of their input.
FIXED = {
    "attention_augmented_cnn",  # learned relative positions
    "behavior_net",  # a linear layer on a flattened map
    "spatial_attention_net",  # so too
    "vit_b_16_four_channels",  # a table of positions
}
LARGE = {"global_context_convnext"}  # whose original runs at other sizes in tests/oracles
FREE = [path for path in SPECS if path.stem not in FIXED | LARGE]
QUICK = {"additive_feature_fusion", "gated_classifier"}
BUILT = [path if path.stem in QUICK else pytest.param(path, marks=pytest.mark.slow) for path in FREE]


def grown(path: Path) -> Block | None:
    """The model of a spec with larger inputs; None if there is none."""
    data = Source.read(path, str(path.relative_to(ROOT))).data
    for x in data["inputs"].values():
        sizes = x.get("axes", x)
        for axis in MORE.keys() & sizes.keys():
            if isinstance(sizes[axis], int):
                sizes[axis] += MORE[axis]
    source = Source(json.dumps(data, indent=1) + "\n", str(path.relative_to(ROOT)))
    try:
        return elaborate_model(*open_spec(source, ROOT), smaller(path)).annotated_graph
    except (SpecError, SpecErrors):
        return None


def alike(a: Block, b: Block) -> bool:
    """Whether two models have the same weights."""

    def kept(model: Block) -> dict[str, Any]:
        return {h.path: h.shape for h in locate_weights(model, "torch")}

    return kept(a) == kept(b)


def arrays(model: Block, backend: str) -> list[Any]:
    random = np.random.default_rng(0)
    found = []
    for x in model.inputs.values():
        shape = (2, *(concrete(x[axis]) for axis in load_backend(backend).natural_order(x)))
        integers = x.dtype == "int32"
        found.append(
            random.integers(0, 5, shape).astype("int32")
            if integers
            else random.normal(size=shape).astype("float32")
        )
        if x.dtype == "bool":
            found[-1] = found[-1] > -0.5
    return found


def listed(result: Any) -> list[Any]:
    if isinstance(result, Mapping):
        return list(result.values())
    return list(result) if isinstance(result, tuple | list) else [result]


def agree(found: Any, wanted: Any) -> None:
    for a, b in zip(listed(found), listed(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)


def pair(path: Path) -> tuple[Block, Block]:
    small, large = elaborate_model(*open_spec(path, ROOT), smaller(path)).annotated_graph, grown(path)
    assert large is not None and alike(small, large), "it does not run at another size: is that needed?"
    return small, large


def maker(model: Block, backend: str, name: str) -> Any:
    return getattr(import_source(compile_source(model, backend), f"{name}_{backend}"), model.name)


@pytest.mark.parametrize("path", BUILT, ids=lambda p: p.stem)
def test_torch(path: Path) -> None:
    small, large = pair(path)
    found, wanted = maker(small, "torch", path.stem)().eval(), maker(large, "torch", path.stem)().eval()
    wanted.load_state_dict(found.state_dict())
    inputs = [torch.from_numpy(x) for x in arrays(large, "torch")]
    with torch.no_grad():
        agree(found(*inputs), wanted(*inputs))


@pytest.mark.parametrize("path", BUILT, ids=lambda p: p.stem)
def test_keras(path: Path) -> None:
    small, large = pair(path)
    inputs = arrays(large, "keras")
    make = maker(small, "keras", path.stem)
    shapes = {name: x.shape[1:] for name, x in zip(large.inputs, inputs, strict=True)}
    given = {f"{name}_shape": shape for name, shape in shapes.items()}
    found, wanted = (
        make(**{k: v for k, v in given.items() if k in inspect.signature(make).parameters}),
        maker(large, "keras", path.stem)(),
    )
    wanted.set_weights(found.get_weights())
    x = inputs if len(inputs) > 1 else inputs[0]
    agree(found(x, training=False), wanted(x, training=False))


@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_is_left_out_needs_its_size(name: str) -> None:
    path = ROOT / "specs" / f"{name}.yaml"
    large = grown(path)
    assert large is None or not alike(
        elaborate_model(*open_spec(path, ROOT), smaller(path)).annotated_graph, large
    )
