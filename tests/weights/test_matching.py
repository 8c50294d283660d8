"""Which tensors of a file become which weights of a model, and how every exception is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import specbuild
from specbuild.backends.keras.weight_files import WEIGHTS_H5
from specbuild.backends.registry import all_file_kinds
from specbuild.backends.torch.weight_files import STATE_DICT
from specbuild.compiler.pipeline import build_graph
from specbuild.compiler.weight_locations import locate_weights, to_framework
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block
from specbuild.weights.initial import initialize_weights
from specbuild.weights.matching import (
    MatchedWeights,
    MatchExceptions,
    NamingScheme,
    match_weights,
    naming_candidates,
)
from specbuild.weights.report import WeightReport, build_report

Array = np.ndarray[Any, Any]
BACKBONES = Path(specbuild.__file__).parent / "library" / "backbones"

NET = """
specbuild: 1
model: Net
blocks:
  Gate:
    inputs: {x: [C, H, W]}
    steps:
      - mean: {over: [H, W]}
      - linear: {features: x.C}
        as: excite
      - multiply: [x, excite]
  Stage:
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: x.C, bias: false}
        as: conv
      - batch_norm:
        as: norm
      - Gate:
        as: gate
inputs: {image: {C: 4, H: 6, W: 6}}
steps:
  - Stage:
    repeat: 2
    as: stages
  - mean: {over: [H, W]}
  - linear: {features: 3}
    as: head
weights:
  published:
    blocks.{i}.conv.{rest}: stages.{i - 1}.conv.{rest}
    blocks.{i}.bn.{rest}: stages.{i - 1}.norm.{rest}
    blocks.{i}.se.{rest}: stages.{i - 1}.gate.excite.{rest}
    classifier.{rest}: head.{rest}
"""
USER = """
specbuild: 1
model: User
imports: {ResNet: library:backbones/resnet.yaml}
inputs: {rgb: {C: 3, H: 32, W: 32}, depth: {C: 3, H: 32, W: 32}}
steps:
  - ResNet: {variant: resnet18, classes: 7}
    from: rgb
    as: cnn
  - ResNet: {variant: resnet18, classes: 7}
    from: depth
    as: other
  - add: [cnn, other]
