"""The rules by which published weights become a model's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.weights.published_names import convert_published_weights

Array = np.ndarray[Any, Any]

NET = """
specbuild: 1
model: Net
blocks:
  Layer:
    inputs: {x: [T, C]}
    steps:
      - linear: {features: x.C}
        as: query
      - linear: {features: x.C}
        from: x
        as: key
      - multiply: [query, key]
        as: product
      - weight: {axes: {C: x.C}}
        as: scale
      - multiply: [product, scale]
inputs: {tokens: {T: 5, C: 6}}
steps:
  - Layer:
    repeat: 2
    as: stack
  - linear: {features: 3, bias: false}
    as: head
weights:
"""

RULES = """
  published:
    encoder_layer_{i}.in_proj_{rest}: {split: 0, into: ["stack.{i - 1}.query.{rest}", "stack.{i - 1}.key.{rest}"]}
    encoder_layer_{i}.gamma: {to: "stack.{i - 1}.scale", reshape: true}
    classifier.{n > 2}.kernel: {to: head.weight, transpose: [1, 0]}
    classifier.{n}.kernel: {ignore: true}
    encoder_layer_{i}.index: {ignore: true}
"""


def entries() -> dict[str, Array]:
    random = np.random.default_rng(0)
    given = {}
    for i in (1, 2):
        given |= {
            f"encoder_layer_{i}.in_proj_weight": random.normal(size=(12, 6)),
            f"encoder_layer_{i}.in_proj_bias": random.normal(size=12),
            f"encoder_layer_{i}.gamma": random.normal(size=(6, 1, 1)),
            f"encoder_layer_{i}.index": np.arange(4),
        }
    return given | {"classifier.1.kernel": np.zeros(1), "classifier.3.kernel": random.normal(size=(6, 3))}


def fault(rules: str, given: dict[str, Array] | None = None, layout: str = "published") -> SpecError:
    with pytest.raises((SpecError, SpecErrors)) as found:
        convert_published_weights(build_graph(NET + rules), layout, entries() if given is None else given)
    return found.value.errors[0] if isinstance(found.value, SpecErrors) else found.value


def test_every_kind_of_rule() -> None:
    given = entries()
    found = convert_published_weights(build_graph(NET + RULES), "published", given)
    packed, bias = given["encoder_layer_2.in_proj_weight"], given["encoder_layer_2.in_proj_bias"]
    assert len(found) == 2 * 5 + 1
    np.testing.assert_array_equal(found["stack.1.query.weight"], packed[:6])
    np.testing.assert_array_equal(found["stack.1.key.weight"], packed[6:])
    np.testing.assert_array_equal(found["stack.1.key.bias"], bias[6:])
    np.testing.assert_array_equal(found["stack.0.scale"], given["encoder_layer_1.gamma"].reshape(6))
    np.testing.assert_array_equal(found["head.weight"], given["classifier.3.kernel"].T)


def test_what_is_carried_loads_strictly_and_names_without_a_rule_stay() -> None:
    torch = pytest.importorskip("torch")
    from specbuild import load

    model = load(NET + "  published: {}\n")
    net = model.build("torch")
    held = {name: value.numpy() for name, value in net.state_dict().items()}
    found = convert_published_weights(model.graph, "published", held)
    assert set(found) == set(held)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in found.items()}, strict=True)


def test_counters_of_batch_norm_are_taken_but_not_needed() -> None:
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 2, H: 3, W: 3}}\nsteps:\n  - batch_norm:\n    as: norm\n"
        "weights:\n  published:\n    bn.{rest}: norm.{rest}\n"
    )
    given = {f"bn.{name}": np.ones(2) for name in ("weight", "bias", "running_mean", "running_var")}
    assert len(convert_published_weights(build_graph(text), "published", given)) == 4
    counted = convert_published_weights(
        build_graph(text), "published", given | {"bn.num_batches_tracked": np.array(7)}
    )
    assert counted["norm.num_batches_tracked"] == 7


def test_paths_of_keras() -> None:
    rules = """
  keras:
    encoder_{i}/{rest}: stack/{i - 1}/{rest}
