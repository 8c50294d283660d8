"""Words that Python, a framework or the emitted file need, as names in a spec: they stand, and change no number."""

from __future__ import annotations

import keyword
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import nn

import specbuild
from specbuild.backends.keras.reserved import RESERVED_NAMES as KERAS_NAMES
from specbuild.backends.registry import load_backend
from specbuild.backends.torch.reserved import MEMBER_ATTRIBUTES
from specbuild.backends.torch.reserved import RESERVED_NAMES as TORCH_NAMES
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.names import read_alias, write_alias
from specbuild.ir.cost import model_cost
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

WORDS = """
    cls self super kwargs layers children output outputs input inputs variables half double name dtype trainable
    training mask os sys torch nn F keras ops math OrderedDict min max ceil floor round divisible range len sum
    str int float bool tuple dict abs list type object print id open eval exec match case in_channels x_channels
    height width length depth use_relu own_member out layer part reset_parameters forward call build get_config
    train weights bias kernel weight state_dict T_destination requires_grad_ requires_grad items keys values
    append pop update clear insert extend x_shape input_shape value shape key load_weights save_weights load_file
    weight_table parameter_groups Weight Table Scale GELU DropPath Inner ValueError Exception attend resize
    fold unfold pad_same add multiply get_item conv conv_layer layers_ half_ half__ self_ torch_ metrics losses
    path built compile register_buffer T t none_ own numpy jax tensorflow np __x"""
# As parameters, each costs more: the compiler tries other values.
PARAMS = """
    cls self super kwargs layers half name dtype trainable os torch nn F keras ops math OrderedDict min max range len sum
    float in_channels height use_relu own_member layer part weights items x_shape conv_layer load_file Weight Table
    DropPath ValueError attend t layers_ half_ training""".split()
NAMES = [word for word in WORDS.split() if word != "__x"]
CLASSES = [word for word in NAMES if word[0].isupper()]
IMAGE = "{C: 4, H: 6, W: 6}"


def list_steps(template: str, names: list[str]) -> str:
    return "\n".join(template.replace("NAME", name) for name in names)


def sum_of(names: list[str]) -> str:
    """Sums of 16 values each, and their sum; every value is read late."""
    rows = [names[i : i + 16] for i in range(0, len(names), 16)]
    sums = [f"  - {{add: [{', '.join(row)}, zero], as: sum{i}}}" for i, row in enumerate(rows)]
    return "\n".join((*sums, f"  - {{add: [{', '.join(f'sum{i}' for i in range(len(rows)))}], as: all}}"))


def net(blocks: str, steps: str, head: str = f"inputs: {{image: {IMAGE}}}\n") -> str:
    return f"specbuild: 1\nmodel: Net\n{head}blocks:\n{blocks}\nsteps:\n{steps}\n"


def indent(text: str) -> str:
    return re.sub(r"(?m)^", "    ", text)


def steps_spec(names: list[str]) -> str:
    """Steps: layers, weights and tables, in a block and in the model."""
    layers = "  - {multiply: [image, 0.5], as: zero}\n".replace("[image, 0.5]", "[image, image]")
    layers += list_steps("  - {linear: {features: 4}, from: zero, as: NAME}", names) + "\n" + sum_of(names)
    weights = "  - {relu: , from: image, as: zero}\n"
    weights += (
        list_steps("  - {weight: {axes: {C: 4, H: 6, W: 6}, init: normal(1)}, as: NAME}", names)
        + "\n"
        + sum_of(names)
    )
    tables = "  - {relu: , from: image, as: zero}\n"
    tables += (
        list_steps("  - {const: {axes: {C: 4, H: 6, W: 6}, value: C * C * 0.5 + H}, as: NAME}", names)
        + "\n"
        + sum_of(names)
    )
    parts = {"Layers": layers, "Weights": weights, "Tables": tables}
    blocks = "\n".join(
        f"  {kind}A:\n    inputs: {{image: [C, H, W]}}\n    steps:\n{indent(steps)}"
        for kind, steps in parts.items()
    )
    return net(
        blocks, f"  - LayersA\n  - WeightsA\n  - TablesA\n  - {{add: [prev, image], as: image2}}\n{layers}"
    )