"""


@pytest.fixture(scope="module")
def net() -> Block:
    return build_graph(NET)


def values(model: Block) -> dict[str, Array]:
    return initialize_weights(locate_weights(model, "torch"), seed=3)


def state(model: Block, backend: str = "torch") -> dict[str, Array]:
    return to_framework(locate_weights(model, backend), values(model))


KINDS = {"safetensors": None, **{kind.name: kind for kind in all_file_kinds()}}


def taken(model: Block, entries: dict[str, Array], kind: str = "torch", **chosen: str) -> MatchedWeights:
    into = [chosen["into"]] if "into" in chosen else []
    return match_weights(model, entries, naming_candidates(model, KINDS[kind], chosen.get("origin"), into))


def told(model: Block, found: MatchedWeights, *missing: str, unused: tuple[str, ...] = ()) -> WeightReport:
    return build_report(
        found, MatchExceptions(missing, unused), [h.path for h in locate_weights(model, "torch")]
    )


def same(model: Block, found: MatchedWeights) -> None:
    assert not found.exception_count
    wanted = values(model)
    assert set(found.values) == set(wanted)
    for path, value in wanted.items():
        np.testing.assert_array_equal(found.values[path], value)


def published(model: Block) -> dict[str, Array]:
    names = (("stages.0", "blocks.1"), ("stages.1", "blocks.2"), ("norm", "bn"), ("gate.excite", "se"))
    found = {}
    for name, value in state(model).items():
        for own, other in (*names, ("head", "classifier")):
            name = name.replace(own, other)
        found[name] = value
    return found


def test_names_are_told_by_what_fits(net: Block) -> None:
    for entries, kind, name in (
        (values(net), "safetensors", "specbuild"),
        (state(net), "safetensors", "torch"),
        (state(net), "torch", "torch"),
        (state(net, "keras"), "h5", "keras"),
        (published(net), "torch", "published"),
    ):
        found = taken(net, entries, kind)
        assert found.naming.name == name
        same(net, found)


@pytest.mark.parametrize(
    "wrap", ["module.{}", "_orig_mod.{}", "module._orig_mod.{}", "_orig_mod.module.{}", "model.{}"]
)
def test_what_wrappers_add_is_left_out(net: Block, wrap: str) -> None:
    entries = {wrap.format(name): value for name, value in state(net).items()}
    same(net, taken(net, entries))
    same(net, taken(net, {wrap.format(name): value for name, value in published(net).items()}))
    same(net, taken(net, {**entries, "n_averaged": np.zeros((), "int64")}))
    inside = {name.replace("stages.0.", "stages.0._orig_mod."): v for name, v in state(net).items()}
    same(net, taken(net, inside))


@pytest.mark.parametrize("names", [state, published])
def test_a_tensor_beside_the_wrapped_model_is_left_over(
    net: Block, names: Callable[[Block], dict[str, Array]]
) -> None:
    """Such as the counter of a training run, or the weights of its loss."""
    entries = {f"model.{name}": value for name, value in names(net).items()}
    found = taken(net, {**entries, "loss.scale": np.zeros(3, "float32")})
    assert not found.missing and found.left_over == [("loss.scale", (3,))]


@pytest.mark.parametrize("named", ["model.", "module.model.", "model.model.", ""])
@pytest.mark.parametrize("wrapped", ["", "module."])
def test_rules_may_name_the_prefix_of_a_wrapper(named: str, wrapped: str) -> None:
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nsteps:\n"
        "  - linear: {features: 4}\n    as: fc1\n  - linear: {features: 2}\n    as: fc2\n"
        f'weights:\n  published:\n    "{named}{{i}}.{{rest}}": fc{{i + 1}}.{{rest}}\n'
    )
    model = build_graph(text)
    entries = {name.replace("fc1", "0").replace("fc2", "1"): v for name, v in state(model).items()}
    same(model, taken(model, {f"{wrapped}{named}{name}": v for name, v in entries.items()}))


def test_a_step_called_module_is_not_taken_for_a_wrapper() -> None:
    model = build_graph(
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nsteps:\n  - do:\n      - linear: {features: 4}\n      - linear: {features: 2}\n    as: model\n"
    )
    assert all(name.startswith("model.") for name in state(model))
    same(model, taken(model, state(model)))
    same(model, taken(model, {f"model.{name}": value for name, value in state(model).items()}))


def test_counters_of_batch_norms_are_no_weights(net: Block) -> None:
    entries = {**state(net), "stages.0.norm.num_batches_tracked": np.array(7)}
    same(net, taken(net, entries))
    found = taken(net, {**entries, "head.num_batches_tracked": np.array(7)})
    assert found.left_over == [("head.num_batches_tracked", ())]


def test_every_exception_is_named(net: Block) -> None:
    entries = state(net)
    del entries["stages.0.gate.excite.weight"], entries["stages.0.gate.excite.bias"]
    entries |= {
        "head.weight": np.zeros((5, 4), "float32"),
        "stages.1.conv.weight": np.zeros((4, 4, 3, 3), "int8"),
    }
    entries["other.weight"] = np.zeros((2, 2), "float32")
    found = taken(net, entries)
    answer = told(net, found)
    assert not answer.is_complete
    assert list(answer.format_lines()) == [
        "12 of 16 matched, 0 new, 2 missing, 2 mismatched, 1 left over",
        "  missing     stages.0.gate.excite.kernel (4, 4)",
        "  missing     stages.0.gate.excite.bias (4,)",
        "  mismatched  stages.1.conv.kernel (4, 4, 3, 3); stages.1.conv.weight is (4, 4, 3, 3) of int8 in the file",
        "  mismatched  head.kernel (3, 4); head.weight is (5, 4) in the file",
        "  left over   other.weight (2, 2)",
    ]
    fault = answer.mismatch_error("old.pt")
    assert fault.code == "SB801"
    assert (
        fault.message
        == "`old.pt` does not match the model: 2 missing, 2 mismatched, 1 left over; nothing was written"
    )
    assert fault.hint == (
        "--allow-missing 'stages.0.gate' --allow-missing 'stages.1.conv' --allow-missing 'head.kernel' "
        "to use initial values; "
        "--allow-unused 'other.weight' to ignore such entries"
    )
    declared = told(net, found, "stages.0.gate", "head.kernel", "stages.1.conv", unused=("other.*",))
    assert declared.is_complete
    assert (
        declared.summary_line()
        == "12 of 16 matched, 4 new (gate, conv, kernel), 0 mismatched, 0 left over, 1 unused"
    )
    assert {u.path for u in declared.new} == {
        "stages.0.gate.excite.kernel", "stages.0.gate.excite.bias", "head.kernel", "stages.1.conv.kernel",
    }  # fmt: skip
    idle = told(net, found, "hed.*")
    assert idle.notes == ("nothing that is missing or left over matches 'hed.*'",)


def test_a_file_of_another_model_is_not_declared_away(net: Block) -> None:
    answer = told(net, taken(net, {"a.weight": np.zeros(3, "float32")}))
    assert answer.summary_line() == "0 of 16 matched, 0 new, 16 missing, 0 mismatched, 1 left over"
    assert (
        answer.mismatch_error("a.pt").hint
        == "the names in the file, such as 'a.weight', are not those of specbuild; --from chooses other names, "
        "and --into the part of the model that they belong to"
    )


def test_shapes_of_keras_are_told_in_its_own_order(net: Block) -> None:
    entries = {**state(net, "keras"), "head/kernel": np.zeros((4, 5), "float32")}
    answer = told(net, taken(net, entries, "h5"))
    assert list(answer.format_lines())[1:] == [
        "  mismatched  head.kernel (3, 4); head/kernel, expected as (4, 3), is (4, 5) in the file"
    ]


@pytest.mark.parametrize("shape", [(), (1,)])
def test_one_number_fits_with_an_axis_or_without(shape: tuple[int, ...]) -> None:
    """PyTorch keeps it with one axis; files of others may not."""
    model = build_graph(
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 3}}\n"
        "steps: [{weight: {axes: {}}, as: rate}, {multiply: [x, rate]}]\n"
    )
    found = taken(model, {"rate": np.full(shape, 7, "float32")})
    assert not found.exception_count
    [value] = found.values.values()
    np.testing.assert_array_equal(value, np.float32(7))


def test_published_weights_of_an_imported_model() -> None:
    """A layout that a model inside has rules for; the rest of the model gets nothing of it."""
    model = build_graph(USER)
    backbone = build_graph(BACKBONES / "resnet.yaml", {"classes": 7}, "resnet18")
    entries = state(backbone)
    with pytest.raises(
        SpecError, match="several steps have published names 'torchvision': cnn and other"
    ) as ambiguous:
        taken(model, entries, origin="torchvision")
    assert ambiguous.value.code == "SB806"
    found = taken(model, entries, origin="torchvision", into="other")
    assert str(found.naming) == "torchvision (into other)"
    assert not found.mismatched and not found.left_over
    assert {u.path.partition(".")[0] for u in found.missing} == {"cnn"}
    np.testing.assert_array_equal(found.values["other.conv1.kernel"], entries["conv1.weight"])
    assert (
        told(model, found, "cnn").summary_line()
        == "102 of 204 matched, 102 new (cnn), 0 mismatched, 0 left over"
    )


@pytest.mark.parametrize(
    ("origin", "into", "message"),
    [
        ("publishd", None, "Net has no rules for weights of 'publishd'"),
        ("published", "stages", "no step 'stages' has published names"),
    ],
)
def test_names_that_are_not_known(net: Block, origin: str, into: str | None, message: str) -> None:
    with pytest.raises(SpecError, match=message) as found:
        naming_candidates(net, STATE_DICT, origin, [into] if into else [])
    assert found.value.code == "SB806"


def test_candidates_are_those_of_the_file(net: Block) -> None:
    assert [n.name for n in naming_candidates(net, WEIGHTS_H5, None)] == ["keras"]
    assert [n.name for n in naming_candidates(net, STATE_DICT, None)] == [
        "specbuild",
        "torch",
        "keras",
        "published",
    ]
    assert naming_candidates(net, STATE_DICT, "keras") == [NamingScheme("keras")]
