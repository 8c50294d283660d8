"""`foreach` puts members side by side, and `collect` joins the values of all members."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.ir.fixed_sizes import find_fixed_sizes
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

SIDE_BY_SIDE = """\
specbuild: 1
model: M
params: {rates: [1, 2, 3]}
inputs: {image: {C: 3, H: 8, W: 6}}
blocks:
  Pyramid:
    params: {rates: [2, 4], channels: 4}
    steps:
      - do:
        - conv: {channels: channels, dilation: rate}
        - batch_norm
        - relu
        foreach: {rate: rates}
        collect: {concat: {over: C}}
        as: branches
      - conv: {channels: channels, kernel: 1}
steps:
  - Pyramid: {rates: rates}
    as: a
  - Pyramid: {channels: 5, rates: "[3, 1]"}
    as: b
  - conv: {channels: 4, stride: 2}
    as: c4
  - conv: {channels: 5, stride: 2}
    as: c5
  - conv: {channels: 4 + k, kernel: 1}
    foreach: {level: [b, c4, c5], k: [1, 1, 2]}
    from: level
    names: "lateral{i + 3}"
    as: laterals
  - resize: {size: {H: b.H, W: b.W}}
    foreach: {level: laterals.*}
    from: level
    as: up
  - concat: {of: [up.*, up.0], over: C}
    as: joined
  - conv: {channels: prev.C}
    repeat: 2
    collect: add
    as: body
  - reuse: body
    from: joined
    as: again
  - multiply: [body, again]
