"""The inputs of a block among its arguments: `Fusion: {x: a, y: b, reduction: 4}`."""

from __future__ import annotations

import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.frontend.editor_schema import build_editor_schema, library_blocks
from specbuild.frontend.schema.op_schema import block_value_schema

NET = """\
specbuild: 1
model: Net
inputs: {a: {C: 8, H: 4, W: 4}, b: {C: 8, H: 4, W: 4}, mask: {H: 4, W: 4}}
blocks:
  Join:
    params: {channels: 8}
    inputs: {left: [C, H, W], right: [C, H, W], mask: {axes: [H, W], optional: true}}
    steps:
      - add: [left, right]
      - multiply: [prev, mask]
        when: given(mask)
      - conv: {channels: channels}
  Sum:
    inputs: {scale: [C, H, W], maps: {each: [C, H, W]}}
    steps:
      - add: [maps.*]
      - multiply: [prev, scale]
  Resized:
    params: {size: 2}
    inputs: {x: [C, H, W], size: [C, H, W]}
    steps:
      - add: [x, size]
      - avg_pool: {kernel: size}
  Unary:
    inputs: {value: [C, H, W]}
    steps: [relu]
steps:
"""


def net(steps: str) -> str:
    return NET + steps


def find_error(text: str) -> SpecError:
    with pytest.raises((SpecError, SpecErrors)) as caught:
        build_graph(net(text))
    return caught.value.errors[0] if isinstance(caught.value, SpecErrors) else caught.value


@pytest.mark.parametrize(
    ("beside_parameters", "by_from"),
    [
        (
            "  - Join: {left: a, right: b, channels: 4}\n",
            "  - Join: {channels: 4}\n    from: {left: a, right: b}\n",
        ),
        (
            "  - relu: \n    from: a\n  - Join: {right: b}\n",
            "  - relu: \n    from: a\n  - Join:\n    from: [prev, b]\n",
        ),
        (
            "  - Join: {left: a, right: b, mask: mask}\n",
            "  - Join:\n    from: {left: a, right: b, mask: mask}\n",
        ),
        ("  - Sum: {scale: a, maps: [a, b]}\n", "  - Sum:\n    from: {scale: a, maps: [a, b]}\n"),
        ("  - Unary: {value: b}\n", "  - Unary:\n    from: b\n"),
        (
            "  - relu: \n    from: a\n  - Join: {left: prev, right: b}\n    repeat: 2\n",
            "  - relu: \n    from: a\n  - Join:\n    from: {left: prev, right: b}\n    repeat: 2\n",
        ),
        (
            "  - parallel:\n      one: [Join: {left: a, right: b}]\n      two: [relu, Join: {right: b}]\n"
            "    from: a\n    merge: add\n",
            "  - parallel:\n      one: [{Join: , from: {left: a, right: b}}]\n"
            "      two: [relu, {Join: , from: {left: prev, right: b}}]\n    from: a\n    merge: add\n",
        ),
    ],
)
def test_inputs_beside_parameters_are_those_of_from(beside_parameters: str, by_from: str) -> None:
    for backend in ("torch", "keras"):
        one, other = (
            compile_source(build_graph(net(text)), backend) for text in (beside_parameters, by_from)
        )
        assert one == other


def test_edits_change_such_steps() -> None:
    edits = "edits:\n  - rewire: joined\n    from: [b, a]\n"
    steps = "  - Join: {left: a, right: b, channels: 4}\n    as: joined\n"
    [joined] = [node for node in build_graph(net(steps) + edits).nodes if node.name == "joined"]
    assert joined.inputs == ("b", "a")
    replaced = "edits:\n  - replace: joined\n    with: {Join: {channels: 8}}\n"
    [joined] = [node for node in build_graph(net(steps) + replaced).nodes if node.name == "joined"]
    assert joined.inputs == ("a", "b")


def test_members_of_a_splice_take_them_too() -> None:
    def build(call: str) -> str:
        step = f"      - {call}\n        repeat: 2\n        splice: true\n"
        return compile_source(
            build_graph(net(f"  - do:\n      - relu\n{step}    from: a\n    as: body\n")), "torch"
        )

    assert build("Join: {left: prev, right: b}") == build("Join:\n        from: {left: prev, right: b}")


def test_a_name_of_both_stays_the_parameter() -> None:
    error = find_error("  - Resized: {x: a, size: 4}\n")  # else `4` would be no value
    assert (error.code, error.message) == ("SB103", "Resized also needs the input size")
    error = find_error("  - Resized: {size: 4}\n    from: {x: a, size: b}\n")
    assert (error.code, error.message) == ("SB204", "'size' is the name of a parameter and of an input")


@pytest.mark.parametrize(
    ("steps", "code", "message", "hint"),
    [
        (
            "  - Join: {right: b}\n    from: a\n",
            "SB105",
            "'right' is an input of Join, and so is what `from` gives",
            "give all inputs of the step in one place: move right to `from`",
        ),
        ("  - Sum: {scale: a}\n", "SB103", "Sum also needs the input maps", ""),
        (
            "  - Join: {left: a, right: c}\n",
            "SB202",
            "no earlier step or input is named 'c'",
            "available: a, b and mask",
        ),
        (
            "  - Join: {left: a, rihgt: b}\n",
            "SB101",
            "Join has no parameter 'rihgt'",
            "did you mean 'right'?",
        ),
        (
            "  - Join: {left: a, right: b, width: 3}\n",
            "SB101",
            "Join has no parameter 'width'",
            "write `channels: 3`",
        ),
        (
            "  - parallel:\n      one: [relu]\n      two: [tanh]\n    from: a\n    merge: {Join: {left: b}}\n",
            "SB101",
            "Join has no parameter 'left'",
            "'left' is an input: write `from: {left: ...}`, aligned with 'Join'",
        ),
    ],
)
def test_refusals(steps: str, code: str, message: str, hint: str) -> None:
    error = find_error(steps)
    assert (error.code, error.message, error.hint) == (code, message, hint)
    assert error.location is not None


def test_editors_complete_the_inputs_of_blocks() -> None:
    fusion = block_value_schema(library_blocks()["AttentionalFeatureFusion"])
    assert list(fusion["properties"]) == ["reduction", "x", "y"]
    assert fusion["properties"]["y"] == {"type": "string", "description": "An input."}
    offered = build_editor_schema()["definitions"]["block.AttentionalFeatureFusion"]
    assert offered["properties"] == fusion["properties"]
