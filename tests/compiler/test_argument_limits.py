"""What constructors refuse: values for which a class of its own, a list, or a lost expression has no code."""

from __future__ import annotations

import re

import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.frontend.library import LIBRARY

SECOND = """
specbuild: 1
model: Net
inputs: {x: {C: 3, H: 8, W: 8}}
blocks:
  Chosen:
    params: {act: {type: block, default: relu}, width: int}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: width}
        when: width > 3
      - use: act
steps:
  - Chosen: {width: 4}
  - Chosen: {width: 4, act: batch_norm}
"""
LISTS = """
specbuild: 1
model: Net
params: {widths: [4, 5], bins: [1, 2, 3], first: 1, stages: [[2, 3], [4]]}
inputs: {x: {C: 3, H: 8, W: 8}}
steps:
  - conv: {channels: "widths[0]"}
  - conv: {channels: "widths[len(widths) - 1]"}
  - conv: {channels: "bins[first]"}
  - conv: {channels: "stages[0][1] + stages[1][0] + stages[0][0]"}
"""
OPTIONAL = """
specbuild: 1
model: Net
inputs: {x: {C: 3, H: 8, W: 8}}
blocks:
  Some:
    params: {widths: list}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: "widths[0]"}
      - conv: {channels: "widths[1]"}
        when: len(widths) > 1
steps:
  - Some: {widths: [4, 5]}
  - Some: {widths: [4]}
"""
OPAQUE = """
specbuild: 1
model: Net
params: {width: 10}
inputs: {x: {C: 3, H: 8, W: 8}}
let: {narrow: "NARROW"}
steps:
  - conv: {channels: width}
  - conv: {channels: OF}
"""


def refusals(source: str, name: str) -> list[str]:
    """The messages with which the constructor of a class refuses arguments."""
    [code] = re.findall(rf"^(?:class|def) {name}\(.*?(?=\nclass |\ndef |\n@|\Z)", source, re.S | re.M)
    return re.findall(r'ValueError\(\s*"(.*?)"', code)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_every_class_of_a_block_refuses_what_it_has_no_code_for(backend: str) -> None:
    source = compile_source(build_graph(SECOND), backend)
    for name in ("Chosen", "Chosen2"):
        assert refusals(source, name) == ["this Chosen has no code for width <= 3"]


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_lists_have_the_items_that_the_code_reads(backend: str) -> None:
    assert refusals(compile_source(build_graph(LISTS), backend), "Net") == [
        "bins must have at least 2 items",
        "stages must have 2 items",
        "stages[0] must have 2 items",
        "stages[1] must have 1 item",
        "widths must have 2 items",
    ]
    assert refusals(compile_source(build_graph(OPTIONAL), backend), "Some") == [
        "widths must have at least 1 item",
        "widths must have at most 2 items",
    ]


def test_a_list_whose_length_counts_is_as_long_as_the_row_is_right_for() -> None:
    """The row has its layers written out: a shorter list would need fewer."""
    text = "specbuild: 1\nmodel: Net\nparams: {depths: [1, 2]}\ninputs: {x: {C: 4, T: 8}}\nsteps:\n"
    text += "  - linear: {features: 'depths[0]'}\n  - {linear: {features: 5}, repeat: len(depths)}\n"
    assert refusals(compile_source(build_graph(text), "torch"), "Net") == ["depths must have 2 items"]


def test_lists_of_other_lengths_raise_a_value_error() -> None:
    scope: dict[str, object] = {"__name__": "emitted"}
    exec(compile_source(build_graph(LISTS), "torch"), scope)
    net: type = scope["Net"]  # type: ignore[assignment]
    assert net(widths=(2, 7)).conv2.out_channels == 7
    for wrong in ({"widths": (4,)}, {"widths": (4, 5, 6)}, {"bins": (1,)}, {"stages": ((2,), (4,))}):
        with pytest.raises(ValueError, match="must have"):
            net(**wrong)


@pytest.mark.parametrize(
    ("narrow", "channels"),
    [
        ("1", '"[3, 4, 5][width // 100]"'),
        ("[3, 4][min(width // 700, 1)]", "narrow"),
        ("[3, 4][min(x.C * width // 900, 1)]", "narrow"),
    ],
)
def test_a_number_that_hides_an_argument_makes_it_none(narrow: str, channels: str) -> None:
    """Only at some far values is it another number, which the code does not compute."""
    text = OPAQUE.replace("NARROW", narrow).replace("OF", channels)
    assert "width" not in compile_source(build_graph(text), "torch")