"""


def build_net() -> Any:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(SIDE_BY_SIDE), "torch"), names)
    return names["M"]().double().eval()


def test_each_member_has_its_own_value() -> None:
    net = build_net()
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)

    def apply(block: Any, x: torch.Tensor) -> torch.Tensor:
        return block.conv(torch.cat([branch(x) for branch in block.branches], dim=1))

    assert [branch[0].dilation[0] for branch in net.a.branches] == [1, 2, 3]
    assert [branch[0].dilation[0] for branch in net.b.branches] == [3, 1]
    b = apply(net.b, apply(net.a, x))
    c4 = net.c4(b)
    levels = [b, c4, net.c5(c4)]
    assert list(net.laterals) == ["lateral3", "lateral4", "lateral5"]
    laterals = [layer(level) for layer, level in zip(net.laterals.values(), levels, strict=True)]
    up = [torch.nn.functional.interpolate(x, size=(8, 6)) for x in laterals]
    joined = torch.cat([*up, up[0]], dim=1)
    first = net.body[0](joined)
    body = first + net.body[1](first)
    torch.testing.assert_close(net(x), body * body)


def test_keras_agrees(parity_of: ParityOf) -> None:
    def foreach_case() -> ParityCase:
        return ParityCase("foreach", build_graph(SIDE_BY_SIDE), dtype="float64")

    report = parity_of(foreach_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


def build(steps: str) -> Any:
    text = f"specbuild: 1\nmodel: M\nparams: {{n: 2, sizes: [1, 3]}}\ninputs: {{x: {{C: 2, H: 3}}}}\nsteps: {steps}\n"
    return build_graph(text)


def test_edits_find_members() -> None:
    edits = "edits: [{set: s.1, to: {kernel: 1}}, {remove: s.0}]"
    graph = build(
        f"[{{conv: {{channels: 4, dilation: k}}, foreach: {{k: [1, 3, 5]}}, collect: add, as: s}}]\n{edits}"
    )
    assert [node.name for node in graph.nodes] == ["s.1", "s.2", "s_collected"]
    assert graph.nodes[0].op.kernel == 1  # type: ignore[union-attr]


def test_a_number_counts() -> None:
    graph = build("[{scale: {by: k}, foreach: {k: n + 1}, collect: {concat: {over: C}}, as: s}]")
    assert [node.op.by for node in graph.nodes[:-1]] == [0, 1, 2]  # type: ignore[union-attr]


def test_a_size_that_counts_members_is_fixed() -> None:
    graph = build("[{scale: {by: k}, foreach: {k: x.H}, collect: {concat: {over: C}}}]")
    assert find_fixed_sizes(graph) == {("x", "H"): 3}


def test_items_are_values_numbers_and_sizes() -> None:
    steps = "[{relu: , as: r}, {conv: {channels: k}, foreach: {v: [x, r], k: [n + 1, r.C]}, from: v, as: s}]"
    graph = build(f"{steps}\noutputs: [s.0, s.1]")
    assert [(node.inputs, node.type["C"]) for node in graph.nodes[1:]] == [(("x",), 3), (("r",), 2)]


def test_members_are_read_inside_a_group() -> None:
    inner = "{relu: , foreach: {a: sizes}, as: s}, {add: [s.*]}, {add: [prev, s.1]}"
    graph = build(f"[{{do: [{inner}], repeat: 2, as: g}}]")
    inputs = [node.inputs for node in graph.nodes if node.name.rpartition(".")[2] in ("1", "2")]
    assert inputs[1:3] == [("g.0.s.0", "g.0.s.1"), ("g.0.1", "g.0.s.1")]
    assert inputs[4:6] == [("g.1.s.0", "g.1.s.1"), ("g.1.1", "g.1.s.1")]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[{relu: , foreach: {a: [1, 2], b: [1]}}]", "unequal lengths: a has 2 and b has 1"),
        ("[{relu: , foreach: {n: [1, 2]}}]", "'n' has a meaning here already"),
        ("[{relu: , foreach: {a: n > 1}}]", "`foreach` takes a list or a whole number"),
        ("[{relu: , foreach: {a: [nothing]}}]", "no earlier step or input is named 'nothing'"),
        ("[{relu: , foreach: {a: [1]}, repeat: 2}]", "`repeat` for members one after another"),
        ("[{relu: , collect: add}]", "`collect` is for the members of a `repeat` or a `foreach`"),
        ("[{relu: , names: 'a{i}'}]", "`names` is for the members of a `repeat` or a `foreach`"),
        ("[{relu: , foreach: {a: sizes}, as: s}, tanh]", "there is no value before this step"),
        ("[{relu: , foreach: {a: sizes}, as: s}, {tanh: , from: s}]", "s has a value for each member"),
        ("[{relu: , foreach: {a: sizes}, as: s}, {reuse: s, from: x}]", "s has no value of its own"),
        ("[{relu: , repeat: n - 2, collect: add}]", "there is nothing to collect"),
        ("[{do: [{relu: , repeat: 2, splice: true, collect: add}]}]", "remove `splice` or `collect`"),
    ],
)
def test_refused(steps: str, message: str) -> None:
    with pytest.raises((SpecError, SpecErrors), match=re.escape(message)):
        build(steps)


@pytest.mark.parametrize(
    ("last", "line", "message"),
    [
        ("{parallel: {a: [relu], b: [tanh]}}", 5, "the last step of Net has no value of its own"),
        ("{linear: {features: k}, foreach: {k: [1, 2]}}", 5, "the last step of Net has no value of its own"),
        ("{split: {into: [a, b], over: C}}", 5, "split has several results: split.a and split.b"),
    ],
)
def test_a_model_without_one_result_is_refused_at_its_last_step(last: str, line: int, message: str) -> None:
    head = "specbuild: 1\nmodel: Net\ninputs: {x: {T: 3, C: 2}}\nsteps:\n"
    with pytest.raises(SpecError, match=message) as caught:
        build_graph(f"{head}  - {last}\n")
    assert (caught.value.code, caught.value.location and caught.value.location.line) == ("SB202", line)


def test_from_of_all_members_is_the_input_of_the_group() -> None:
    """It passes on where the step is left out, and another takes its place where the step is used again."""
    convs = "conv: {channels: 3, dilation: d}, foreach: {d: [1, 2]}, collect: {concat: {over: C}}, from: x, as: convs"
    head = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4, H: 8, W: 8}, y: {C: 4, H: 8, W: 8}}\nsteps:\n"
    graph = build_graph(
        f"{head}  - {{relu: , from: y}}\n  - {{{convs}}}\n  - {{reuse: convs, from: y, as: b}}\n"
    )
    assert [node.inputs for node in graph.nodes] == [("y",), ("y",), ("convs.0", "convs.1")]
    graph = build_graph(
        f"{head}  - {{relu: , from: y}}\n  - {{{convs}, when: false}}\n  - softmax: {{over: C}}\n"
    )
    assert [(node.name, node.inputs) for node in graph.nodes][-1] == ("softmax", ("convs",))
    assert graph.find_node("convs").inputs == ("x",)  # type: ignore[union-attr]


@pytest.mark.parametrize("item", ["5", "true", "{relu: {}}", "2 * 3"])
def test_lists_that_mix_values_and_numbers(item: str) -> None:
    """The item is pointed at, not the step that reads it."""
    text = f"""\
specbuild: 1
model: M
inputs: {{x: {{C: 8}}}}
steps:
  - relu:
    as: a
  - linear: {{features: 4}}
    foreach:
      level: [a, {item}]
    from: level
    collect: add
"""
    with pytest.raises(SpecError) as caught:
        build_graph(text)
    assert caught.value.code == "SB305" and "item 2 of this list is no value" in caught.value.message
    assert caught.value.location is not None
    assert (caught.value.location.line, caught.value.location.column) == (9, 18)
