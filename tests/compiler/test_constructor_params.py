"""What a constructor takes: only what gives, at every value, the model that the spec describes."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from specbuild import load
from specbuild.codegen.class_spec import Guard
from specbuild.codegen.requirements import refused_by
from specbuild.codegen.tree import Infix, Literal, Name, TupleOf
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.expressions.thresholds import ThresholdFinder
from specbuild.frontend.library import LIBRARY
from specbuild.runtimes.live_model import import_source
from tests.cpu_time import measure_cpu_time

SPEC = """
specbuild: 1
model: Net
params: {{deep: 2, width: 8, mode: fast}}
blocks:
  Tail:
    params: {{count: int}}
    steps:
      - conv: {{channels: 8}}
        as: first
      - conv: {{channels: count}}
        as: second
        when: {inner}
inputs: {{x: {{C: 4, H: 8, W: 8}}}}
steps:
  - conv: {{channels: width}}
    as: a
  - conv: {{channels: "2 * deep"}}
    as: b
    when: {outer}
  - Tail: {{count: deep}}
    as: tail
"""


def taken(outer: str = "true", inner: str = "true") -> tuple[set[str], list[str]]:
    """The parameters of the constructor of the model, in both frameworks, and what it refuses."""
    model = build_graph(SPEC.format(outer=outer, inner=inner))
    torch = re.search(
        r"class Net.*?def __init__\((.*?)\)(.*?)def ", compile_source(model, "torch"), re.DOTALL
    )
    keras = re.search(r"def Net\((.*?)\) ->(.*)", compile_source(model, "keras"), re.DOTALL)
    assert torch and keras
    found = {name for name in ("deep", "width", "mode") if re.search(rf"\b{name}\b", torch[1])}
    assert found == {name for name in ("deep", "width", "mode") if re.search(rf"\b{name}\b", keras[1])}
    refused = [re.findall(r'ValueError\(\s*"(.*)"', source[2]) for source in (torch, keras)]
    assert refused[0] == refused[1]
    return found, refused[0]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("deep > 1", "this Net has no code for deep <= 1"),
        ("1 < deep", "this Net has no code for 1 >= deep"),
        ("deep != 7", "this Net has no code for deep == 7"),
        ("deep >= 2 and width > 0", "this Net is only for deep >= 2 and width > 0"),
        ("not deep == 5", "this Net has no code for deep == 5"),
    ],
)
def test_a_step_that_hangs_on_it_sets_a_limit(condition: str, message: str) -> None:
    assert taken(outer=condition) == ({"deep", "width"}, [message])


def test_a_step_inside_a_block_sets_a_limit_for_the_block() -> None:
    assert taken(inner="count < 3") == ({"deep", "width"}, [])
    source = compile_source(build_graph(SPEC.format(outer="true", inner="count < 3")), "torch")
    assert re.search(
        r'class Tail.*if count >= 3:\s+raise ValueError\("this Tail has no code for', source, re.S
    )


def test_what_every_value_bears_is_kept() -> None:
    assert taken() == ({"deep", "width"}, [])
    assert taken(outer="width > 0") == ({"deep", "width"}, [])  # below 1 there is no such model


def test_thresholds() -> None:
    documents = [
        {"when": "deep > 1", "doc": "is it > 9 deep?"},
        {"Tail": {"count": "deep + 1"}},
        ["4 == count"],
    ]
    assert set(ThresholdFinder(documents).find_thresholds(["deep"])) == {0, 1, 2, 4}
    assert ThresholdFinder([{"when": "other > 1"}]).find_thresholds(["deep"]) == []
    assert ThresholdFinder([{"when": "mode == 'fast'"}]).find_thresholds(["mode"]) == ["fast"]


def test_documentation_has_no_thresholds() -> None:
    """`doc` of specs, blocks, parameters and steps; an argument called `doc` is an expression."""
    spec = {
        "specbuild": 1,
        "doc": "deep < 2 < 7",
        "params": {"deep": {"type": "int", "doc": "deep < 3"}, "doc": "deep < 4"},
        "blocks": {"Tail": {"doc": "deep < 5", "steps": [{"relu": {}, "doc": "deep < 6"}]}},
        "steps": [{"Tail": {"doc": "deep < 20"}, "doc": "deep < 7"}],
    }
    assert set(ThresholdFinder([spec]).find_thresholds(["deep"])) == {3, 4, 5, 19, 20, 21}


def test_parameters_are_plain_if_trials_take_too_long() -> None:
    """Each of 150 conditions flips; to try every parameter by itself would elaborate 150 models of 150 steps."""
    names = [f"p{i}" for i in range(150)]
    params = "".join(f"  {name}: 4\n" for name in names)
    steps = "".join(f"  - linear: {{features: {name}}}\n    when: {name} < 6\n" for name in names)
    spec = f"specbuild: 1\nmodel: Net\nparams:\n{params}inputs: {{x: {{C: 4}}}}\nsteps:\n{steps}"
    with measure_cpu_time() as taken:
        assert "def __init__(self) -> None:" in compile_source(build_graph(spec), "torch")
    assert taken.seconds < 6


FLIPS = """
specbuild: 1
model: Net
params: {{{params}}}
inputs: {{x: {{C: 4, T: 8}}}}
steps:
  - {{linear: {{features: {features}}}, as: a}}
  - {{linear: {{features: 5}}, when: {when}}}
