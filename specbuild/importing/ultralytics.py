"""From the model files of Ultralytics to a spec: lists of [from, number, module, arguments] become named steps.

Read from the published description of the format; no code was taken. Channels are scaled by the width of a scale and
rounded up to a multiple of 8, numbers of blocks by its depth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

from msgspec import Struct, field

from specbuild.compiler.pipeline import elaborate_source
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.frontend.edits import to_camel_case
from specbuild.frontend.source import Source, SourceAddress
from specbuild.ops.types import MAX_AXIS

DEFAULT_SIZE = 640
STRIDE = 32  # of the smallest map
BINS = 16  # of the distribution of each side of a box
MAX_FACTOR, MAX_NUMBER = 100, 1_000
MAX_LAYERS = 500

BLOCKS = {
    "ConvUnit": """\
    doc: A convolution, batch norm and SiLU.
    params: {channels: {type: int}, kernel: 1, stride: 1, groups: 1}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: channels, kernel: kernel, stride: stride, padding: kernel // 2, groups: groups, bias: false}
        as: conv
      - batch_norm: {epsilon: 1e-3}
        as: bn
      - silu
""",
    "Residual": """\
    doc: Two convolutions, and the input added to them if `shortcut` is true.
    params: {first: 3, shortcut: true}
    inputs: {x: [C, H, W]}
    steps:
      - ConvUnit: {channels: x.C, kernel: first}
        as: cv1
      - ConvUnit: {channels: x.C, kernel: 3}
        as: cv2
      - add: [x, cv2]
        when: shortcut
""",
    "SplitStage": """\
    doc: Residual blocks on one half of the channels; all of their values go on (C2f).
    params: {channels: {type: int}, number: 1, shortcut: false}
    inputs: {x: [C, H, W]}
    steps:
      - ConvUnit: {channels: channels}
        as: cv1
      - split: {over: C, into: [a, b]}
        as: halves
      - Residual: {shortcut: shortcut}
        from: halves.b
        repeat: number
        collect: {concat: {over: C}}
        as: m
      - concat: {of: [halves.a, halves.b, m], over: C}
      - ConvUnit: {channels: channels}
        as: cv2
