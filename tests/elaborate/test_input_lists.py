"""A block that takes a list: `inputs: {maps: {each: [C, H, W]}}`, with `maps.0`, `maps.*` and `len(maps)`."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.ir.graph import Block
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

NECK = """\
specbuild: 1
model: Neck
inputs: {image: {C: 3, H: 16, W: 12}}
blocks:
  Fuse:
    params: {channels: 4}
    inputs: {x: [C, H, W], maps: {each: [C, H, W]}}
    steps:
      - do:
        - conv: {channels: channels, kernel: 1}
        - resize: {size: {H: x.H, W: x.W}}
        foreach: {m: maps.*}
        from: m
        as: lateral
      - add: [lateral.*, x]
      - multiply: [prev, lateral.0]
        when: len(maps) > 2
  Join:
    inputs: {maps: {each: [C, H, W]}}
    let: {count: len(maps)}
    steps:
      - weight: {axes: {C: "maps[0].C"}, init: uniform(1)}
        as: gain
      - multiply: [maps.0, gain]
      - concat: {of: [prev, maps.*], over: C}
      - conv: {channels: "count * maps[0].C", kernel: 1}
steps:
  - conv: {channels: 4, stride: 2}
    as: a
  - conv: {channels: 4, stride: 2}
    as: b
  - conv: {channels: 5, stride: 2}
    as: c
  - Fuse:
    from: {x: a, maps: [b, c]}
    as: two
  - Fuse:
    from: [a, c, b]
    as: other_two
  - Fuse:
    from: [a, b, c, two]
    as: three
  - Fuse:
    from: {x: a, maps: [c]}
    repeat: 2
    as: one
  - Join:
    from: [one, two, other_two]
    as: join
  - reuse: join
    from: {maps: [two, three, two]}
    as: again
  - Join:
    from: [join, again]
    as: joined
"""


def build_net() -> Any:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(NECK), "torch"), names)
    return names["Neck"]().double().eval()


def test_the_net_is_what_the_spec_says() -> None:
    net = build_net()
    image = torch.randn(2, 3, 16, 12, dtype=torch.float64)

    def fuse(block: Any, x: torch.Tensor, maps: list[torch.Tensor]) -> torch.Tensor:
        convs = [member[0] for member in block.lateral]
        assert len(convs) == len(maps)
        laterals = [
            torch.nn.functional.interpolate(conv(m), size=x.shape[2:])
            for conv, m in zip(convs, maps, strict=True)
        ]
        total = x + sum(laterals)
        return total * laterals[0] if len(maps) > 2 else total

    def join(block: Any, maps: list[torch.Tensor]) -> torch.Tensor:
        out = block.conv(torch.cat([maps[0] * block.gain[:, None, None], *maps], dim=1))
        assert out.shape[1] == len(maps) * maps[0].shape[1]
        return out

    a = net.a(image)
    b = net.b(a)
    c = net.c(b)
    two, other_two = fuse(net.two, a, [b, c]), fuse(net.other_two, a, [c, b])
    three = fuse(net.three, a, [b, c, two])
    one = fuse(net.one[1], fuse(net.one[0], a, [c]), [c])
    first, again = join(net.join, [one, two, other_two]), join(net.join, [two, three, two])
    torch.testing.assert_close(net(image), join(net.joined, [first, again]))


def test_one_class_for_each_number_of_values() -> None:
    net = build_net()
    assert type(net.two) is type(net.other_two)
    assert len({type(block) for block in (net.two, net.three, net.one[0])}) == 3
    assert type(net.join) is not type(net.joined)
    assert type(net.join)(2, 3, 4).conv.weight.shape == (6, 11, 1, 1)  # its arguments govern its layers


def test_a_list_of_another_length_is_an_error() -> None:
    net = build_net()
    x = torch.randn(2, 4, 8, 6, dtype=torch.float64)
    assert net.two(x, [x, torch.randn(2, 5, 3, 3, dtype=torch.float64)]).shape == x.shape
    with pytest.raises(ValueError, match="too many values to unpack"):
        net.two(x, [x, x, x])
    image = torch.randn(1, 3, 16, 12, dtype=torch.float64)
    exported = torch.export.export(net, (image,)).module()
    torch.testing.assert_close(exported(image), net(image))


def test_keras_agrees(parity_of: ParityOf) -> None:
    def list_case() -> ParityCase:
        return ParityCase("lists", build_graph(NECK), dtype="float64")

    report = parity_of(list_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


BLOCKS = """\
blocks:
  One: {inputs: {m: {each: [C]}}, steps: [{add: [m.*]}]}
  Two: {inputs: {x: [C], m: {each: null}}, steps: [{add: [x, m.*]}, {relu: , from: m.0}, {add: [x, prev]}]}
  First: {inputs: {m: {each: [C]}}, steps: [{relu: , from: m.0}]}
  Both: {inputs: {m: {each: [C]}}, steps: [{One: , from: m.*, as: o}, {Two: , from: {x: o, m: [m.*, o]}}]}