"""


@pytest.mark.parametrize(
    ("params", "features", "when", "signature", "refused"),
    [
        ("width: 4", "width", "2 * width > 5", "width: int = 4", "2 * width <= 5"),
        ("width: 16", "width // 4", "a.C > 2", "width: int = 16", "width // 4 <= 2"),
        (
            "width: 4, k: 2 * width",
            "width",
            "k > 5",
            "",
            "",
        ),  # k could be given too, so neither is an argument
        ("width: 4, deep: width > 2", "width", "deep", "", ""),
        ("depths: [4, 2]", "depths[0]", "len(depths) > 1", "", "len(depths) <= 1"),
        ("depths: [4, 2]", "depths[0]", "sum(depths) > 4", "", "sum(depths) <= 4"),
        ("width: 4", "width", "width % 3 != 0", "width: int = 4", "width % 3 == 0"),
    ],
)
def test_a_condition_that_no_usual_value_changes(
    params: str, features: str, when: str, signature: str, refused: str
) -> None:
    """Half of a width is no value that is tried for it, and a list is made longer only."""
    text = FLIPS.format(params=params, features=repr(features), when=repr(when))
    source = compile_source(build_graph(text), "torch")
    if not refused:
        assert "def __init__(self) -> None:" in source
        return
    assert f"this Net has no code for {refused}" in source
    assert signature in source


def test_a_check_of_a_derived_number_comes_after_it() -> None:
    text = FLIPS.format(params="depths: [1, 2], k: len(depths)", features="'depths[0]'", when="true")
    text = text.replace("when: true", "repeat: k")
    source = compile_source(build_graph(text), "torch")
    assert source.index("k = len(depths)") < source.index("if k < 1:")
    assert "k = len(depths)" in compile_source(build_graph(text), "keras")


HEADS = """
specbuild: 1
model: Net
params: {{heads: 4, size: 4}}
inputs: {{x: {{T: 6, C: 16}}}}
blocks:
  Split:
    params: {{heads: 4, size: 4}}
    inputs: {{x: [T, C]}}
    steps:
      - {{linear: {{features: x.C}}}}
      - {{unflatten: {{into: {{{into}}}}}}}
      - {{softmax: {{over: heads}}}}
      - {{flatten: {{axes: [heads, C]}}}}
steps:
  - {{Split: {{heads: heads, size: size}}}}