def model_weights_spec(names: list[str]) -> str:
    """Weights and tables of the model itself."""
    half = len(names) // 2
    steps = "  - {relu: , from: image, as: zero}\n"
    steps += (
        list_steps("  - {weight: {axes: {C: 4, H: 6, W: 6}, init: normal(1)}, as: NAME}", names[:half]) + "\n"
    )
    steps += (
        list_steps("  - {const: {axes: {C: 4, H: 6, W: 6}, value: C * C * 0.5 + H}, as: NAME}", names[half:])
        + "\n"
    )
    return net("  Unused: {steps: [relu]}", steps + sum_of(names))


def groups_spec(names: list[str]) -> str:
    """Groups, and steps inside groups: rows of layers with names, and dictionaries of layers."""
    row = list_steps("        - {linear: {features: 4}, as: NAME}", names[::4])
    mixed = list_steps("        - {linear: {features: 4}, as: NAME}", names[1::4])
    groups = list_steps("      - do: [linear: {features: 4}, relu]\n        as: NAME", names[2::4])
    block = f"      - do:\n{row}\n        as: row\n      - do:\n{mixed}\n        - {{add: [x, prev]}}\n        as: dict_\n"
    return net(
        f"  Groups:\n    steps:\n{block}{groups}",
        "  - Groups\n" + groups.replace("      -", "  -").replace("        as", "    as"),
    )


def params_spec(names: list[str]) -> str:
    """Parameters of a block and of the model; half of them are also names of steps."""
    params = ", ".join(f"{name}: 2" for name in names)
    arguments = ", ".join(f"{name}: {name}" for name in names)
    others = ", ".join(f"{name}: 3" for name in names)
    uses = list_steps('  - {linear: {features: "2 * NAME + 1"}}', names) + "\n  - {linear: {features: 4}}\n"
    uses += (
        list_steps("  - {linear: {features: NAME}, as: NAME}\n  - {linear: {features: 4}}", names[::2])
        + "\n  - {linear: {features: 4}}\n"
    )
    uses += list_steps(
        "  - {relu: , as: chain_NAME}\n  - {const: {axes: {Q: 5, C: 4}, value: Q * Q * 0.01 * NAME + C}}\n"
        "  - {mean: {over: Q}}\n  - {multiply: [prev, chain_NAME]}\n  - {linear: {features: 4}}",
        names[::3],
    )
    reads = list_steps('\n  - {slice: {over: W, start: "NAME // 9"}}', names)
    blocks = f"  Params:\n    params: {{{params}}}\n    inputs: {{image: [C, H, W]}}\n    steps:\n{indent(uses + reads)}"
    steps = f"  - Params: {{{arguments}}}\n    as: first_one\n  - Params: {{{others}}}\n    as: second_one\n{uses}"
    return net(blocks, steps, f"params: {{{params}}}\ninputs: {{image: {IMAGE}}}\n")


def inputs_spec(names: list[str]) -> str:
    """Inputs of a block and of the model."""
    inputs = ", ".join(f"{name}: [C, H, W]" for name in names)
    sizes = ", ".join(f"{name}: {IMAGE}" for name in names)
    given = ", ".join(f"{name}: {name}" for name in names)
    uses = f"  - {{linear: {{features: {names[0]}.C}}, from: {names[1]}, as: zero}}\n{sum_of(names)}"
    single = list_steps(
        "  SingleNAME:\n    inputs: {NAME: [C, H, W]}\n    steps:\n"
        '      - {weight: {axes: {C: "NAME.C"}, init: ones}, as: w}\n      - {multiply: [NAME, w]}\n      - softmax: {over: C}',
        names,
    )
    calls = list_steps("\n  - SingleNAME", names)
    blocks = f"  Inputs:\n    inputs: {{{inputs}}}\n    steps:\n{indent(uses)}\n{single}"
    return net(blocks, f"{uses}\n  - Inputs:\n    from: {{{given}}}{calls}", f"inputs: {{{sizes}}}\n")