"""


def build(steps: str, blocks: str = "") -> Block:
    head = "specbuild: 1\nmodel: M\ninputs: {x: {C: 2}, y: {C: 2}}\n"
    return build_graph(f"{head}{BLOCKS}{blocks}steps: {steps}\n")


def test_values_are_passed_on() -> None:
    graph = build("[{Both: , from: [x, y, x]}]")
    both = graph.nodes[0].op
    assert isinstance(both, Block)
    assert list(both.inputs) == ["m.0", "m.1", "m.2"]
    assert [node.inputs for node in both.nodes] == [("m.0", "m.1", "m.2"), ("o", "m.0", "m.1", "m.2", "o")]


def test_values_that_nothing_reads_are_arguments_still() -> None:
    graph = build("[{First: , from: [x, y], as: a}, {First: , from: [y], as: b}, {add: [a, b]}]")
    code = compile_source(graph, "torch")
    assert "self.a([x, y])" in code
    assert "self.b([y])" in code
    assert "m_0, m_1 = m" in code
    assert "(m_0,) = m" in code


def test_an_edit_puts_a_block_with_a_list_in_place_of_an_op() -> None:
    graph = build("[{add: [x, y, x], as: a}]\nedits: [{replace: a, with: Two}]")
    assert [(node.inputs, list(node.op.inputs)) for node in graph.nodes] == [  # type: ignore[union-attr]
        (("x", "y", "x"), ["x", "m.0", "m.1"])
    ]


def test_a_step_that_is_left_out_may_read_a_value_that_the_list_has_not() -> None:
    steps = (
        "[{tanh: , from: m.0}, {add: [prev, m.2], when: len(m) > 2, as: s}, "
        "{do: [relu], from: m.2, when: len(m) > 2, as: g}, {multiply: [g, s]}]"
    )
    block = f"  Some: {{inputs: {{m: {{each: [C]}}}}, steps: {steps}}}\n"
    graph = build("[{Some: , from: [x, y], as: a}, {Some: , from: [x, y, a], as: b}]", block)
    two, three = (node.op for node in graph.nodes)
    assert isinstance(two, Block)
    assert isinstance(three, Block)
    assert [node.inputs for node in two.nodes] == [("m.0",), ("tanh",), ("s",), ("g", "s")]
    assert [node.inputs for node in three.nodes] == [("m.0",), ("tanh", "m.2"), ("m.2",), ("g.0", "s")]


def test_the_hint_for_a_list_that_is_handed_on_works() -> None:
    block = "  Outer: {inputs: {m: {each: [C]}}, steps: [{One: , from: {m: m}}]}\n"
    with pytest.raises(SpecError, match="One takes a list as m") as caught:
        build("[{Outer: , from: [x, y]}]", block)
    assert caught.value.hint == "write `m: m.*`"
    assert build("[{Outer: , from: [x, y]}]", block.replace("m: m}", "m: m.*}"))


def test_a_step_that_is_left_out_passes_on_the_value_before() -> None:
    steps = "[{tanh: , from: m.1}, {add: [m.0, m.2], when: len(m) > 2}]"
    block = f"  Some: {{inputs: {{m: {{each: [C]}}}}, steps: {steps}}}\n"
    with pytest.raises(SpecError, match="none of them is the value of the step before"):
        build("[{Some: , from: [x, y]}]", block)


@pytest.mark.parametrize(
    ("steps", "message", "hint"),
    [
        ("[One]", "One takes a list as m", "write `from: [a, b]`"),
        ("[{Two: , from: y}]", "Two takes a list as m", "write `from: {x: ..., m: [a, b]}`"),
        ("[{Two: , from: [y]}]", "Two takes x, and a list as m, but 1 value is given", "by its name"),
        ("[{Two: , from: {x: y}}]", "Two also needs the input m", ""),
        ("[{Two: , from: {x: y, m: x}}]", "Two takes a list as m", "write `m: [x]`"),
        ("[{Two: , from: {x: [y], m: [x]}}]", "expected the name of a step or an input", ""),
        ("[{Two: , from: {x: y, k: [x]}}]", "Two has no input 'k'", "its inputs are"),
        ("[{Two: , from: {x: y, m: [z]}}]", "no earlier step or input is named 'z'", ""),
        (
            "[{One: , from: [x, y], repeat: 2}]",
            "One gives one value, and takes a list as m",
            "before the list",
        ),
        (
            "[{do: [{One: , from: [x, y]}], as: a}, {reuse: a.0, from: x}]",
            "reuse takes a list as m",
            "[a, b]",
        ),
        (
            "[{Two: , from: [x, y], repeat: 2, as: a}, {reuse: a, from: {x: y, m: [x, y]}}]",
            "a has 2 inputs, but 3 are given",
            "lists of the same lengths",
        ),
    ],
)
def test_calls_that_are_refused(steps: str, message: str, hint: str) -> None:
    with pytest.raises((SpecError, SpecErrors), match=re.escape(message)) as caught:
        build(steps.replace("[One]", "[relu, {One: }]"))
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "steps", "message", "hint"),
    [
        ("m: {each: [C]}, n: {each: [C]}", "relu", "m takes a list already", "make two blocks"),
        ("m_0: [C], m: {each: [C]}", "relu", "'m_0' is the name of a value of m", "use another name"),
        ("m: {each: [C]}", "relu: , from: m", "m is a list of values", "write `m.0` for one"),
        ("m: {each: [C]}", "relu: , from: m.2", "m has 2 values here, and no m.2", "when: len(m) > 1"),
        ("m: {each: [C]}", "relu: , from: m_0", "no earlier step or input is named 'm_0'", "m.0"),
        ("m: {each: [C]}", "relu: , foreach: {a: m}", "m is a list of values of the model", "write `m.*`"),
        ("m: {each: [C]}", "linear: {features: m.C}", "'m' is a list and has no axes", ""),
        ("m: {each: [C]}", "linear: {features: 'm[0].H'}", "'m[0]' has no axis 'H'", "available: C"),
        ("m: {each: [C]}", "linear: {features: 'm[2].C'}", "asks for item 2 of a list of 2 items", ""),
        ("m: {each: [C]}", "linear: {features: m}", "m", ""),
        ("m: {each: [C]}", "relu: , from: m.0, as: m", "'m' is already the name of an input", ""),
        ("m: {each: [T]}", "relu: , from: m.0", "takes m.0 with axes T, but gets {C: 2}", ""),
        ("m: {each: [C], of: 2}", "relu: , from: m.0", "of", ""),
        ("m: {each: C}", "relu: , from: m.0", "each", ""),
    ],
)
def test_blocks_that_are_refused(inputs: str, steps: str, message: str, hint: str) -> None:
    block = f"  Bad: {{inputs: {{{inputs}}}, steps: [{{{steps}}}]}}\n"
    with pytest.raises((SpecError, SpecErrors), match=re.escape(message)) as caught:
        build("[{Bad: , from: [x, y]}]", block)
    assert hint in str(caught.value)


def test_a_model_names_each_of_its_inputs() -> None:
    text = "specbuild: 1\nmodel: M\ninputs: {m: {each: {C: 2}}}\nsteps: [relu]\n"
    with pytest.raises((SpecError, SpecErrors), match="a list is an input of a block"):
        build_graph(text)
