"""Mistakes of people who come from Keras, PyTorch, timm and Ultralytics: what the hint says works when it is followed."""

from __future__ import annotations

import pytest

import specbuild
from specbuild import SpecError
from specbuild.diagnostics.errors import SpecErrors

MAP, TOKENS = "{image: {C: 3, H: 32, W: 32}}", "{x: {T: 16, C: 32}}"


def spec(steps: str, inputs: str = MAP, head: str = "") -> str:
    return f"specbuild: 1\nmodel: Net\n{head}inputs: {inputs}\nsteps:\n{steps}"


# The mistake, what the hint must say, and the spec with it.
MISTAKES = {
    "keras activation": (
        spec("  - conv: {channels: 8, activation: relu}\n"),
        "after this one: `- relu`",
        spec("  - conv: {channels: 8}\n  - relu\n"),
    ),
    "torch activation": (
        spec("  - linear: {features: 8, act_layer: nn.SiLU}\n"),
        "after this one: `- silu`",
        spec("  - linear: {features: 8}\n  - silu\n"),
    ),
    "norm layer": (
        spec("  - conv: {channels: 8, norm_layer: BatchNorm2d}\n"),
        "after this one: `- batch_norm`",
        spec("  - conv: {channels: 8}\n  - batch_norm\n"),
    ),
    "capitals": (
        spec("  - conv: {channels: 8, padding: SAME}\n"),
        "write `same`",
        spec("  - conv: {channels: 8, padding: same}\n"),
    ),
    "tuple": (
        spec("  - conv: {channels: 8, kernel: (3, 3)}\n"),
        "`kernel: [3, 3]`",
        spec("  - conv: {channels: 8, kernel: [3, 3]}\n"),
    ),
    "operator": (
        spec("  - conv: {channels: 3}\n    as: a\n  - a + image\n"),
        "write `add: [a, image]`",
        spec("  - conv: {channels: 3}\n    as: a\n  - add: [a, image]\n"),
    ),
    "call": (spec("  - Dense(10)\n"), "write `linear: {features: 10}`", spec("  - linear: {features: 10}\n")),
    "keywords": (
        spec("  - keras.layers.Conv2D(filters=8, kernel_size=3)\n"),
        "write `conv: {channels: 8, kernel: 3, padding: 0}`",
        spec("  - conv: {channels: 8, kernel: 3, padding: 0}\n"),
    ),
    "torch call": (
        spec("  - nn.Conv2d(3, 8, 3)\n"),
        "write `conv: {channels: 8, kernel: 3, padding: 0}`",
        spec("  - conv: {channels: 8, kernel: 3, padding: 0}\n"),
    ),
    "flatten": (
        spec("  - Flatten\n"),
        "`flatten: {axes: [C, H, W], into: C}`",
        spec("  - flatten: {axes: [C, H, W], into: C}\n"),
    ),
    "assignment": (
        spec("  - y = relu(image)\n"),
        "`as: y` names the step",
        spec("  - relu:\n    as: y\n"),
    ),
    "outputs of a step": (
        spec("  - relu:\n    outputs: y\n"),
        "write `as: y`",
        spec("  - relu:\n    as: y\n"),
    ),
    "training": (
        spec("  - conv: {channels: 8, weight_decay: 0.1}\n"),
        "remove it: a spec does not describe training",
        spec("  - conv: {channels: 8}\n"),
    ),
    "training of a file": (
        spec("  - relu\n", head="optimizer: adam\n"),
        "remove it: a spec does not describe training",
        spec("  - relu\n"),
    ),
    "cross attention": (
        spec("  - relu:\n    as: a\n  - CrossAttention: {query: a, context: x}\n", TOKENS),
        "`MultiHeadAttention: {heads: 8, memory: NAME}`",
        spec(
            "  - {rename: {axes: {T: S}}, as: words}\n  - {relu: {}, from: x}\n"
            "  - MultiHeadAttention: {heads: 8, memory: words}\n",
            TOKENS,
        ),
    ),
    "inputs of an op": (
        spec("  - {rename: {axes: {T: S}}, as: k}\n  - {attention: {}, from: x}\n", TOKENS),
        "write `attention: {key: ..., value: ...}`",
        spec("  - {rename: {axes: {T: S}}, as: k}\n  - {attention: {key: k, value: k}, from: x}\n", TOKENS),
    ),
    "condition": (
        spec("  - relu:\n    when: image.C = 3 && !deep\n", head="params: {deep: false}\n"),
        "write `image.C == 3 and not deep`",
        spec("  - relu:\n    when: image.C == 3 and not deep\n", head="params: {deep: false}\n"),
    ),
    "backbone": (
        spec("  - resnet18: {pretrained: true}\n"),
        "`ResNet: {variant: resnet18}`",
        spec("  - ResNet: {variant: resnet18}\n"),
    ),
    "name of a step": (
        spec("  - relu:\n    name: stem\n"),
        "write `as: stem`",
        spec("  - relu:\n    as: stem\n"),
    ),
    "name among attributes": (
        spec("  - conv: {channels: 8, name: stem}\n"),
        "write `as: stem` as a key of the step",
        spec("  - conv: {channels: 8}\n    as: stem\n"),
    ),
    "inputs of a step": (
        spec("  - relu:\n    as: a\n  - tanh:\n    inputs: a\n"),
        "write `from: a`",
        spec("  - relu:\n    as: a\n  - tanh:\n    from: a\n"),
    ),
    "type": (spec("  - type: relu\n"), "write the op as the key: `- relu`", spec("  - relu: {}\n")),
    "type of a block": (
        spec("  - {type: CBAM, reduction: 2}\n"),
        "write the op as the key: `- CBAM: {...}`",
        spec("  - CBAM: {reduction: 2}\n"),
    ),
    "number": (spec("  - relu:\n    number: 3\n"), "write `repeat: 3`", spec("  - relu:\n    repeat: 3\n")),
    "ultralytics": (
        spec("  - [-1, 1, Conv, [64, 3, 2]]\n"),
        "write `- conv: {...}`",
        spec("  - conv: {channels: 64, kernel: 3, stride: 2}\n"),
    ),
    "nc": (
        spec("  - linear: {features: nc}\n", head="nc: 80\n"),
        "write `params: {classes: 80}`",
        spec("  - linear: {features: classes}\n", head="params: {classes: 80}\n"),
    ),
    "shape": (
        spec("  - relu\n", "{image: {shape: [32, 32, 3]}}"),
        "`image: {H: 32, W: 32, C: 3}`",
        spec("  - relu\n", "{image: {H: 32, W: 32, C: 3}}"),
    ),
    "long axis names": (
        spec("  - conv: {channels: 8}\n", "{image: {channels: 3, H: 8, W: 8}}"),
        "call the axis C, not 'channels'",
        spec("  - conv: {channels: 8}\n", "{image: {C: 3, H: 8, W: 8}}"),
    ),
    "embed_dim": (
        spec("  - MultiHeadAttention: {heads: 4, embed_dim: 32}\n", TOKENS),
        "remove it: the compiler infers it",
        spec("  - MultiHeadAttention: {heads: 4}\n", TOKENS),
    ),
    "rename": (
        spec("  - rename: {T: S}\n", TOKENS),
        "write `rename: {axes: {T: S}}`",
        spec("  - rename: {axes: {T: S}}\n", TOKENS),
    ),
    "None": (
        spec("  - softmax: {over: C}\n  - conv: {channels: 4, groups: None}\n"),
        "leave the key out",
        spec("  - softmax: {over: C}\n  - conv: {channels: 4}\n"),
    ),
    "shell": (
        spec("  - conv: {channels: $w}\n", head="params: {w: 8}\n"),
        "write `w`",
        spec("  - conv: {channels: w}\n", head="params: {w: 8}\n"),
    ),
    "jinja": (
        spec('  - conv: {channels: "{{ w }}"}\n', head="params: {w: 8}\n"),
        "write `w`",
        spec("  - conv: {channels: w}\n", head="params: {w: 8}\n"),
    ),
    "params.w": (
        spec("  - conv: {channels: params.w}\n", head="params: {w: 8}\n"),
        "a parameter is written by its own name",
        spec("  - conv: {channels: w}\n", head="params: {w: 8}\n"),
    ),
    "typed step": (
        spec("  - {op: conv, filters: 8, name: stem}\n"),
        "`- {conv: {channels: 8}, as: stem}`",
        spec("  - {conv: {channels: 8}, as: stem}\n"),
    ),
    "keys behind braces": (
        spec("  - conv: {channels: 8}, as: stem\n"),
        "`- {conv: {channels: 8}, as: stem}`",
        spec("  - {conv: {channels: 8}, as: stem}\n"),
    ),
    "template in braces": (
        spec("  - conv: {channels: ${w}, kernel: 1}\n", head="params: {w: 8}\n"),
        "write `w`",
        spec("  - conv: {channels: w, kernel: 1}\n", head="params: {w: 8}\n"),
    ),
    "jinja without quotes": (
        spec("  - conv:\n      channels: {{ w }}\n", head="params: {w: 8}\n"),
        "write `w`",
        spec("  - conv:\n      channels: w\n", head="params: {w: 8}\n"),
    ),
    "inputs by name": (
        spec("  - {conv: {channels: 3}, as: a}\n  - add: {x: image, y: a}\n"),
        "`- add: [image, a]`",
        spec("  - {conv: {channels: 3}, as: a}\n  - add: [image, a]\n"),
    ),
    "size as text": (
        spec("  - relu\n", "{image: 3x32x32}"),
        "`image: {C: 3, H: 32, W: 32}`",
        spec("  - relu\n", "{image: {C: 3, H: 32, W: 32}}"),
    ),
    "kernel as text": (
        spec("  - conv: {channels: 8, kernel: 3x5}\n"),
        "write `[3, 5]`",
        spec("  - conv: {channels: 8, kernel: [3, 5]}\n"),
    ),
    "value without a colon": (
        spec("  - conv:\n      channels 8\n"),
        "write `channels: 8`",
        spec("  - conv:\n      channels: 8\n"),
    ),
    "channels and sizes differ": (
        spec("  - {conv: {channels: 8, stride: 2}, as: a}\n  - add: [image, a]\n"),
        "`- {conv: {channels: image.C, kernel: 1}, as: a_fitted}`",
        spec(
            "  - {conv: {channels: 8, stride: 2}, as: a}\n  - {resize: {like: image}, from: a}\n"
            "  - {conv: {channels: image.C, kernel: 1}, as: a_fitted}\n  - add: [image, a_fitted]\n"
        ),
    ),
    "kernel in quotes": (
        spec("  - conv: {channels: 8, kernel: '3, 5'}\n"),
        "write `[3, 5]`",
        spec("  - conv: {channels: 8, kernel: [3, 5]}\n"),
    ),
    "axes by number": (
        spec("  - mean: [2, 3]\n"),
        "write `mean: {over: [H, W]}`, with the names",
        spec("  - mean: {over: [H, W]}\n"),
    ),
    "global pooling": (
        spec("  - avg_pool: global\n"),
        "write `mean: {over: [H, W]}`",
        spec("  - mean: {over: [H, W]}\n"),
    ),
    "an input as the value": (
        spec("  - relu: image\n"),
        "write `- {relu: {}, from: image}`",
        spec("  - {relu: {}, from: image}\n"),
    ),
    "operator with a number": (
        spec("  - image * 0.5\n"),
        "write `{scale: {by: 0.5}, from: image}`",
        spec("  - {scale: {by: 0.5}, from: image}\n"),
    ),
    "size by number": (
        spec("  - conv: {channels: image.shape[1]}\n"),
        "such as `image.C`",
        spec("  - conv: {channels: image.C}\n"),
    ),
    "no size": (
        spec("  - linear: {features: 4}\n", "{x: {T: null, C: 3}}"),
        "write `T: any`",
        spec("  - linear: {features: 4}\n", "{x: {T: any, C: 3}}"),
    ),
    "size of -1": (
        spec("  - linear: {features: 4}\n", "{x: {T: -1, C: 3}}"),
        "write `T: any`",
        spec("  - linear: {features: 4}\n", "{x: {T: any, C: 3}}"),
    ),
    "type of a parameter": (
        spec("  - conv: {channels: w}\n", head="params: {w: {type: integer, default: 8}}\n"),
        "write `type: int`",
        spec("  - conv: {channels: w}\n", head="params: {w: {type: int, default: 8}}\n"),
    ),
    "initial values of Keras": (
        spec("  - linear: {features: 8, kernel_initializer: he_normal}\n"),
        "write `init: kaiming_normal`",
        spec("  - linear: {features: 8, init: kaiming_normal}\n"),
    ),
    "file of the library": (
        spec("  - ResNet\n", head="imports: {ResNet: resnet.yaml}\n"),
        "`library:backbones/resnet.yaml`",
        spec("  - ResNet\n", head="imports: {ResNet: library:backbones/resnet.yaml}\n"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_hint_works(name: str) -> None:
    mistake, hint, mended = MISTAKES[name]
    with pytest.raises((SpecError, SpecErrors)) as refused:
        specbuild.load(mistake)
    error = refused.value
    hints = [e.hint for e in (error.errors if isinstance(error, SpecErrors) else (error,))]
    assert any(hint in found for found in hints), hints
    assert specbuild.load(mended).graph.outputs