"""


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize(
    ("into", "message"),
    [
        ("heads: heads, C: -1", "in_channels must be divisible by heads"),
        ("heads: heads, C: x.C // heads", "in_channels must be divisible by heads"),
        ("heads: x.C // size, C: size", "in_channels must be divisible by size"),
        ("heads: heads, C: size", "in_channels must be heads * size"),
    ],
)
def test_an_axis_is_split_into_parts_that_fit(into: str, message: str, backend: str) -> None:
    """Otherwise the reshape of Keras would mix samples without a word."""
    assert f'"{message}"' in compile_source(build_graph(HEADS.format(into=into)), backend)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_the_channels_of_a_model_are_split_into_parts_that_fit(backend: str) -> None:
    """They are a number in its code. Other axes can have other sizes, which are no concern of the constructor."""
    text = "specbuild: 1\nmodel: Net\nparams: {heads: 4}\ninputs: {x: {T: 12, C: 16}}\nsteps:\n"
    text += "  - linear: {features: 16}\n  - unflatten: {axis: %s, into: {heads: heads, %s: -1}}\n"
    source = compile_source(build_graph(text % ("C", "C")), backend)
    assert 'ValueError("heads must be a divisor of 16")' in source
    assert "heads must be" not in compile_source(build_graph(text % ("T", "T")), backend)


LIMITED = """
specbuild: 1
model: Net
params:
  depths: {type: list, default: [2, 3]}
  width: {default: 8, max: 12}
  kernel: {default: 3, enum: [1, 3, 5]}
  heads: {default: 4, enum: [4, 32]}
inputs: {x: {C: 4, H: 8, W: 8}}
blocks:
  Unit:
    params: {channels: {type: int, max: 26}, kernel: {default: 3, enum: [1, 3, 5]}}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: channels, kernel: kernel}
steps:
  - Unit: {channels: width, kernel: kernel}
    repeat: depths[0]
    as: a
  - Unit: {channels: 2 * width, kernel: kernel}
    repeat: depths[1]
    as: b
  - conv: {channels: heads}
"""


def test_parameters_with_limits_are_tried_within_them() -> None:
    """Twice the width, or another kernel, is refused by the spec; the constructors keep them nevertheless."""
    model = build_graph(LIMITED)
    for backend, head in (
        ("torch", r"class Net.*?__init__\((.*?)\)(?= ->)"),
        ("keras", r"def Net\((.*?)\) ->"),
    ):
        source = compile_source(model, backend)
        found = re.search(head, source, re.DOTALL)
        assert found
        names = re.findall(r"^ +(\w+): [^=]*=", found[1], re.M)
        assert names[:4] == ["depths", "width", "kernel", "heads"]
        assert "2 * width" in source


GRIDS = """
specbuild: 1
model: Net
params: {bins: [1, 2], classes: 5, width: 8}
inputs: {x: {C: 4, H: 8, W: 8}}
steps:
  - conv: {channels: width}
    as: a
  - do:
      - adaptive_avg_pool: {size: bin}
      - conv: {channels: a.C // len(bins)}
      - resize: {like: a}
    foreach: {bin: bins}
    from: a
    as: grids
  - concat: {of: [grids.*], over: C}
  - mean: {over: [H, W]}
  - linear: {features: classes}
"""


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_a_parameter_that_is_lost_costs_no_other_one(backend: str) -> None:
    """The class is for two bins; what was tried with other bins says nothing about other numbers of classes."""
    source = compile_source(build_graph(GRIDS), backend)
    assert re.search(r"\(\s*(self, )?classes: int = 5, width: int = 8\b", source)
    assert "width // 2" in source and "bins" not in source


def test_values_outside_a_list_are_refused() -> None:
    known = TupleOf((Literal(2), Literal(4)))
    guard = Guard(Infix("not in", Name("n"), known), "n must be 2 or 4")
    assert refused_by([guard], {"n": 3}) and not refused_by([guard], {"n": 4})
    pairs = Guard(Infix("not in", Name("n"), TupleOf((known,))), "n must be (2, 4)")
    assert refused_by([pairs], {"n": [4, 2]}) and not refused_by([pairs], {"n": [2, 4]})


ALTERNATIVES = """
specbuild: 1
model: Net
params: {depths: [2, 3], kernels: [3, 5], width: 8}
inputs: {x: {C: 4, H: 8, W: 8}}
blocks:
  Body:
    params: {depth: 2, kernel: 3, width: 8, deep: true}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: width, kernel: kernel}
        repeat: depth
        when: deep
        as: stem
      - conv: {channels: width, kernel: 2 * kernel + 1}
        repeat: 2 * depth
        when: not deep
        as: stem