def outputs_spec(names: list[str]) -> str:
    """Outputs of a block and of the model, and results of a split."""
    layers = list_steps("  - {linear: {features: 4}, as: step_NAME}\n  - {relu: }", names)
    outputs = ", ".join(f"{name}: step_{name}" for name in names)
    blocks = f"  Outputs:\n    steps:\n{indent(layers)}\n    outputs: {{{outputs}}}"
    reads = list_steps(
        "  - {linear: {features: 4}, from: first_one.NAME, as: read_NAME}\n  - {relu: }", names
    )
    steps = (
        f"  - {{Outputs: , as: first_one}}\n{reads}\n  - {{linear: {{features: {len(names)}}}, as: wide}}\n"
    )
    steps += f"  - {{split: {{over: C, into: [{', '.join(names)}]}}, as: cut}}\n  - {{slice: {{over: C, stop: 1}}, from: image, as: zero}}\n"
    steps += sum_of([f"cut.{name}" for name in names]) + "\n  - {linear: {features: 4}, as: tail}\n"
    chosen = [name for name in names if name not in ("x",)]
    ends = ", ".join(f"{name}: read_{name}" for name in chosen)
    return net(blocks, steps, f"inputs: {{image: {IMAGE}}}\noutputs: {{{ends}, final: tail}}\n")


def axes_spec(names: list[str]) -> str:
    """Axes: of a block's input, whose sizes become parameters, and of tables."""
    kinds = list_steps(
        "  SingleNAME:\n    params: {in_channels: 2}\n    inputs: {x: [NAME, C]}\n    steps:\n"
        '      - {linear: {features: "2 * x.NAME + in_channels + x.C"}, as: lin}\n'
        "      - {const: {axes: {NAME: 3, C: 1}, value: NAME * NAME * 0.5}, as: tab}\n"
        "      - {multiply: [lin, tab]}\n      - {linear: {features: 2}}",
        names,
    )
    first, *rest = names
    calls = f"  - {{rename: {{axes: {{H: {first}}}}}}}\n  - Single{first}\n  - Single{first}: {{in_channels: 3}}\n"
    calls += "\n".join(
        f"  - {{rename: {{axes: {{{old}: {new}}}}}}}\n  - Single{new}\n  - Single{new}: {{in_channels: 1}}"
        for old, new in zip(names, rest, strict=False)
    )
    return net(kinds, calls, "inputs: {image: {C: 2, H: 3}}\n")


def classes_spec(names: list[str]) -> str:
    """Blocks, whose names become classes."""
    kinds = list_steps(
        "  NAME:\n    params: {kernel: 3}\n    steps:\n      - conv: {channels: x.C, kernel: kernel}\n"
        "      - {gelu: {approximate: tanh}, as: g}\n      - {weight: {axes: {C: 4}, init: ones}, as: w}\n      - {multiply: [g, w]}",
        names,
    )
    return net(
        kinds, list_steps("  - NAME\n  - NAME: {kernel: 1}", names) + "\n  - {drop_path: {rate: 0.1}}\n"
    )


SPECS = {
    f.__name__.removesuffix("_spec"): f
    for f in (steps_spec, model_weights_spec, groups_spec, params_spec, inputs_spec, outputs_spec, axes_spec)
}


def accepted(position: str) -> list[str]:
    """The words that can be names at this position."""
    own = {"image", "zero", "all", "x", "w", *(["in_channels"] if position == "axes" else ())}
    return [name for name in (PARAMS if position == "params" else NAMES) if name not in own]


def make_text(position: str, neutral: bool = False) -> str:
    names = CLASSES if position == "classes" else accepted(position)
    make = classes_spec if position == "classes" else SPECS[position]
    return make(
        [f"{'K' if position == 'classes' else 'k'}{i}q" for i in range(len(names))] if neutral else names
    )


def make_case(position: str) -> ParityCase:
    return ParityCase(f"names of {position}", build_graph(make_text(position)), modes=("forward",))


def build_torch(text: str) -> nn.Module:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(text), "torch"), scope)
    return scope["Net"]().double().eval()  # type: ignore[no-any-return]


POSITIONS = [p if p == "groups" else pytest.param(p, marks=pytest.mark.slow) for p in (*SPECS, "classes")]