"""
    given = {}
    for i in (1, 2):
        for part in ("query", "key"):
            given |= {f"encoder_{i}/{part}/kernel": np.zeros((6, 6)), f"encoder_{i}/{part}/bias": np.zeros(6)}
        given[f"encoder_{i}/scale"] = np.zeros(6)
    found = convert_published_weights(
        build_graph(NET + rules), "keras", given | {"head/kernel": np.zeros((6, 3))}
    )
    assert "stack/1/query/kernel" in found


WORDS = """
  published:
    "*.index": {ignore: true}
    "{rest}.{word}_proj.{word2}": "{rest}.{word}.{word2}"
    "{rest}.{i > 5}.gamma": {ignore: true}
    "encoder.{i}.gamma": {to: "stack.{i}.scale", reshape: true}
    classifier.kernel: {to: head.weight, transpose: [1, 0]}
"""


def test_fields_of_words_and_wildcards() -> None:
    """Also at the beginning of a name; a word has no dot in it."""
    given: dict[str, Array] = {"index": np.zeros(1), "stack.0.deep.index": np.zeros(1)}
    for i in (0, 1):
        for part in ("query", "key"):
            given[f"stack.{i}.{part}_proj.weight"] = np.full((6, 6), i)
            given[f"stack.{i}.{part}_proj.bias"] = np.zeros(6)
        given |= {f"encoder.{i}.gamma": np.zeros((1, 6)), f"encoder.{i + 6}.gamma": np.zeros(6)}
    given["classifier.kernel"] = np.zeros((6, 3))
    del given["index"]  # `*.index` needs the dot
    found = convert_published_weights(build_graph(NET + WORDS), "published", given)
    assert found["stack.1.key.weight"][0, 0] == 1
    assert len(found) == 11


@pytest.mark.parametrize("depths", [[1, 3], [2, 1]])
def test_rules_read_parameters_and_names_of_let(depths: list[int]) -> None:
    """Where one stage ends and the next begins depends on the depths."""
    text = """
specbuild: 1
model: Net
params: {depths: [1, 1]}
let: {second: "depths[0] + 1"}
inputs: {x: {C: 4}}
steps:
  - linear: {features: 4, bias: false}
    repeat: depths[0]
    as: first
  - linear: {features: 4, bias: false}
    repeat: depths[1]
    as: second
weights:
  published:
    "{i < second}.weight": first.{i}.weight
    "{i < second + depths[1]}.weight": second.{i - second}.weight
"""
    model = build_graph(text, {"depths": depths})
    numbers = [*range(depths[0]), *(depths[0] + 1 + i for i in range(depths[1]))]
    given = {f"{i}.weight": np.full((4, 4), float(i)) for i in numbers}
    names = [f"first.{i}.weight" for i in range(depths[0])] + [f"second.{i}.weight" for i in range(depths[1])]
    converted = convert_published_weights(model, "published", given)
    assert {name: value[0, 0] for name, value in converted.items()} == dict(zip(names, numbers, strict=True))


def test_a_part_of_a_split_can_be_left_out() -> None:
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nsteps:\n  - linear: {features: 2}\n    as: head\n"
        "weights:\n  published:\n    both.{rest}: {split: 0, into: ['', 'head.{rest}']}\n"
    )
    given = {"both.weight": np.arange(16.0).reshape(4, 4), "both.bias": np.arange(4.0)}
    converted = convert_published_weights(build_graph(text), "published", given)
    assert converted["head.bias"].tolist() == [2, 3] and np.array_equal(
        converted["head.weight"], given["both.weight"][2:]
    )


def test_a_word_is_one_part_of_a_name() -> None:
    rules = '  published:\n    "stack.{word}.scale": "stack.0.scale"\n'
    error = fault(rules, {"stack.0.inner.scale": np.zeros(6)})
    assert "left over: stack.0.inner.scale" in error.trail


def test_a_letter_is_its_number() -> None:
    """As in keras.applications, whose blocks are `block2a_bn`, `block2b_bn` and so on; no other character matches."""
    rules = """
  published:
    block{letter}_{word}.{rest}: "stack.{letter}.{word}.{rest}"
    block{letter}.gamma: "stack.{letter}.scale"
