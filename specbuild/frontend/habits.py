"""Hints for what people write from habit: keys, calls and operators of other libraries, where no op is misnamed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from specbuild.frontend.foreign_names import REPLACEMENTS, find_attribute, normalize_name, write_inline
from specbuild.frontend.foreign_steps import suggest_step
from specbuild.frontend.foreign_values import suggest_number_operand
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes

CALL = re.compile(r"(?:\w+\.)*([A-Za-z_]\w*)\((.*)\)")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*) *= *(?!=)(.+)")
OPERATION = re.compile(r"([\w.]+) *([-+*/]) *([\w.]+)")
CALL_WITHOUT_COLON = re.compile(
    r"(\w+) *\{ *(\w+)|(\w+) +(\w+)"
)  # a key such as `conv {channels` or `conv channels`
OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
NUMBER = re.compile(r"\d+(?:\.\d+)?")
KEYWORD = re.compile(r"\w+=")
NUMBERS_IN_PARENTHESES = re.compile(r"(?<!\w)\(([\d\s,]*)\)")
MAX_TEXT = 200

ACTIVATION_KEYS = "activation act actlayer activationfn nonlinearity".split()
NORM_KEYS = "norm normlayer normalization batchnorm usebn bn".split()
LOAD_ADVICE = "remove it: `specbuild weights convert` loads trained weights"
TRAINING_ADVICE = "remove it: a spec does not describe training, which is plain code around the emitted model"
TRAINING_KEYS = (
    "lr learningrate weightdecay optimizer loss lossfn criterion metrics epochs batchsize scheduler training train "
    "dataset data"
).split()
ATTRIBUTE_ADVICE = {
    "name": "write `as: {value}` as a key of the step, beside the op",
    **dict.fromkeys("x input inputs".split(), "write `from: {value}` as a key of the step, beside the op"),
    "inplace": "remove it: no op changes its input",
    **dict.fromkeys("startdim enddim".split(), "name the axes: `flatten: {{axes: [C, H, W], into: C}}`"),
    **dict.fromkeys("pretrained checkpoint ckpt".split(), LOAD_ADVICE),
    **dict.fromkeys(
        "numlayers nlayers nlayer".split(),
        "write `repeat: {value}` as a key of the step, beside the op",
    ),
    **dict.fromkeys("embeddim dmodel kdim vdim keydim".split(), "remove it: the compiler infers it"),
    **dict.fromkeys(
        "trainable requiresgrad".split(), "freeze the step from outside: `edits: [freeze: NAME]`"
    ),
}
ATTRIBUTE_ADVICE |= dict.fromkeys(TRAINING_KEYS, TRAINING_ADVICE)
TYPE_KEYS = "type module classname layer layertype op kind".split()  # of a step, whose value is its op
STEP_ADVICE = {
    "name": "write `as: {value}`",
    "id": "write `as: {value}`",
    **dict.fromkeys("inputs input bottom src source".split(), "write `from: {value}`"),
    **dict.fromkeys(TYPE_KEYS, "write the op as the key: `- {value}: {{...}}`"),
    **dict.fromkeys("output outputs out top returns to".split(), "write `as: {value}`"),
    **dict.fromkeys("number num times count n for loop".split(), "write `repeat: {value}`"),
    **dict.fromkeys("if cond condition".split(), "write `when: {value}`"),
    "comment": "write `doc: {value}`",
    **dict.fromkeys("row rows".split(), "write `draw: {{row: {value}}}`"),
}
FILE_ADVICE = {
    **dict.fromkeys(
        "nc numclasses classes".split(),
        "write `params: {{classes: {value}}}`, and `classes` where it is used",
    ),
    **dict.fromkeys(
        "layers network architecture backbone head body modules".split(),
        "the steps of a model are listed under `steps`",
    ),
    **dict.fromkeys("name modelname".split(), "write `model: {value}`"),
    **dict.fromkeys(
        "parameters hyperparameters hparams config args".split(), "parameters are listed under `params`"
    ),
    **dict.fromkeys("version specversion".split(), "write `specbuild: 1`"),
    **dict.fromkeys(TRAINING_KEYS, TRAINING_ADVICE),
    **dict.fromkeys("inputshape shape input".split(), "write `inputs: {{image: {{C: 3, H: 224, W: 224}}}}`"),
}


TORCH_CONV = "in_channels out_channels kernel_size stride padding dilation groups bias"
TORCH_POOL, KERAS_POOL = "kernel_size stride padding", "pool_size strides padding"
# What the arguments of calls are called that have no names there.
POSITIONS = {
    **dict.fromkeys("Conv1d Conv2d Conv3d".split(), TORCH_CONV),
    **dict.fromkeys("Conv1D Conv2D Conv3D".split(), "filters kernel_size strides padding"),
    **dict.fromkeys("MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d".split(), TORCH_POOL),
    **dict.fromkeys("MaxPooling1D MaxPooling2D AveragePooling1D AveragePooling2D".split(), KERAS_POOL),
    "Linear": "in_features out_features bias",
    "Dense": "units activation use_bias",
    "Embedding": "num_embeddings embedding_dim",
    "Dropout": "rate",
    "Flatten": "start_dim end_dim",
    "Softmax": "dim",
    "LayerNorm": "normalized_shape",
    "GroupNorm": "num_groups num_channels",
    "cat": "tensors dim",
    "concatenate": "inputs axis",
    "Concatenate": "axis",
}


def suggest_attribute_habit(key: str, value: Any) -> str:
    """Return the hint for an attribute that no op has here; empty if the key is no habit."""
    name = normalize_name(key)
    if name in ACTIVATION_KEYS or name in NORM_KEYS:
        what = "activation" if name in ACTIVATION_KEYS else "norm"
        op = own_op(value) or ("relu" if what == "activation" else "batch_norm")
        return f"write the {what} as a step of its own, after this one: `- {op}`"
    return fill_advice(ATTRIBUTE_ADVICE.get(name, ""), value)


def own_op(value: Any) -> str:
    """Return the op that a text names; empty if it names none."""
    if not isinstance(value, str):
        return ""
    name = normalize_name(value.rpartition(".")[2])
    known = {normalize_name(op): op for op in OPS}
    if name in known:
        return known[name]
    step = suggest_step(value.rpartition(".")[2], None, ())
    match = re.fullmatch(r"write `(?:- )?(\w+)`", step)
    return match[1] if match else ""


def suggest_step_habit(key: str, value: Any) -> str:
    """Return the hint for a key of a step that is neither an op nor a step key."""
    return fill_advice(STEP_ADVICE.get(normalize_name(key), ""), value)


def find_type_key(step: Mapping[str, Any]) -> str | None:
    """Return the key of a step such as `{type: conv, channels: 8}` whose value is the op; None if it has none."""
    return next((k for k, v in step.items() if normalize_name(k) in TYPE_KEYS and own_op(v)), None)


def suggest_typed_step(step: Mapping[str, Any], type_key: str, step_keys: Collection[str]) -> str:
    """Return the hint for a step such as `{type: conv, channels: 8, name: stem}`: `- {conv: {channels: 8}, as: stem}`."""
    body: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    op = own_op(step[type_key])
    attributes = list_attributes(OPS[op]) if op in OPS else ()  # a block has its own words
    for key, value in step.items():
        own = re.fullmatch(r"write `(as|from): .*`", suggest_step_habit(key, value))
        if own or key in step_keys:
            keys[own[1] if own else key] = value
        elif key != type_key:
            body[find_attribute(key, attributes) or key] = value
    written = write_inline({op: body or None, **keys})
    if not keys:
        written = written[1:-1] if body else op
    return f"write the op as the key: `- {written.replace(': null', ':')}`"


def suggest_list_of_inputs(op: str, attributes: Mapping[str, Any], known: Collection[str]) -> str:
    """Return the hint for `add: {x: image, y: stem}`, an op that takes any number of values; else an empty text."""
    is_list = bool(OPS[op].input_specs) and OPS[op].input_specs[0].variadic and "of" not in attributes
    unknown = {key: value for key, value in attributes.items() if key not in known}
    if not is_list or len(unknown) < 2 or not all(isinstance(value, str) for value in unknown.values()):
        return ""
    listed = f"[{', '.join(unknown.values())}]"
    rest = "".join(f", {key}: {write_inline(attributes[key])}" for key in attributes if key in known)
    return f"write the step as `- {op}: {f'{{of: {listed}{rest}}}' if rest else listed}`"


def suggest_file_habit(key: str, value: Any) -> str:
    """Return the hint for a key of a file that no spec has."""
    return fill_advice(FILE_ADVICE.get(normalize_name(key), ""), value)


def fill_advice(advice: str, value: Any) -> str:
    """Return an advice with a value in it."""
    if "{value}" in advice and (value is None or isinstance(value, Mapping)):
        value = "..."
    text = value if isinstance(value, str) else write_inline(value)
    return advice.format(value=text[:MAX_TEXT]) if advice else ""


def suggest_missing_colon(key: str, value: Any, ops: Collection[str]) -> str:
    """Return the hint for a step such as `conv {channels: 8}`, whose key is `conv {channels`."""
    found = CALL_WITHOUT_COLON.fullmatch(key[:MAX_TEXT])
    name, attribute = (found[1] or found[3], found[2] or found[4]) if found else ("", "")
    if name not in ops or value is None or isinstance(value, Mapping):
        return ""
    text = value.removesuffix("}") if isinstance(value, str) else write_inline(value)
    return f"a colon is missing: write `{name}: {{{attribute}: {text[:MAX_TEXT]}}}`"


def suggest_call(text: str, blocks: Collection[str]) -> str:
    """Return the hint for a step that is written as Python: `Dense(10)`, `nn.Conv2d(3, 8, 3)`, `a + b`."""
    if operation := OPERATION.fullmatch(text):
        left, sign, right = operation.groups()
        for place, text_of_number in enumerate((left, right)):
            if NUMBER.fullmatch(text_of_number):
                number = yaml.safe_load(text_of_number)
                return suggest_number_operand(OPERATORS[sign], place, [left, right], number)
        return f"write `{OPERATORS[sign]}: [{left}, {right}]`"
    if assignment := ASSIGNMENT.fullmatch(text[:MAX_TEXT]):
        hint = suggest_call(assignment[2], blocks)
        named = f"`as: {assignment[1]}` names the step"
        return f"{hint}; {named}" if hint else f"write the op as the key, such as `- relu`; {named}"
    if text.startswith("lambda "):
        return REPLACEMENTS["lambda"].advice
    call = CALL.fullmatch(text[:MAX_TEXT])
    if call is None or not text.isascii():
        return ""
    name, arguments = call[1], call[2].strip()
    if re.search(r"[()]", NUMBERS_IN_PARENTHESES.sub("", arguments)):
        return "write each call as a step of its own: a step reads the one before, or what `from` names"
    body = call_body(name, arguments)
    function = text.partition("(")[0].strip()
    hint = suggest_step(function, body, blocks) if body is not None or not arguments else ""
    other = REPLACEMENTS.get(normalize_name(name))
    hint = hint or (other.advice if other is not None else "")
    return hint or (f"write attributes in braces: `{own_op(name)}: {{...}}`" if own_op(name) else "")


def call_body(name: str, arguments: str) -> Any:
    """Return the arguments of a call as the body of a step: by name, or a single value; None for others."""
    arguments = NUMBERS_IN_PARENTHESES.sub(lambda found: f"[{found[1]}]", arguments)
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", arguments)]
    positions = POSITIONS.get(name, "").split()
    named = [
        part if KEYWORD.match(part) or i >= len(positions) else f"{positions[i]}={part}"
        for i, part in enumerate(parts)
    ]
    try:
        if arguments and all(KEYWORD.match(part) for part in named):
            pairs = (part.partition("=") for part in named)
            return {key: yaml.safe_load(value) for key, _, value in pairs}
        if len(parts) == 1 and arguments:
            value = yaml.safe_load(arguments)
            return value if isinstance(value, int | float) else None
    except yaml.YAMLError:
        return None
    return None


def suggest_list_step(step: list[Any]) -> str:
    """Return the hint for a step that is a list, as in the files of Ultralytics: [from, number, module, arguments]."""
    names = [item for item in step if isinstance(item, str) and item.isidentifier()]
    name = (own_op(names[0]) or names[0]) if names else "conv"
    return f"write `- {name}: {{...}}`: attributes have names, `from` names what a step reads, `repeat` how often it stands"
