"""Expressions read the sizes of earlier values, and the names under `let`."""

from __future__ import annotations

import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

HEAD = "specbuild: 1\nmodel: M\ninputs: {x: {C: 8, H: 6, W: 4}}\n"


def build_steps(steps: str, head: str = HEAD) -> Block:
    return build_graph(f"{head}steps:\n{steps}")


def output_sizes(model: Block) -> dict[str, int]:
    return {axis: int(size) for axis, size in model.type.sizes.items()}


@pytest.mark.parametrize(
    ("expression", "channels"),
    [
        ("up.C", 16),
        ("prev.C + x.C", 24),
        ("2 * up.C // up.H", 5),
        ("group.C", 5),
        ("group.inner.C", 3),
        ("halves.a.C", 8),
        ("unit.C", 7),
        ("unit.stem.C", 4),
        ("unit.extra.C", 4),
        ("stack.C", 64),
    ],
)
def test_the_size_of_an_earlier_value(expression: str, channels: int) -> None:
    head = HEAD + (
        "blocks: {Unit: {steps: [{conv: {channels: x.C // 4}, as: stem}, {conv: {channels: 7}, as: last}],"
        " outputs: {main: last, extra: stem}}}\n"
    )
    model = build_steps(
        "  - {do: [{conv: {channels: 3}, as: inner}, conv: {channels: 5}], as: group}\n"
        "  - {conv: {channels: 2 * x.C}, from: x, as: up}\n"
        "  - {split: {over: C, into: [a, b]}, as: halves}\n"
        "  - {Unit: {}, from: up, as: unit}\n"
        "  - {conv: {channels: 2 * prev.C}, from: x, repeat: 3, as: stack}\n"
        "  - {relu: {}, from: up}\n"
        f"  - conv: {{channels: {expression}}}\n",
        head,
    )
    assert output_sizes(model)["C"] == channels


INSIDE = """\
specbuild: 1
model: M
inputs: {x: {C: 4, T: 8}}
blocks:
  Stage:
    inputs: {x: [C, T]}
    steps:
      - {linear: {features: 2 * x.C}, as: wide}
      - {split: {over: C, into: [p, q]}, as: parts}
      - {add: [parts.p, parts.q]}
  Body:
    inputs: {x: [C, T]}
    steps:
      - {do: [{linear: {features: 6}}, relu], as: g}
      - {linear: {features: 8}, repeat: 3, as: r}
      - {parallel: {a: [{linear: {features: 5}}], b: [{do: [{linear: {features: 7}}, tanh]}]}, merge: {concat: {over: C}}, as: p}
      - {linear: {features: k}, foreach: {k: [3, 9]}, from: p, as: f}
      - {linear: {features: 2}, from: p, repeat: 2, collect: {concat: {over: C}}, as: c}
      - {do: [{Stage: , repeat: 2, names: "stage{i + 1}"}], from: x, as: stages}
    outputs: stages
steps:
  - {Body: , as: body}
  - {do: [{linear: {features: 5}, foreach: {n: [1, 2]}, collect: {concat: {over: C}}, as: f}, relu], from: x, as: outer}
  - {linear: {features: EXPRESSION}, from: x}
"""


@pytest.mark.parametrize(
    ("expression", "channels"),
    {
        "body.g.C": 6,
        "body.g.0.C": 6,
        "body.r.C": 8,
        "body.r.0.C + body.r.2.C": 16,
        "body.p.C": 12,
        "body.b.C": 7,
        "body.b.0.C": 7,
        "body.f.0.C": 3,
        "body.f.1.C": 9,
        "body.c.C": 4,
        "body.stages.C": 4,
        "body.stages.0.stage2.wide.C": 8,
        "body.stages.0.stage1.parts.q.C": 4,
        "body.x.C * body.x.T": 32,
        "outer.f.C": 10,
        "outer.f.1.C": 5,
    }.items(),
)
def test_the_size_of_a_value_inside_a_block(expression: str, channels: int) -> None:
    assert output_sizes(build_graph(INSIDE.replace("EXPRESSION", expression)))["C"] == channels


