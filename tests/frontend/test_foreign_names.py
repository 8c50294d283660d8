"""Names of PyTorch, Keras, JAX and timm: the hint is the whole step to write, and it works."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
import yaml

from specbuild import load
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.frontend.editor_schema import library_blocks
from specbuild.frontend.foreign_names import ATTRIBUTE_NAMES, REPLACEMENTS, SEPARABLE_ADVICE, Replacement
from specbuild.frontend.foreign_steps import suggest_step
from specbuild.frontend.library import LIBRARY, full_library_index, library_names
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes

HEAD = "specbuild: 1\nmodel: Net\ninputs: {image: {C: 8, H: 8, W: 8}}\nsteps:\n  - "


def find_errors(text: str) -> Sequence[SpecError]:
    with pytest.raises((SpecError, SpecErrors)) as caught:
        load(text)
    return caught.value.errors if isinstance(caught.value, SpecErrors) else [caught.value]


# A step as other libraries call it, and the one to write.
STEPS = {
    "Dense: {units: 10}": "linear: {features: 10}",
    "fc: 10": "linear: {features: 10}",
    "nn.Conv2d: {out_channels: 8, kernel_size: 1}": "conv: {channels: 8, kernel: 1}",
    "keras.layers.Dense: {units: 10}": "linear: {features: 10}",
    "Linear: {in_features: 8, out_features: 10, bias: false}": "linear: {features: 10, bias: false}",
    "Conv2d: {in_channels: 3, out_channels: 8, kernel_size: 3, padding: 1}": "conv: {channels: 8, kernel: 3, padding: 1}",
    "Conv2D: {filters: 8, kernel_size: 3, strides: 2, use_bias: false}": "conv: {channels: 8, kernel: 3, stride: 2, bias: false, padding: 0}",
    "DepthwiseConv2D: {kernel_size: 3}": "conv: {channels: prev.C, groups: prev.C, kernel: 3, padding: 0}",
    "deconv: {out_channels: 4, kernel_size: 2, stride: 2}": "conv_transpose: {channels: 4, kernel: 2, stride: 2, padding: 0}",
    "bn": "- batch_norm",
    "Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same}": "conv: {channels: 8, kernel: 3, stride: 2, padding: tf_same}",
    "Conv2D: {filters: 8, kernel_size: 1}": "conv: {channels: 8, kernel: 1}",
    "BatchNorm2d: 3": "- batch_norm",
    "LayerNorm: 64": "- layer_norm",
    "PReLU: 3": "- prelu",
    "BatchNormalization": "batch_norm: {momentum: 0.01, epsilon: 0.001}",
    "BatchNormalization: {momentum: 0.9, epsilon: 0.01}": "batch_norm: {momentum: 0.1, epsilon: 0.01}",
    "BatchNorm2d: {eps: 0.001}": "batch_norm: {epsilon: 0.001}",
    "GroupNorm: {num_groups: 4}": "group_norm: {groups: 4}",
    "MaxPooling2D: {pool_size: 2}": "max_pool: {kernel: 2}",
    "GlobalAveragePooling2D": "mean: {over: [H, W]}",
    "Upsample: {scale_factor: 2, mode: bilinear}": "resize: {scale: 2, mode: bilinear}",
    "UpSampling2D: 2": "resize: {scale: 2}",
    "interpolate: {size: [3, 3]}": "resize: {size: [3, 3]}",
    "swish": "- silu",
    "ReLU": "- relu",
    "LeakyReLU: {negative_slope: 0.1}": "leaky_relu: {slope: 0.1}",
    "Dropout: 0.3": "dropout: {rate: 0.3}",
    "dropout2d: {p: 0.3}": "dropout: {over: [H, W], rate: 0.3}",
    "StochasticDepth: {p: 0.1}": "drop_path: {rate: 0.1}",
    "cat: [image, image]": "concat: [image, image]",
    "torch.cat: {tensors: [image, image]}": "concat: [image, image]",
    "nn.Conv2d(8, 4, 3, padding=1)": "conv: {channels: 4, kernel: 3, padding: 1}",
    "nn.Conv2d(8, 4, kernel_size=(3, 1))": "conv: {channels: 4, kernel: [3, 1], padding: 0}",
    "layers.Conv2D(4, (3, 3))": "conv: {channels: 4, kernel: [3, 3], padding: 0}",
    "nn.Linear(8, 10)": "linear: {features: 10}",
    "nn.MaxPool2d(2, 2)": "max_pool: {kernel: 2, stride: 2}",
    "nn.Dropout(0.5)": "dropout: {rate: 0.5}",
    "nn.GroupNorm(4, 8)": "group_norm: {groups: 4}",
    "LayerNorm: {normalized_shape: 8}": "- layer_norm",
    "layers.LeakyReLU()": "leaky_relu: {slope: 0.3}",
    "layers.LayerNormalization()": "layer_norm: {epsilon: 0.001}",
    "unsqueeze: 1": "expand: {axes: {T: 1}}",
    "PixelShuffle: {upscale_factor: 2}": "pixel_shuffle: {factor: 2}",
    "cbam: {ratio: 4}": "CBAM: {reduction: 4}",
}


@pytest.mark.parametrize(("foreign", "own"), STEPS.items(), ids=[s.split(":")[0] for s in STEPS])
def test_the_hint_is_the_step_to_write(foreign: str, own: str) -> None:
    error = find_errors(HEAD + foreign + "\n")[0]
    assert (error.code, error.hint) == ("SB201", f"write `{own}`")
    if "ratio" not in own:  # its parameter is told next
        load(HEAD + own.removeprefix("- ") + "\n")


# A step that has no single step here: the hint says what is missing, and `check --fix` leaves it alone.
PARTS = {
    "Conv2D: {filters: 8, kernel_size: 1, activation: relu}": "write `conv: {channels: 8, kernel: 1}`, and `- relu` as the next step",
    "topk: 5": "write `top_k: {k: 5, over: ...}`",
    "torch.cat: {tensors: [image, image], dim: 2}": "write `concat: {of: [image, image], over: ...}`",
    "SeparableConv2D: {filters: 8}": SEPARABLE_ADVICE,
    "Dense: {units: 8, kernel_regularizer: l2}": "write `linear: {features: 8}`; it has no kernel_regularizer",
}


SEVERAL_CALLS = "write each call as a step of its own: a step reads the one before, or what `from` names"


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())", SEVERAL_CALLS),
        ("nn.Conv2d(3, 8, 3), nn.ReLU()", SEVERAL_CALLS),
        ("F.relu(self.conv(x))", SEVERAL_CALLS),
        ("layers.Dense(10)(x)", SEVERAL_CALLS),
        ("torch.relu(x + y)", "write attributes in braces: `relu: {...}`"),
        ("nn.AdaptiveAvgPool2d((1, 1))", "write attributes in braces: `adaptive_avg_pool: {...}`"),
        ("nn.Flatten(2)", "write `flatten: {axes: [C, H, W], into: C}`; it has no start_dim"),
        ("nn.LayerNorm([8, 8, 8])", "write `- layer_norm`; it has no normalized_shape"),
        ("nn.Softmax(1)", "write `softmax: {over: ...}`"),
        ("view(-1, 8)", REPLACEMENTS["view"].advice),
        ("nn.Conv2d(\uff11, \uff18)", "`specbuild library list` lists every op and block"),
    ],
)
def test_a_call_that_is_more_than_one_step_is_not_made_one(call: str, hint: str) -> None:
    """`check --fix` follows only a hint that is a whole step."""
    assert find_errors(f"{HEAD}'{call}'\n")[0].hint == hint


@pytest.mark.parametrize("foreign", PARTS)
def test_what_has_no_place_in_the_step_is_said(foreign: str) -> None:
    assert find_errors(HEAD + foreign + "\n")[0].hint == PARTS[foreign]


def test_recurrent_layers_of_keras_return_the_last_step() -> None:
    assert suggest_step("LSTM", {"units": 8}, ()) == "write `lstm: {units: 8, returns: last}`"
    every = {"units": 8, "return_sequences": True}
    assert suggest_step("LSTM", every, ()) == "write `lstm: {units: 8, returns: sequence}`"
    assert suggest_step("LSTM", {"hidden_size": 8}, ()) == "write `lstm: {units: 8}`"


@pytest.mark.parametrize(
    "name", ["reshape", "permute", "einsum", "matmul", "identity", "Lambda", "Sequential"]
)
def test_what_is_no_single_op_has_advice(name: str) -> None:
    hint = suggest_step(name, None, ())
    assert hint == REPLACEMENTS[name.lower()].advice


ATTRIBUTES = {
    "conv: {filters: 8, kernel_size: 3}": ["write `channels: 8`", "write `kernel: 3`"],
    "conv: {out_features: 8}": ["write `channels: 8`"],
    "conv: {in_channels: 3, channels: 8}": ["remove it: the compiler infers it"],
    "linear: {outputs: 8}": ["write `features: 8`"],
    "linear: {out_channels: 8}": ["write `features: 8`"],
    "max_pool: {pool_size: 2, strides: 2}": ["write `kernel: 2`", "write `stride: 2`"],
    "dropout: {p: 0.1}": ["write `rate: 0.1`"],
    "softmax: {dim: 1}": ["write `over: ...` with the name of the axis, such as C or H"],
    "batch_norm: {eps: 0.1}": ["write `epsilon: 0.1`"],
    "CBAM: {ratio: 4}": ["write `reduction: 4`"],
}


@pytest.mark.parametrize("step", ATTRIBUTES)
def test_attributes_of_other_libraries(step: str) -> None:
    assert [(error.code, error.hint) for error in find_errors(f"{HEAD}{step}\n")] == [
        ("SB101", hint) for hint in ATTRIBUTES[step]
    ]


def test_every_replacement_exists() -> None:
    own_names = {name.replace("_", "") for name in OPS}
    for name, replacement in REPLACEMENTS.items():
        in_capitals = name == "flatten"  # `Flatten`, which merges all axes of a map
        assert name not in own_names or in_capitals, "an op of this name would never be looked up here"
        if replacement.advice:
            assert replacement == Replacement(advice=replacement.advice)
        elif replacement.op not in full_library_index():
            attributes = list_attributes(OPS[replacement.op])
            assert {*replacement.given, *filter(None, [replacement.alone])} <= {*attributes}, name
    every_attribute = {name for op in OPS.values() for name in list_attributes(op)} | {
        "heads",
        "reduction",
        "kv_heads",
        "hidden",
    }
    for names in ATTRIBUTE_NAMES.values():
        assert set(re.findall(r"\w+", names)) <= every_attribute


def test_a_name_stands_for_one_block_of_the_library() -> None:
    """Inner blocks of models do not count: no other file can use them."""
    files: dict[str, list[str]] = {}
    for path in sorted(LIBRARY.rglob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name in [data["model"]] if "model" in data else data["blocks"]:
            files.setdefault(name, []).append(path.name)
    assert {name: found for name, found in files.items() if len(found) > 1} == {}


def test_other_names_of_library_blocks() -> None:
    listed = [(name, block.name) for block in library_blocks().values() for name in block.about.names]
    assert library_names() == dict(listed) and len(listed) == len(dict(listed))
    assert suggest_step("SEBlock", {"reduction": 8}, ()) == "write `SqueezeExcitation: {reduction: 8}`"
    assert suggest_step("squeeze_excite", None, ()) == "write `- SqueezeExcitation`"


@pytest.mark.parametrize(
    ("foreign", "own"),
    [
        ("he_normal", "kaiming_normal"),
        ("GlorotUniform", "xavier_uniform"),
        ("trunc_normal_", "truncated_normal(0.02)"),
    ],
)
def test_initializers_of_other_libraries(foreign: str, own: str) -> None:
    [error] = find_errors(f"{HEAD}linear: {{features: 8, init: {foreign}}}\n")
    assert error.hint == f"write `{own}`"
    load(f"{HEAD}linear: {{features: 8, init: {own}}}\n")


SEQUENCE = "specbuild: 1\nmodel: Net\ninputs: {x: {T: 8, C: 16}}\n"
# A mistake, the text of the hint that replaces it, and what stands there afterwards.
MENDED = {
    '{compare: {op: "!=", value: 0}}': ('op: "!="', "test: not_equal"),
    '{compare: {test: "<=", value: 0}}': ('test: "<="', "test: less_equal"),
    "{lstm: {units: 8, return_sequences: false}}": ("return_sequences: false", "returns: last"),
    "{lstm: {units: 8, return_sequences: true}}": ("return_sequences: true", "returns: sequence"),
    "{dropout: {keep_prob: 0.9}}": ("keep_prob: 0.9", "rate: 0.1"),
    "{variance: {over: T, unbiased: false}}": ("unbiased: false", "correction: 0"),
    "{TransformerLayer: {nhead: 4, dim_feedforward: 64}}": (
        "{TransformerLayer: {nhead: 4, dim_feedforward: 64}}",
        "TransformerEncoderLayer: {heads: 4, hidden: 64}",
    ),
    "{TransformerEncoderLayer: {heads: 4, dim_feedforward: 64}}": ("dim_feedforward: 64", "hidden: 64"),
    "{add: [x, 1]}": ("{add: [x, 1]}", "{scale: {plus: 1}, from: x}"),
    "{subtract: [1, x]}": ("{subtract: [1, x]}", "{scale: {by: -1, plus: 1}, from: x}"),
    "{divide: [x, 2]}": ("{divide: [x, 2]}", "{scale: {by: 1 / 2}, from: x}"),
    "{multiply: {of: [x, 0.5]}}": ("{multiply: {of: [x, 0.5]}}", "{scale: {by: 0.5}, from: x}"),
    "{maximum: [x, 0]}": ("{maximum: [x, 0]}", "{clip: {min: 0}, from: x}"),
    "{compare: {x: x, test: greater, other: 0}}": ("other: 0", "value: 0"),
    "{compare: {test: greater, value: 0}, as: m}, {where: {then: x, condition: m, otherwise: -1.0e+9}}": (
        "otherwise: -1.0e+9",
        "value: -1000000000.0",
    ),
    "{use: SE}": ("{use: SE}", "SqueezeExcitation"),
}


@pytest.mark.parametrize("steps", MENDED)
def test_what_the_hint_says_mends_the_step(steps: str) -> None:
    wrong, right = MENDED[steps]
    text = f"{SEQUENCE}steps: [{steps}]\n"
    assert right in find_errors(text)[0].hint
    if right != "SqueezeExcitation":  # which needs a map
        braces = f"{{{right}}}" if wrong.startswith("{") and not right.startswith("{") else right
        load(text.replace(wrong, braces))


def test_a_masked_softmax_is_a_block() -> None:
    inputs = SEQUENCE.replace("{T: 8, C: 16}}", "{T: 8}, m: {axes: {T: 8}, dtype: bool}}")
    hint = find_errors(f"{inputs}steps: [{{masked_softmax: {{mask: m}}, from: x}}]\n")[0].hint
    step = hint.partition("write `")[2].partition("`")[0]
    load(f"{inputs}steps: [{{scale: {{by: 1}}, from: x}}, {{{step}}}]\n")


@pytest.mark.parametrize("declared", ["{default: SE}", "{type: block, default: SE}"])
def test_another_name_as_a_default(declared: str) -> None:
    text = (
        f"specbuild: 1\nmodel: Net\nparams: {{attention: {declared}}}\ninputs: {{x: {{C: 16, H: 8, W: 8}}}}\n"
    )
    text += "steps: [{use: attention}]\n"
    hint = find_errors(text)[0].hint.partition("write `")[2].partition("`")[0]
    wrong = "default: SE" if hint.startswith("default") else f"attention: {declared}"
    assert load(text.replace(wrong, hint)).parameters > 0


def test_attributes_beside_use() -> None:
    step = "{use: library:backbones/resnet.yaml, variant: resnet18}"
    text = f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 3, H: 32, W: 32}}}}\nsteps: [{step}]\n"
    imports, written = find_errors(text)[0].hint.split("`")[1:4:2]
    load(text.replace("inputs:", f"{imports}\ninputs:").replace(step, f"{{{written}}}"))


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ("{softmax: {over: features}}", "write `C`, the axis of features"),
        ("{mean: {over: height}}", "write `H`, the axis of height"),
        ("{conv: {channels: 8, stride: [2, 2, 2]}}", "write one number for all axes, such as `stride: 2`"),
        ("{ResNet: {depth: 18}}", "write `variant: resnet18`"),
        ("{ConvNeXt: {size: tiny}}", "write `variant: convnext_tiny`"),
        ("{lstm: {units: 8, num_layers: 2}}", "write `repeat: 2` as a key of the step, beside the op"),
        ("{lstm: {units: 8}, as: l}, {linear: {features: 2}, from: l.h}", "write `returns: all` in l"),
        ("{for: 3, relu: }", "write `repeat: 3`"),
        ("{sum: [x, x]}", "write `add: [x, x]`"),
        ("{max: [x, x]}", "write `maximum: [x, x]`"),
        ("{mean: [H, W]}", "write `mean: {over: [H, W]}`"),
        ("{conv: 3x3}", "write `conv: {channels: ..., kernel: 3}`"),
    ],
)
def test_words_for_axes_windows_and_variants(step: str, hint: str) -> None:
    axes = "T: 5, C: 3" if "lstm" in step else "C: 3, H: 8, W: 8"
    text = f"specbuild: 1\nmodel: Net\ninputs: {{x: {{{axes}}}}}\nsteps: [{step}]\n"
    assert find_errors(text)[0].hint.startswith(hint)