steps:
  - Body: {depth: "depths[1]", kernel: "kernels[1]", width: width}
    as: a
  - Body: {depth: "depths[0]", kernel: "kernels[0]", width: width, deep: false}
    as: b
"""


def test_alternatives_in_one_class_keep_the_expressions_of_their_numbers() -> None:
    """The class has one layer for both, with a parameter of its own; each call computes it from the model's parameters."""
    scopes = []
    for text in (ALTERNATIVES, ALTERNATIVES.replace("[2, 3]", "[1, 4]").replace("[3, 5]", "[5, 1]")):
        scopes.append({"__name__": "emitted"})
        exec(compile_source(build_graph(text), "torch"), scopes[-1])
    first, second = (scope["Net"] for scope in scopes)  # type: ignore[misc]
    shapes = [
        [(name, tuple(p.shape)) for name, p in net.named_parameters()]  # type: ignore[operator]
        for net in (first(depths=(1, 4), kernels=(5, 1)), second())
    ]
    assert shapes[0] == shapes[1]
    source = compile_source(build_graph(ALTERNATIVES), "keras")
    assert "2 * depths[0]" in source


def test_a_longer_list_is_not_ignored() -> None:
    """There is no code for a ninth block."""
    source = compile_source(build_graph(LIBRARY / "models" / "tcn.yaml"), "torch")
    [model] = re.findall(r"^class TemporalConvNet.*?def forward", source, re.DOTALL | re.MULTILINE)
    assert "kernel: int = 7" in model and 'ValueError("widths must have 8 items")' in model


ROUNDED = """
specbuild: 1
model: Net
params: {w: 8, k: 2}
inputs: {x: {C: 4, H: 8, W: 8}}
let: {narrow: "divisible(w * 0.1, 8)"}
steps:
  - conv: {channels: w}
  - conv: {channels: narrow * k}
"""
STAGE = """
specbuild: 1
model: Net
params: {w: 8, n: 3, s: 2}
inputs: {x: {C: 3, H: 8, W: 8}}
steps:
  - conv: {channels: w, stride: "s if i == 0 else 1"}
    repeat: n
"""


def test_a_rounded_number_follows_its_parameter() -> None:
    net: Any = import_source(compile_source(build_graph(ROUNDED), "torch"), "rounded").Net
    for w, k, channels in ((8, 2, 16), (100, 1, 16), (8, 3, 24), (110, 2, 32)):
        made = net(w=w, k=k)
        assert made.conv2.out_channels == channels
        assert load(ROUNDED, w=w, k=k).cost.parameters == sum(p.numel() for p in made.parameters())


def test_a_row_of_a_rounded_length_is_right_at_every_length() -> None:
    """With one member, the row does not show that the second one would have another width."""
    text = STAGE.replace("n: 3", "n: 1.0").replace("repeat: n", "repeat: ceil(n)")
    net: Any = import_source(compile_source(build_graph(text), "torch"), "staged").Net
    has_argument = "n" in inspect.signature(net).parameters
    for n in (0.6, 1.5, 2.0, 3.0) if has_argument else (1.0,):
        made = net(n=n) if has_argument else net()
        assert load(text, n=n).cost.parameters == sum(p.numel() for p in made.parameters())


def test_the_first_member_of_a_stage_is_written_out() -> None:
    source = compile_source(build_graph(STAGE), "torch")
    assert "def __init__(self, w: int = 8, n: int = 3, s: int = 2)" in source
    assert "nn.Conv2d(3, w, 3, stride=s, padding=1),\n" in source
    assert "*(nn.Conv2d(w, w, 3, padding=1) for _ in range(n - 1))," in source


def test_a_repeat_in_a_group_is_never_shorter_than_what_is_written_out() -> None:
    spec = """
specbuild: 1
model: Net
params: {w: 4, k: 4}
inputs: {x: {C: 8, H: 6, W: 6}}
steps:
  - do:
      - conv: {channels: 8}
      - conv: {channels: w}
        repeat: k
        as: inner
    as: body
"""
    source = compile_source(build_graph(spec), "torch")
    assert "if k < 1:" in source and "k must be at least 1" in source
