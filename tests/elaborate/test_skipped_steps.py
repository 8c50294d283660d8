"""What passes on where a step is left out: by `when: false`, or by an edit."""

from __future__ import annotations

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError

HEAD = """specbuild: 1
model: Net
params: {on: false}
inputs: {x: {C: 4, H: 8, W: 8}}
blocks:
  Fuse:
    inputs: [a, b]
    steps:
      - concat: {of: [a, b], over: C}
      - conv: {channels: a.C, kernel: 1}
steps:
  - conv: {channels: 4}
    as: c
"""

# steps after `c`, and the value that passes on; the last step is left out
PASSES_ON = {
    "- {add: [x, c], when: on}": "c",
    "- {add: [c, x], when: on}": "c",
    "- {multiply: [x, prev], when: on}": "c",
    "- {concat: {of: [x, c], over: C}, when: on}": "c",
    "- {add: [x, c], when: on, repeat: 3}": "c",
    "- {Fuse: , from: [x, c], when: on}": "c",
    "- {Fuse: , from: {a: x, b: prev}, when: on}": "c",
    "- {relu: , from: x, when: on}": "x",
    "- {attention: {query: prev, key: x, value: x}, when: on}": "c",
    "- {do: [relu, sigmoid], from: x, when: on}": "x",
    "- {do: [add: [prev, c]], from: x, when: on}": "x",
    "- {parallel: {a: [relu], b: [sigmoid]}, merge: add, when: on}": "c",
    "- {parallel: {a: [relu], b: [sigmoid]}, merge: add, from: x, when: on}": "x",
    "- {split: {over: C, into: [a, b]}, when: on}": "c",
    "- {relu: , repeat: 3, collect: {concat: {over: C}}, when: on}": "c",
    "- {relu: , repeat: 3, collect: add, from: x, when: on}": "x",
    "- {scale: {by: k}, foreach: {k: [1, 2]}, collect: add, from: x, when: on}": "x",
    "- {Fuse: , from: [x, c], repeat: 2, collect: add, when: on}": "c",
}
FUSED = "- {Fuse: , from: [x, c], as: fused}\n  - relu\n"
REFUSED = {
    "- relu\n  - {add: [x, c], when: on}": "add has several inputs (x and c), and none of them is the value",
    "- relu\n  - {concat: {of: [c, x], over: C}, when: on, repeat: 2}": "concat has several inputs (c and x)",
    "- relu\n  - {Fuse: , from: [x, c], when: on}": "Fuse has several inputs (x and c)",
    f"{FUSED}  - {{reuse: fused, from: [x, c], when: on}}": "reuse has several inputs (x and c)",
    "- {const: {axes: {C: 4}, value: 1}, when: on}": "this step has no input",
    "- {weight: {axes: {C: 4}}, when: on}": "this step has no input",
    "- {split: {over: C, into: [a, b]}, when: on, as: s}\n  - {relu: , from: s.a}": "'s' is left out here",
    "- {split: {over: C, into: [a, b]}, as: s}\n  - {do: [relu], when: on}": "s has several results",
}


@pytest.mark.parametrize("steps", PASSES_ON)
def test_value_that_passes_on(steps: str) -> None:
    model = build_graph(f"{HEAD}  {steps}\n")
    [output] = model.outputs.values()
    node = model.find_node(output.ref)
    passed = node.inputs[0] if node is not None and node.name != "c" else output.ref
    assert passed == PASSES_ON[steps]


@pytest.mark.parametrize("steps", REFUSED)
def test_unclear_value(steps: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(f"{HEAD}  {steps}\n")
    assert REFUSED[steps] in caught.value.message


def test_hint_of_unclear_value() -> None:
    """The group that the hint asks for passes the named value on."""
    with pytest.raises(SpecError, match="several inputs") as caught:
        build_graph(f"{HEAD}  - relu\n  - {{add: [x, c], when: on}}\n")
    assert "`- do: [...]` with `from: x` and the `when`" in caught.value.hint
    model = build_graph(f"{HEAD}  - relu\n  - {{do: [add: [x, c]], from: x, when: on, as: sum}}\n")
    assert model.find_node("sum").inputs == ("x",)  # type: ignore[union-attr]


@pytest.mark.parametrize("edit", ["remove: sum", "{replace: sum, with: none}"])
def test_edit_leaves_merge_out(edit: str) -> None:
    merged = "  - {add: [x, c], as: sum}\n  - {sigmoid: , as: last}\n"
    edits = f"edits:\n  - {edit}\n"
    model = build_graph(f"{HEAD}{merged}{edits}")
    assert model.find_node("c") is not None
    with pytest.raises(SpecError, match="sum has several inputs") as caught:
        build_graph(f"{HEAD}  - relu\n{merged}{edits}")
    assert caught.value.code == "SB209"


def test_class_with_and_without_merges() -> None:
    """In one class, a left-out merge passes on the same value as in a class of its own."""
    source = HEAD.replace(
        "blocks:\n",
        "blocks:\n  Unit:\n    params: {plus: true, fuse: true}\n    steps:\n"
        "      - {conv: {channels: x.C}, as: c}\n      - {add: [x, c], when: plus}\n"
        "      - {conv: {channels: x.C}, as: d}\n      - {Fuse: , from: [x, d], when: fuse, as: fused}\n",
    ).replace(
        "params: {on: false}", "params: {sums: [true, false, true, false], fuses: [true, true, false, false]}"
    )
    source = source[: source.index("steps:\n  - conv")]
    steps = '  - Unit: {plus: "sums[i]", fuse: "fuses[i]"}\n    repeat: 4\n    as: units\n'
    whole, scope = build_graph(f"{source}steps:\n{steps}"), {"__name__": "emitted"}
    exec(compile_source(whole, "torch"), scope)
    net = scope["Net"]()  # type: ignore[operator]
    x = torch.randn(2, 4, 8, 8)
    expected = x
    for number, unit in enumerate(net.units):
        c = unit.c(expected)
        d = unit.d(expected + c if number % 2 == 0 else c)
        expected = unit.fused(expected, d) if number < 2 else d
    torch.testing.assert_close(net(x), expected)


NOTHING_BEFORE = """specbuild: 1
model: Net
params: {on: false}
inputs: {x: {C: 4}}
blocks:
  Query:
    params: {on: true}
    inputs: {}
    steps:
      - {weight: {axes: {C: 4}}, when: on, as: w}
      - {const: {axes: {C: 4}, value: 0}, when: not on, as: w}
steps:
  - {Query: {on: on}, as: query}
  - {add: [x, query]}
"""


def test_hints_of_a_step_without_an_input() -> None:
    """Both ways that the hint names leave the step out."""
    for steps in ("- {weight: {axes: {C: 4}}, when: on}", "- {const: {axes: {C: 4}, value: 1}, when: on}"):
        with pytest.raises(SpecError, match="nothing can pass through") as caught:
            build_graph(f"{HEAD}  {steps}\n")
        assert "`- do: [...]`, or write another step of the same name, with the opposite" in caught.value.hint
    group = "- {do: [{weight: {axes: {C: 4}}, as: w}, {multiply: [c, w]}], when: on}"
    assert build_graph(f"{HEAD}  {group}\n").type.sizes["C"] == 4
    assert build_graph(NOTHING_BEFORE).type.sizes == {"C": 4}
    with pytest.raises(SpecError) as caught:
        build_graph(
            NOTHING_BEFORE.replace("      - {const: {axes: {C: 4}, value: 0}, when: not on, as: w}\n", "")
        )
    assert caught.value.hint == "write another step of the same name for this case, with the opposite `when`"