@pytest.mark.parametrize(
    ("expression", "message"),
    {
        "body.q.C": "'body' has no axis 'q'",
        "body.f.C": "'body.f' has no axis 'C'",  # a value for each member, and none of its own
        "body.r.3.C": "'body.r' has no axis '3'",
        "body.g.C.0": "'body.g.C' is a number and has no axes",
        "body.0.C": "'body' has no axis '0'",
    }.items(),
)
def test_a_size_that_is_not_inside_a_block(expression: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(INSIDE.replace("EXPRESSION", expression))
    assert caught.value.message == message


def test_an_item_of_a_list_is_read_by_its_number() -> None:
    head = (
        HEAD
        + 'blocks: {L: {inputs: {m: {each: [C, H, W]}}, steps: [{conv: {channels: "m.1.C + m[0].C"}}]}}\n'
    )
    model = build_steps("  - {conv: {channels: 3}, as: a}\n  - {L: , from: [x, a]}\n", head)
    assert output_sizes(model)["C"] == 11


def test_a_repeat_reads_the_member_before() -> None:
    model = build_steps("  - {conv: {channels: prev.C + 1}, repeat: 3}\n")
    assert output_sizes(model)["C"] == 11


def test_code_computes_with_the_sizes() -> None:
    model = build_steps(
        "  - {conv: {channels: width}, as: up}\n  - linear: {features: 2 * up.C}\n",
        HEAD + "params: {width: 5}\n",
    )
    assert "nn.Linear(width, 2 * width)" in compile_source(model, "torch")


def test_a_condition_reads_sizes() -> None:
    steps = "  - {conv: {channels: 4}, as: up}\n  - {conv: {channels: 9}, when: up.C %s 4}\n"
    assert [output_sizes(build_steps(steps % op))["C"] for op in ("==", "!=")] == [9, 4]


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("up.Q", "'up' has no axis 'Q'", "available: C, H and W"),
        ("up", "'up' has axes and is not a number", "read the size of an axis: up.C, up.H, up.W"),
        ("halves.C", "'halves' has no axis 'C'", None),
        ("later.C", "nothing is named 'later' here", None),
        ("up.C.C", "'up.C' is a number and has no axes", ""),
    ],
)
def test_a_size_that_is_not_there(expression: str, message: str, hint: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        build_steps(
            "  - {conv: {channels: 4}, as: up}\n"
            "  - {split: {over: C, into: [a, b]}, as: halves}\n"
            f"  - {{conv: {{channels: {expression}}}, from: up}}\n"
            "  - {conv: {channels: 4}, as: later}\n"
        )
    assert caught.value.message == message
    assert hint is None or caught.value.hint == hint


LETS = """\
specbuild: 1
model: M
params: {width: 16, depth: 3}
inputs: {x: {C: 8, T: 6}}
let: {wide: 2 * width, is_deep: depth > 2, widths: "[width, wide]", rest: x.T - 1}
blocks:
  Unit:
    params: {ratio: 2}
    let: {hidden: x.C // ratio, is_narrow: hidden < 10}
    steps:
      - linear: {features: hidden}
      - {relu: {}, when: is_narrow}
      - linear: {features: x.C}
steps:
  - {linear: {features: "widths[1]"}, when: is_deep}
  - Unit: {ratio: 4}
  - {Unit: {ratio: 2}, as: last}
  - slice: {over: T, stop: rest}
"""


def test_let_names_an_expression() -> None:
    model = build_graph(LETS)
    assert output_sizes(model) == {"C": 32, "T": 5}
    assert output_sizes(build_graph(LETS, {"depth": 2})) == {"C": 8, "T": 5}
    code = compile_source(model, "torch")
    assert "hidden = in_channels // ratio\n" in code  # read twice, so that it is a variable
    assert "nn.Linear(in_channels, hidden)" in code
    assert "self.use_relu = hidden < 10" in code


@pytest.mark.parametrize(
    ("lets", "code", "message"),
    [
        ("{width: 3}", "SB204", "'width' is already the name of a parameter"),
        ("{x: 3}", "SB204", "'x' is already the name of an input"),
        ("{prev: 3}", "SB203", "'prev' cannot be a `let`: it has another meaning in expressions"),
        ("{b: c, c: 1}", "SB302", "nothing is named 'c' here"),
        ("{b: 'x['}", "SB301", "`x[` is not an expression"),
    ],
)
def test_a_let_that_cannot_be(lets: str, code: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(f"{HEAD}params: {{width: 2}}\nlet: {lets}\nsteps: [relu]\n")
    assert (caught.value.code, caught.value.message) == (code, message)


def test_expect_checks_the_axes_that_it_names() -> None:
    build_steps("  - {relu: {}, expect: {H: 6}}\n")
    for expected in ("{H: 5}", "{Q: 1}", "{axes: {H: 6}, dtype: int32}"):
        with pytest.raises(SpecError) as caught:
            build_steps(f"  - {{relu: {{}}, expect: {expected}}}\n")
        assert caught.value.code == "SB402"


POSITIONS = """\
specbuild: 1
model: M
inputs: {image: {C: 3, H: 4, W: 4}}
blocks:
  Positions:
    params: {length: int, channels: int}
    inputs: {}
    steps:
      - weight: {axes: {T: length, C: channels}, init: normal(1)}
      - linear: {features: channels}
  Twice:
    params: {length: int, channels: int}
    inputs: {}
    steps:
      - Positions: {length: length, channels: channels}
      - tanh
steps:
  - flatten: {axes: [H, W], into: T}
    as: tokens
  - Twice: {length: tokens.T, channels: tokens.C}
    as: first
  - Positions: {length: tokens.T, channels: tokens.C}
    as: second
  - add: [tokens, first, second]
"""


def test_blocks_without_inputs(parity_of: ParityOf) -> None:
    def positions_case() -> ParityCase:
        return ParityCase("positions", build_graph(POSITIONS), dtype="float64")

    report = parity_of(positions_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


def test_a_block_without_inputs_takes_no_from() -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(POSITIONS.replace("    as: first", "    from: tokens\n    as: first"))
    assert (caught.value.code, caught.value.message) == ("SB101", "Twice takes no inputs")


@pytest.mark.parametrize("op", ["weight: {axes: {C: 4}}", "const: {axes: {C: 4}, value: 1}"])
def test_an_op_without_inputs_takes_no_from(op: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(
            "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4, H: 8, W: 8}}\n"
            f"steps:\n  - {op}\n    from: x\n    as: w\n  - scale: {{by: w}}\n    from: x\n"
        )
    assert caught.value.location is not None
    assert (caught.value.code, caught.value.location.line) == ("SB101", 6)
    assert (caught.value.message, caught.value.hint) == (
        f"{op.partition(':')[0]} takes no inputs",
        "remove `from`",
    )


def test_a_number_in_a_block_argument_is_no_name() -> None:
    """`1e-3` reads no member of the repeat, whose names are numbers; if it did, the size of the image would be fixed."""
    model = build_graph(
        """
specbuild: 1
model: Net
inputs: {image: {C: 3, H: 9, W: 8}}
blocks:
  Layer:
    params: {norm: {type: block, default: batch_norm}}
    inputs: {x: [C, H, W]}
    steps: [conv: {channels: 4}, use: norm]
steps:
  - Layer: {norm: {batch_norm: {epsilon: 1e-3, momentum: 0.0}}}
    repeat: 3
"""
    )
    assert not model.step_sizes and "check_size" not in compile_source(model, "torch")