"""
    given = {"head.weight": np.zeros((3, 6)), "blocka.gamma": np.zeros(6), "blockb.gamma": np.ones(6)}
    for letter in "ab":
        for part in ("query", "key"):
            given |= {
                f"block{letter}_{part}.weight": np.zeros((6, 6)),
                f"block{letter}_{part}.bias": np.zeros(6),
            }
    found = convert_published_weights(build_graph(NET + rules), "published", given)
    assert found["stack.0.scale"].sum() == 0 and found["stack.1.scale"].sum() == 6
    given["blockB.gamma"] = given.pop("blockb.gamma")
    assert "left over: blockB.gamma" in fault(rules, given).trail


@pytest.mark.parametrize("layout", ["published", "keras"])
def test_targets_can_be_paths_that_specbuild_prints(layout: str) -> None:
    """The values are still in the order of the framework."""
    names = ("kernel", "bias") if layout == "keras" else ("weight", "bias")
    rules = f"""
  {layout}:
    layer{{i}}.{{rest}}.{names[0]}: stack.{{i}}.{{rest}}.kernel
    layer{{i}}.{{rest}}.bias: stack.{{i}}.{{rest}}.bias
    layer{{i}}.gamma: stack.{{i}}.scale.value
    out.{names[0]}: head.kernel
"""
    given = {f"out.{names[0]}": np.zeros((6, 3) if layout == "keras" else (3, 6))}
    for i in (0, 1):
        for part in ("query", "key"):
            given |= {f"layer{i}.{part}.{names[0]}": np.zeros((6, 6)), f"layer{i}.{part}.bias": np.zeros(6)}
        given[f"layer{i}.gamma"] = np.zeros(6)
    found = convert_published_weights(build_graph(NET + rules), layout, given)
    assert ("stack/0/query/kernel" if layout == "keras" else "stack.0.query.weight") in found


def test_all_that_does_not_fit_is_named() -> None:
    given = entries()
    del given["encoder_layer_1.gamma"]
    given["encoder_layer_3.gamma"] = np.zeros(6)
    given["stranger"] = np.zeros(1)
    given["classifier.3.kernel"] = np.zeros((6, 4))
    given["classifier.4.kernel"] = np.zeros((6, 3))
    error = fault(RULES, given)
    assert error.code == "SB801"
    assert error.message == (
        "the weights of published do not match Net: 2 left over, 1 missing, 1 of another shape and 1 given twice"
    )
    assert error.trail == (
        "left over: encoder_layer_3.gamma (as stack.2.scale), stranger",
        "missing: stack.0.scale",
        "of another shape: classifier.3.kernel gives (4, 6) for head.weight (3, 6)",
        "given twice: head.weight (by classifier.4.kernel)",
    )
    assert error.location is not None
    assert "published" in error.location.text


@pytest.mark.parametrize(
    ("rules", "code", "said"),
    [
        ("  published:\n    a.{i}: b.{j}", "SB302", "has no field 'j'"),
        ("  published:\n    a.{i + j}: b.{i}", "SB802", "is not a field"),
        ("  published:\n    a.{}: b", "SB301", ""),
        ("  published:\n    a.{i}: b.{i +}", "SB301", ""),
        ("  published:\n    a.{rest}b{rest2}c*d*: b", "SB802", "has too many fields"),
        ("  published:\n    a: b.C > c", "SB802", "cannot be the name"),
        ("  published:\n    a: {to: b, ignore: true}", "SB802", "a rule needs one of"),
        ("  published:\n    a: {to: b, transpose: [1, 2]}", "SB802", "is not an order of dimensions"),
        ("  published:\n    a: {two: b}", "SB101", "two"),
        ("  published:\n    a: {split: 0}", "SB103", "into"),
        ("  published:\n    a: {ignore: false}", "SB304", ""),
        ("  published:\n    a: 3", "SB102", ""),
        (
            "  published:\n    encoder_layer_{i}.gamma: {split: 0, into: [a, b, c, d]}",
            "SB801",
            "cannot be split into 4 parts along dimension 0",
        ),
        (
            "  published:\n    encoder_layer_{i}.gamma: {split: 3, into: [a, b]}",
            "SB801",
            "along dimension 3",
        ),
        (
            "  published:\n    encoder_layer_{i}.gamma: stack.{i / 0}.scale",
            "SB303",
            "",
        ),
    ],
)
def test_rules_that_cannot_be_followed(rules: str, code: str, said: str) -> None:
    error = fault(rules + "\n")
    assert error.code == code, str(error)
    assert said in error.message
    assert error.location is not None
    assert error.location.line > NET.count("\n")


def test_a_layout_that_is_not_there() -> None:
    error = fault(RULES, layout="publishd")
    assert error.code == "SB202"
    assert error.hint == "did you mean 'published'?"