@pytest.mark.parametrize("position", POSITIONS)
def test_numbers_do_not_depend_on_names(position: str) -> None:
    hostile, neutral = build_torch(make_text(position)), build_torch(make_text(position, neutral=True))
    values = neutral.state_dict().values()
    assert [v.shape for v in values] == [v.shape for v in hostile.state_dict().values()]
    hostile.load_state_dict(dict(zip(hostile.state_dict(), values, strict=True)))
    graph = build_graph(make_text(position))
    inputs = [torch.randn(2, *map(int, x.sizes.values()), dtype=torch.float64) for x in graph.inputs.values()]
    torch.testing.assert_close(hostile(*inputs), neutral(*inputs), equal_nan=True)


@pytest.mark.parametrize("position", POSITIONS)
def test_keras_with_hostile_names(position: str, parity_of: ParityOf) -> None:
    report = parity_of(make_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


SPEC_HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8, H: 4, W: 4}}\n"


def count_parameters(source: str) -> tuple[int, int]:
    """The number of parameters in the graph, and in the emitted PyTorch model."""
    graph = build_graph(source)
    return model_cost(graph).parameters, sum(p.numel() for p in build_torch(source).parameters())


@pytest.mark.parametrize("inputs", ["x", "x, y"])
@pytest.mark.parametrize(
    "word", ["in_channels", "x_channels", "in_channels_2", "x_height", "height", "width"]
)
def test_parameter_with_the_name_of_a_size(word: str, inputs: str) -> None:
    source = (
        f"{SPEC_HEAD}blocks:\n  Pair:\n    params: {{{word}: 4}}\n    inputs: [{inputs}]\n    steps:\n"
        f"      - {{conv: {{channels: {word}, kernel: 1}}, from: x}}\n"
        "      - conv: {channels: x.C + x.H, kernel: 1}\n"
        f"steps:\n  - Pair:\n    from: [{', '.join('x' for _ in inputs.split(','))}]\n"
    )
    assert count_parameters(source) == (96, 96)  # 8 * 4 + 4, 4 * 12 + 12


def test_axes_with_the_names_of_other_sizes() -> None:
    """`height` is the size of H, and of an axis of this name; `in_channels` that of C."""
    source = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 2, H: 3, height: 4, in_channels: 5}}\n"
        'blocks:\n  Wide:\n    steps:\n      - linear: {features: "x.H + 10 * x.height + 100 * x.in_channels"}\n'
        "steps:\n  - Wide\n"
    )
    assert count_parameters(source) == (3 * 543, 3 * 543)


def test_parameter_and_step_of_one_name() -> None:
    source = (
        f"{SPEC_HEAD}blocks:\n  Unit:\n    params: {{width: 4}}\n    steps:\n"
        "      - {conv: {channels: width, kernel: 1}, as: width}\n      - {slice: {over: C, stop: width - 1}}\n"
        "steps:\n  - Unit: {width: 6}\n  - Unit: {width: 5}\n"
    )
    net = build_torch(source)
    assert list(net.state_dict())[:2] == ["unit1.width.weight", "unit1.width.bias"]
    assert net(torch.zeros(1, 8, 4, 4).double()).shape == (1, 4, 4, 4)
    assert "self.width_ = width" in compile_source(build_graph(source), "keras")


def test_key_map_has_the_alias() -> None:
    """Weights are found by the word of the spec in canonical names, by the attribute in the framework's."""
    source = f"{SPEC_HEAD}steps:\n  - {{linear: {{features: 4}}, as: half}}\n  - {{linear: {{features: 4}}, as: half_}}\n"
    graph = build_graph(source)
    paths = {w.path: w.framework_path for w in locate_weights(graph, "torch")}
    assert paths["half.kernel"] == "half_.weight"
    assert paths["half_.kernel"] == "half__.weight"
    assert list(build_torch(source).state_dict()) == list(paths.values())
    assert {w.framework_path.partition("/")[0] for w in locate_weights(graph, "keras")} == {"half_", "half__"}