@pytest.mark.parametrize(
    ("narrow", "channels", "code"),
    [
        ("1", '"ceil(width / 1000)"', "math.ceil(width / 1000)"),
        ("1", '"floor(sqrt(width))"', "math.floor(math.sqrt(width))"),
        ("divisible(width / 500, 8)", "narrow", "make_divisible(width / 500, 8)"),
    ],
)
@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_a_rounded_number_is_computed(narrow: str, channels: str, code: str, backend: str) -> None:
    source = compile_source(build_graph(OPAQUE.replace("NARROW", narrow).replace("OF", channels)), backend)
    assert code in source and "width: int = " in source
    assert ("import math" in source) == ("math." in code)
    assert ("def make_divisible(" in source) == ("make_divisible" in code)


def test_a_condition_of_a_group_is_what_a_class_is_for() -> None:
    """Without the group, the class would be another; a list of the values that were tried would say nothing."""
    source = compile_source(build_graph(LIBRARY / "backbones" / "resnest.yaml"), "torch")
    assert refusals(source, "SplitBottleneck") == [
        "this SplitBottleneck is only for stride != 1 or in_channels != 4 * planes"
    ]
    assert refusals(source, "SplitBottleneck2") == [
        "this SplitBottleneck is only for in_channels == 4 * planes"
    ]


def test_two_numbers_that_only_together_need_other_code_are_refused_together() -> None:
    source = compile_source(build_graph(LIBRARY / "models" / "lite_raspp.yaml"), "keras")
    assert refusals(source, "MobileResidual") == [
        "this MobileResidual has no code for stride > 1 and dilation > 1"
    ]


@pytest.mark.parametrize("file", ["davit", "levit", "efficientformer"])
def test_two_sizes_that_are_equal_in_the_first_stage_are_refused_with_its_flag(file: str) -> None:
    """No list of the values that the file happens to have."""
    source = compile_source(build_graph(LIBRARY / "backbones" / f"{file}.yaml"), "torch")
    assert re.search(r"if first and in_channels != channels:\n +raise ValueError", source)
    assert (
        " must be 96 or" not in source and " must be 128 or" not in source and " must be 48 or" not in source
    )


REFUSED = """
specbuild: 1
model: Net
inputs: {x: {C: 4, H: 8, W: 8}}
blocks:
  Inner:
    params: {window: 0, width: 4}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: width, kernel: 3}
        when: window > 0
      - conv: {channels: width + window}
      - repeat: 2
        do: [relu]
        when: window > 0
  Outer:
    params: {window: 0, width: 4}
    inputs: {x: [C, H, W]}
    steps:
      - Inner: {window: window, width: width}
steps:
  - Outer: {window: 2}
  - Outer: {window: 3, width: 5}
  - Outer: {window: 0}
"""


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_no_default_is_refused_by_its_class_or_by_a_layer_inside(backend: str) -> None:
    source = compile_source(build_graph(REFUSED), backend)
    signatures = re.findall(r"def __init__\(\s*self,(.*?)\) -> None", source, re.S)
    assert any("no code for window <= 0" in line for line in source.splitlines())
    assert sum(bool(re.search(r"window: int,", text)) for text in signatures) == 2
    assert (
        sum(bool(re.search(r"window: int = 0", text)) for text in signatures) == 2
    )  # where nothing else is right


def test_no_guard_lets_every_value_pass() -> None:
    source = compile_source(build_graph(LIBRARY / "backbones" / "efficientformer.yaml"), "torch")
    assert "ValueError(" in source and "True or False" not in source


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_an_output_that_nobody_reads_costs_no_argument(backend: str) -> None:
    """The blocks that are built with other values lose it as well, or else they would have other steps."""
    text = "specbuild: 1\nmodel: Net\nparams: {width: 6, classes: 4}\ninputs: {x: {T: 9, C: 5}}\nsteps:\n"
    text += "  - linear: {features: width}\n  - {ContextAttention: , as: pool}\n"
    text += "  - {linear: {features: classes}, from: pool.mean}\n"
    source = compile_source(build_graph(text), backend)
    assert "width: int = 6" in source and "classes: int = 4" in source and "hidden: int = 64" in source