""",
    "CrossStage": """\
    doc: Residual blocks on one path and nothing on the other, joined (C3).
    params: {channels: {type: int}, number: 1, shortcut: true}
    inputs: {x: [C, H, W]}
    steps:
      - ConvUnit: {channels: channels // 2}
        as: cv1
      - Residual: {first: 1, shortcut: shortcut}
        repeat: number
        as: m
      - ConvUnit: {channels: channels // 2}
        from: x
        as: cv2
      - concat: {of: [m, cv2], over: C}
      - ConvUnit: {channels: channels}
        as: cv3
""",
    "PyramidPool": """\
    doc: Three max poolings one after another, joined (SPPF).
    params: {channels: {type: int}, kernel: 5}
    inputs: {x: [C, H, W]}
    steps:
      - ConvUnit: {channels: x.C // 2}
        as: cv1
      - max_pool: {kernel: kernel, stride: 1, padding: kernel // 2}
        as: pool1
      - max_pool: {kernel: kernel, stride: 1, padding: kernel // 2}
        as: pool2
      - max_pool: {kernel: kernel, stride: 1, padding: kernel // 2}
        as: pool3
      - concat: {of: [cv1, pool1, pool2, pool3], over: C}
      - ConvUnit: {channels: channels}
        as: cv2
""",
    "DetectLevel": f"""\
    doc: The distributions of the four sides of boxes, and the logits of classes, at each place of one map.
    params: {{classes: {{type: int}}, box_width: {{type: int}}, class_width: {{type: int}}}}
    inputs: {{x: [C, H, W]}}
    steps:
      - do:
          - ConvUnit: {{channels: box_width, kernel: 3}}
          - ConvUnit: {{channels: box_width, kernel: 3}}
          - conv: {{channels: {4 * BINS}, kernel: 1}}
        from: x
        as: cv2
      - do:
          - ConvUnit: {{channels: class_width, kernel: 3}}
          - ConvUnit: {{channels: class_width, kernel: 3}}
          - conv: {{channels: classes, kernel: 1}}
        from: x
        as: cv3
    outputs: {{boxes: cv2, classes: cv3}}
""",
}
NEEDED = {  # what a block consists of
    "SplitStage": ("ConvUnit", "Residual"),
    "CrossStage": ("ConvUnit", "Residual"),
    "PyramidPool": ("ConvUnit",),
    "DetectLevel": ("ConvUnit",),
    "Residual": ("ConvUnit",),
}


class Layer(Struct):
    """One line of the file, with what it reads."""

    at: SourceAddress
    index: int
    inputs: list[int]  # layers; -1: the image
    number: int
    module: str
    arguments: list[Any]


class Conversion(Struct):
    """The steps and outputs so far, and the channels of each layer."""

    classes: int
    width: float
    depth: float
    max_channels: int
    channels: list[int] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    blocks: dict[str, None] = field(default_factory=dict)

    def scale_channels(self, value: Any, at: SourceAddress) -> int:
        if not isinstance(value, int) or value < 1:
            raise at.error("SB304", f"{make_printable(repr(value))} is no number of channels")
        if isinstance(value, bool) or value >= 2**31:
            raise at.error("SB304", f"{make_printable(repr(value), 60)} is no number of channels")
        return value if value == self.classes else 8 * ceil(min(value, self.max_channels) * self.width / 8)

    def scale_number(self, number: int) -> int:
        return max(round(number * self.depth), 1) if number > 1 else number

    def use(self, block: str) -> str:
        for inner in NEEDED.get(block, ()):
            self.use(inner)
        self.blocks[block] = None
        return block


def convert_model(source: Source, name: str = "", scale: str = "", size: int = DEFAULT_SIZE) -> str:
    """Return the text of a spec for the model file of Ultralytics. Raises SpecError with the place of what is not known."""
    data, at = source.data, source.address_of()
    if not isinstance(data, Mapping) or not isinstance(data.get("backbone"), list):
        hint = "it has the keys `nc`, `backbone` and `head`"
        raise at.error("SB101", "this is no model file of Ultralytics", hint)
    depth, width, limit, chosen = choose_scale(data, at, scale)
    classes = data.get("nc", 80)
    if not isinstance(classes, int) or not 0 < classes <= 100_000:
        raise at.child("nc").error("SB304", "`nc` is the number of classes")
    for key, usual in USUAL.items():
        if data.get(key, usual[0]) not in usual:
            message = f"`{key}: {make_printable(str(data[key]), 60)}` is not converted"
            raise at.child(key).error("SB304", message, "remove it, and change the converted file")
    conversion = Conversion(classes, width, depth, limit)
    layers = read_layers(data, at)
    for layer in layers:
        writer = MODULES.get(layer.module)
        if writer is None:
            hint = suggest_name(layer.module, MODULES, "known modules are")
            message = f"there is no step for the module {make_printable(repr(layer.module))}"
            raise layer.at.error("SB201", message, hint)
        if len(layer.arguments) > KNOWN_ARGUMENTS[layer.module]:
            known = KNOWN_ARGUMENTS[layer.module]
            message = f"{layer.module} has more arguments than the {known} that a step can have"
            raise layer.at.child(3).error("SB304", message, "write the block by hand in the converted file")
        conversion.channels.append(writer(conversion, layer))
    model = name or to_camel_case(f"yolo_{chosen}" if chosen else "yolo")
    text = write_converted_spec(conversion, model, size)
    try:
        elaborate_source(Source(text, "converted.yaml"))
    except SpecError as error:
        raise refuse_layer(error, text, layers, at, size) from None
    return text


def refuse_layer(
    error: SpecError, text: str, layers: Sequence[Layer], at: SourceAddress, size: int
) -> SpecError:
    """Return the error of a spec that was written, at the layer of the file that it comes from."""
    place = next((layer.at for layer in layers if layer.index == faulty_layer(error, text)), at)
    hint = error.hint
    if size % STRIDE:
        hint = f"the maps fit where the size of the image is a multiple of {STRIDE}: --size {size - size % STRIDE or STRIDE}"
    return place.error(error.code, f"no step can be written: {error.message}", hint)


def faulty_layer(error: SpecError, text: str) -> int:
    """Return the number of the layer whose step has an error, or -1."""
    if error.location is None:
        return -1
    lines = text.splitlines()
    outer = re.search(r"converted\.yaml:(\d+)", error.trail[-1]) if error.trail else None
    line = int(outer[1]) if outer else error.location.line
    if line <= lines.index("steps:"):
        return -1
    names = (re.match(r"    as: layer(\d+)$", later) for later in lines[line - 1 :])
    return next((int(name[1]) for name in names if name), -1)


def choose_scale(data: Mapping[str, Any], at: SourceAddress, scale: str) -> tuple[float, float, int, str]:
    """Return depth, width and the largest number of channels of a scale, and its name; by default of the first."""
    scales = data.get("scales")
    if not isinstance(scales, Mapping) or not scales:
        if scale:
            raise at.error("SB206", f"the file has no scales, and no {make_printable(repr(scale))}")
        depth, width = (read_factor(data, at, key) for key in ("depth_multiple", "width_multiple"))
        return depth, width, MAX_AXIS, ""
    chosen = scale or str(next(iter(scales)))
    if chosen not in scales:
        raise at.child("scales").error(
            "SB206",
            f"there is no scale {make_printable(repr(chosen))}",
            f"its scales are {join_names(map(str, scales))}",
        )
    values, place = scales[chosen], at.child("scales", chosen)
    if not isinstance(values, list) or len(values) != 3:
        raise place.error("SB102", "a scale is a list of depth, width and the largest width")
    depth, width = (read_factor(values, place, i) for i in (0, 1))
    limit = values[2]
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_AXIS:
        raise place.child(2).error("SB304", f"{make_printable(repr(limit), 60)} is no number of channels")
    return depth, width, limit, chosen


def read_factor(values: Mapping[str, Any] | list[Any], at: SourceAddress, key: str | int) -> float:
    """Return the factor for depth or width at a key, 1 if a mapping has none; raises SB304 for another value."""
    value = values.get(str(key), 1) if isinstance(values, Mapping) else values[int(key)]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_FACTOR:
        message = f"{make_printable(repr(value), 60)} is no factor between 0 and {MAX_FACTOR}"
        raise at.child(key).error("SB304", message)
    return float(value)


def read_layers(data: Mapping[str, Any], at: SourceAddress) -> list[Layer]:
    """Return the layers of backbone and head, with what each reads."""
    layers: list[Layer] = []
    for part in ("backbone", "head"):
        for i, raw in enumerate(data.get(part) or ()):
            place = at.child(part, i)
            if (
                not isinstance(raw, list)
                or len(raw) != 4
                or not isinstance(raw[3], list)
                or not isinstance(raw[1], int)
            ):
                raise place.error("SB102", "a layer is a list: [from, number, module, arguments]")
            if not 1 <= raw[1] <= MAX_NUMBER:
                raise place.child(1).error("SB304", f"the number of a layer is from 1 to {MAX_NUMBER:,}")
            index = len(layers)
            if index >= MAX_LAYERS:
                raise place.error("SB501", f"a model has at most {MAX_LAYERS} layers")
            origins = raw[0] if isinstance(raw[0], list) else [raw[0]]
            inputs = [
                origin + index if isinstance(origin, int) and origin < 0 else origin for origin in origins
            ]
            if not inputs or not all(isinstance(i, int) and -1 <= i < index for i in inputs):
                raise place.error("SB202", f"layer {index} reads a layer that is not before it")
            layers.append(Layer(place, index, inputs, raw[1], str(raw[2]), raw[3]))
    return layers


# -- modules: each writes its step and returns its channels


def read_argument(layer: Layer, position: int, default: Any) -> Any:
    value = layer.arguments[position] if position < len(layer.arguments) else default
    return default if value in (None, "None") else value


def whole_argument(layer: Layer, position: int, default: int) -> int:
    """Return an argument that must be a whole number of at least 1."""
    value = read_argument(layer, position, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        message = (
            f"argument {position + 1} of {layer.module} is {make_printable(repr(value), 60)}, no whole number"
        )
        raise layer.at.error("SB304", message)
    return value


def layer_name(index: int) -> str:
    return f"layer{index}" if index >= 0 else "image"


def add_step(conversion: Conversion, layer: Layer, step: str, repeat: int = 1) -> None:
    """Add a step that reads one layer."""
    lines = [f"  - {step}"]
    if layer.inputs[0] != layer.index - 1:
        lines.append(f"    from: {layer_name(layer.inputs[0])}")
    if repeat > 1:
        lines.append(f"    repeat: {repeat}")
    conversion.steps += [*lines, f"    as: {layer_name(layer.index)}"]


def input_channels(conversion: Conversion, layer: Layer) -> int:
    return conversion.channels[layer.inputs[0]] if layer.inputs[0] >= 0 else 3


def write_conv(conversion: Conversion, layer: Layer) -> int:
    channels = conversion.scale_channels(read_argument(layer, 0, None), layer.at)
    values = {name: whole_argument(layer, i, 1) for name, i in (("kernel", 1), ("stride", 2), ("groups", 4))}
    if read_argument(layer, 3, None) not in (None, values["kernel"] // 2):
        raise layer.at.child(3, 3).error("SB304", "only a padding of half the kernel is converted")
    given = "".join(f", {key}: {value}" for key, value in values.items() if value != 1)
    step = f"{conversion.use('ConvUnit')}: {{channels: {channels}{given}}}"
    add_step(conversion, layer, step, conversion.scale_number(layer.number))
    return channels


def stage_writer(block: str, shortcut: bool) -> Callable[[Conversion, Layer], int]:
    def write_stage(conversion: Conversion, layer: Layer) -> int:
        channels = conversion.scale_channels(read_argument(layer, 0, None), layer.at)
        number = conversion.scale_number(layer.number)
        given = f", number: {number}" if number > 1 else ""
        if bool(read_argument(layer, 1, shortcut)) != shortcut:
            given += f", shortcut: {'false' if shortcut else 'true'}"
        add_step(conversion, layer, f"{conversion.use(block)}: {{channels: {channels}{given}}}")
        return channels

    return write_stage


def write_pool(conversion: Conversion, layer: Layer) -> int:
    channels = conversion.scale_channels(read_argument(layer, 0, None), layer.at)
    kernel = whole_argument(layer, 1, 5)
    given = f", kernel: {kernel}" if kernel != 5 else ""
    add_step(conversion, layer, f"{conversion.use('PyramidPool')}: {{channels: {channels}{given}}}")
    return channels


def write_upsample(conversion: Conversion, layer: Layer) -> int:
    mode = read_argument(layer, 2, "nearest")
    if mode not in ("nearest", "bilinear", "bicubic"):
        raise layer.at.error("SB304", f"{make_printable(repr(mode), 60)} is no mode of nn.Upsample")
    add_step(conversion, layer, f"resize: {{scale: {whole_argument(layer, 1, 2)}, mode: {mode}}}")
    return input_channels(conversion, layer)


def write_concat(conversion: Conversion, layer: Layer) -> int:
    if read_argument(layer, 0, 1) != 1:
        raise layer.at.child(3, 0).error(
            "SB304", "only values that are joined along the channels (1) are converted"
        )
    names = ", ".join(map(layer_name, layer.inputs))
    conversion.steps += [f"  - concat: {{of: [{names}], over: C}}", f"    as: {layer_name(layer.index)}"]
    return sum(conversion.channels[i] for i in layer.inputs)


def write_detect(conversion: Conversion, layer: Layer) -> int:
    """Write one step for each map; the widths of all follow from the first map."""
    if len(layer.arguments) > 1:
        raise layer.at.error(
            "SB404", "a head with anchors has no step", "the files of YOLOv8 and YOLOv5u have none"
        )
    first = input_channels(conversion, layer)
    box_width, class_width = max(16, first // 4, 4 * BINS), max(first, min(conversion.classes, 100))
    for i, index in enumerate(layer.inputs):
        step = f"detect{i}"
        conversion.steps += [
            f"  - {conversion.use('DetectLevel')}: {{classes: classes, box_width: {box_width}, class_width: {class_width}}}",
            f"    from: {layer_name(index)}",
            f"    as: {step}",
        ]
        conversion.outputs += [f"boxes{i}: {step}.boxes", f"classes{i}: {step}.classes"]
    return 0


MODULES: dict[str, Callable[[Conversion, Layer], int]] = {
    "Conv": write_conv,
    "C2f": stage_writer("SplitStage", shortcut=False),
    "C3": stage_writer("CrossStage", shortcut=True),
    "SPPF": write_pool,
    "nn.Upsample": write_upsample,
    "Concat": write_concat,
    "Detect": write_detect,
}


# How many arguments of each are converted; Detect counts its own.
KNOWN_ARGUMENTS = {
    "Conv": 5,
    "C2f": 2,
    "C3": 2,
    "SPPF": 2,
    "nn.Upsample": 3,
    "Concat": 1,
    "Detect": MAX_LAYERS,
}
# Keys of the file that change all layers, and the values for which the steps are right.
USUAL = {"activation": (None, "nn.SiLU()", "nn.SiLU(inplace=True)"), "ch": (3,)}


def write_converted_spec(conversion: Conversion, model: str, size: int) -> str:
    """Return the spec: head, the blocks that are used, steps and outputs."""
    blocks = [f"  {name}:\n{text}" for name, text in BLOCKS.items() if name in conversion.blocks]
    parts: Sequence[str] = [
        "specbuild: 1",
        f"model: {model}",
        "doc: Converted from a model file of Ultralytics; the numbers in the names of steps are its layers.",
        f"params: {{classes: {conversion.classes}}}" if conversion.outputs else "",
        f"inputs: {{image: {{C: 3, H: {size}, W: {size}}}}}",
        "blocks:\n" + "\n".join(blocks).rstrip(),
        "steps:",
        *conversion.steps,
        f"outputs: {{{', '.join(conversion.outputs)}}}" if conversion.outputs else "",
    ]
    return "\n".join(part for part in parts if part) + "\n"