def test_model_keeps_its_name() -> None:
    """An imported block with the name of the model gets a number in the file; the model does not."""
    files = {
        "gate.yaml": "specbuild: 1\nblocks:\n  Gate:\n    steps: [sigmoid, linear: {features: 3}]\n",
        "net.yaml": SPEC_HEAD.replace("Net", "Gate")
        + "imports: {Gate: ./gate.yaml#Gate}\nsteps:\n  - Gate\n  - relu\n",
    }
    with TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text)
        graph = build_graph(Path(folder, "net.yaml"))
    for backend in ("torch", "keras"):
        source = compile_source(graph, backend)
        assert re.search(r"(?m)^(class|def) Gate\(", source)
        assert "class Gate2(" in source


REFUSED = {
    "model: Gate\nblocks: {Gate: {steps: [relu]}}": "'Gate' is the name of the model and of a block",
    "model: None": "it is a Python keyword",
    "model: F": "emitted files use it for something else",
    "model: OrderedDict": "emitted files use it for something else",
    "model: DropPath": "emitted files use it for something else",
    "model: PaddedConv2D": "emitted files use it for something else",
    "model: ValueError": "emitted files use it for something else",
    "blocks: {'None': {steps: [relu]}}": "it is a Python keyword",
    "params: {prev: 3}": "it has a meaning of its own in a spec",
    "params: {i: 3}": "it has a meaning of its own in a spec",
    "params: {lambda: 3}": "it is a Python keyword",
}


@pytest.mark.parametrize("change", REFUSED)
def test_refused_names(change: str) -> None:
    key = change.partition(":")[0]
    head = "\n".join(line for line in SPEC_HEAD.splitlines() if not line.startswith(key))
    with pytest.raises(SpecError) as caught:
        build_graph(f"{head}\n{change}\nsteps:\n  - relu\n")
    assert REFUSED[change] in caught.value.message


def public_names(thing: object) -> set[str]:
    return {name for name in dir(thing) if name[0].isalpha()}


def test_reserved_names_are_those_of_pytorch() -> None:
    assert public_names(nn.Module()) <= TORCH_NAMES.attributes
    containers = (nn.Sequential(), nn.ModuleList(), nn.ModuleDict())
    assert set().union(*map(public_names, containers)) <= MEMBER_ATTRIBUTES


@pytest.mark.slow
def test_reserved_names_are_those_of_keras() -> None:
    code = "import keras; print(*dir(keras.layers.Layer()))"
    variables = {
        **os.environ,
        "KERAS_BACKEND": "torch",
    }  # on which a layer has the attributes of a module too
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    assert {name for name in done.stdout.split() if name[0].isalpha()} <= KERAS_NAMES.attributes


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_reserved_names_have_all_helpers(backend: str) -> None:
    loaded = load_backend(backend)  # a new helper is added to `reserved.py` of its backend
    assert loaded.reserved.helpers == set(loaded.helper_sources())


def test_no_keyword_is_an_alias() -> None:
    for names in (TORCH_NAMES.attributes, MEMBER_ATTRIBUTES, KERAS_NAMES.attributes):
        aliases = {write_alias(name, names) for name in {*names, *(f"{n}_" for n in names)}}
        assert not aliases & names
        assert not any(map(keyword.iskeyword, aliases))
        assert {read_alias(alias, names) for alias in aliases} == {*names, *(f"{n}_" for n in names)}


@pytest.mark.parametrize(("backend", "base"), [("torch", "nn.Module"), ("keras", "layers.Layer")])
def test_classes_with_different_taps_have_names(backend: str, base: str) -> None:
    """A tap is named by its path, such as `a.a`, which is no name in Python."""
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\nblocks:\n"
        "  A: {steps: [{linear: {features: 8}, as: a}, {linear: {features: 8}, as: b}]}\n"
        "  B: {steps: [{A: {}, as: a}, {A: {}, as: b}]}\n"
        "  D: {steps: [{B: {}, as: a}, {B: {}, as: b}]}\n"
        "steps: [{D: {}, as: c}]\noutputs: [c.a.a.a, c.b.b.a, c]\n"
    )
    code = specbuild.compile(text, backend)
    classes = re.findall(rf"^class (\w+)\({re.escape(base)}\)", code, re.MULTILINE)
    assert {"AWithA", "A", "BWithAA", "BWithBA", "D"} <= set(classes)
