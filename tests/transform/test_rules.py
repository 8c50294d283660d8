"""Each rule of `deploy` on a small spec: what it makes of the steps, and that the outputs stay the same in float64."""

from __future__ import annotations

from textwrap import indent

import pytest

from tests.transform.deployed import BOUND, compare_deployed

MAP = "{C: 4, H: 9, W: 7}"


def net(steps: str, x: str = MAP, rest: str = "") -> str:
    return f"specbuild: 1\nmodel: Net\ninputs: {{x: {x}}}\n{rest}steps:\n{indent(steps.strip(), '  ')}\n"


# name -> steps, and the ops that are left
FOLDED = {
    "conv": ("- conv: {channels: 6, bias: false}\n- batch_norm:", ["conv"]),
    "conv with bias": ("- conv: {channels: 6}\n- batch_norm: {epsilon: 0.1}", ["conv"]),
    "no scale and shift": ("- conv: {channels: 6}\n- batch_norm: {affine: false}", ["conv"]),
    "stride, dilation, padding": (
        "- conv: {channels: 6, kernel: [3, 5], stride: 2, dilation: [2, 1], padding: 1, bias: false}\n- batch_norm:",
        ["conv"],
    ),
    "groups": ("- conv: {channels: 6, groups: 2, bias: false}\n- batch_norm:", ["conv"]),
    "depthwise": ("- conv: {channels: 8, groups: 4}\n- batch_norm:", ["conv"]),
    "reflected": ("- conv: {channels: 6, padding_mode: reflect}\n- batch_norm:", ["conv"]),
    "transposed": (
        "- conv_transpose: {channels: 6, kernel: 3, stride: 2}\n- batch_norm:",
        ["conv_transpose"],
    ),
    "transposed with groups": (
        "- conv_transpose: {channels: 6, kernel: 2, stride: 2, groups: 2, bias: false}\n- batch_norm:",
        ["conv_transpose"],
    ),
    "two norms": ("- conv: {channels: 6}\n- batch_norm: {epsilon: 1e-3}\n- batch_norm:", ["conv"]),
    "linear": ("- linear: {features: 6}\n- batch_norm:", ["linear"]),
    "linear over another axis": (
        "- linear: {features: 6, over: W, bias: false}\n- batch_norm: {over: W}",
        ["linear"],
    ),
    "before a linear layer": ("- batch_norm:\n- linear: {features: 6, bias: false}", ["linear"]),
    "before an unpadded conv": ("- batch_norm:\n- conv: {channels: 6, padding: 0, stride: 2}", ["conv"]),
    "before a conv with groups": (
        "- batch_norm:\n- conv: {channels: 6, kernel: [2, 3], groups: 2, padding: valid}",
        ["conv"],
    ),
    "before a circular conv": ("- batch_norm:\n- conv: {channels: 6, padding_mode: circular}", ["conv"]),
    "fixed scale": ("- conv: {channels: 6, bias: false}\n- scale: {by: 0.5, plus: 2}", ["conv"]),
    "fixed scale, transposed": (
        "- conv_transpose: {channels: 6, kernel: 3, groups: 2}\n- scale: {by: -3}",
        ["conv_transpose"],
    ),
    "layer scale": (
        "- weight: {axes: {C: 6}, init: constant(0.1)}\n  as: gamma\n- conv: {channels: 6}\n  from: x\n"
        "- multiply: [gamma, prev]\n- relu",
        ["conv", "relu"],
    ),
    "dropout": (
        "- relu\n- dropout: {rate: 0.2}\n- drop_path: {rate: 0.1}\n- conv: {channels: 3}",
        ["relu", "conv"],
    ),
}


@pytest.mark.parametrize("name", FOLDED)
def test_fold(name: str) -> None:
    steps, ops = FOLDED[name]
    compared = compare_deployed(net(steps))
    assert compared.ops == ops
    assert compared.difference < BOUND
    assert "left" not in compared.changes


# name -> steps, the ops that are left, and a word of the reason
LEFT = {
    "conv that is read twice": (
        "- conv: {channels: 4}\n  as: c\n- batch_norm:\n- add: [prev, c]",
        ["conv", "batch_norm", "add"],
        "read `c` too",
    ),
    "other axis": ("- conv: {channels: 4}\n- batch_norm: {over: W}", ["conv", "batch_norm"], "position of W"),
    "before a padded conv": (
        "- batch_norm:\n- conv: {channels: 4}",
        ["batch_norm", "conv"],
        "pads with zeros",
    ),
    "before a transposed conv": (
        "- batch_norm:\n- conv_transpose: {channels: 4, kernel: 2}",
        ["batch_norm", "conv_transpose"],
        "different number of values",
    ),
    "after an activation": (
        "- conv: {channels: 4}\n- relu\n- batch_norm:",
        ["conv", "relu", "batch_norm"],
        "relu",
    ),
    "norm of the input": ("- batch_norm:\n- relu", ["batch_norm", "relu"], "input `x`"),
    "shared conv": (
        "- conv: {channels: 4}\n  as: c\n- batch_norm:\n- relu\n- reuse: c\n- batch_norm: {epsilon: 0.1}",
        ["conv", "batch_norm", "relu", "conv", "batch_norm"],
        "other steps use the weights of `c`",
    ),
    "shared norm": (
        "- conv: {channels: 4}\n- batch_norm:\n  as: n\n- relu\n- conv: {channels: 4}\n- reuse: n",
        ["conv", "batch_norm", "relu", "conv", "batch_norm"],
        "other steps use its weights",
    ),
    "norm that two steps read": (
        "- batch_norm:\n  as: n\n- conv: {channels: 4, kernel: 1}\n  from: n\n- relu\n- add: [prev, n]",
        ["batch_norm", "conv", "relu", "add"],
        "several steps",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_left(name: str) -> None:
    """What is not exact stays, and the report says why."""
    steps, ops, reason = LEFT[name]
    compared = compare_deployed(net(steps))
    assert compared.ops == ops
    assert compared.difference < BOUND
    assert any(reason in text for text in compared.reasons.values()), compared.reasons


def branches(*steps: str, merge: str = "add") -> str:
    """Return a sum of branches; a branch is the value itself, or steps with `|` between them."""
    lines, names = [], []
    for number, branch in enumerate(steps):
        if branch == "x":
            names.append("x")
            continue
        names.append(f"b{number}")
        lines.append("- do:")
        lines += [f"    - {step.strip()}" for step in branch.split("|")]
        lines.append(f"  from: x\n  as: b{number}")
    return "\n".join([*lines, f"- {merge}: [{', '.join(names)}]", "- relu"])


# name -> branches, and the kernel of the one that they become
MERGED = {
    "RepVGG": (
        (
            "conv: {channels: 4, bias: false} | batch_norm:",
            "conv: {channels: 4, kernel: 1, bias: false} | batch_norm:",
            "batch_norm:",
        ),
        "(3, 3)",
    ),
    "with groups": (
        (
            "conv: {channels: 4, groups: 2} | batch_norm:",
            "conv: {channels: 4, kernel: 1, groups: 2}",
            "batch_norm:",
        ),
        "(3, 3)",
    ),
    "strides": (
        ("conv: {channels: 6, stride: 2} | batch_norm:", "conv: {channels: 6, kernel: 1, stride: 2}"),
        "(3, 3)",
    ),
    "depthwise, large and small": (
        (
            "conv: {channels: 4, kernel: 7, groups: 4} | batch_norm:",
            "conv: {channels: 4, kernel: 3, groups: 4} | batch_norm:",
        ),
        "(7, 7)",
    ),
    "asymmetric": (
        (
            "conv: {channels: 6}",
            "conv: {channels: 6, kernel: [1, 3], padding: [0, 1]}",
            "conv: {channels: 6, kernel: [3, 1], padding: [1, 0], bias: false} | batch_norm:",
        ),
        "(3, 3)",
    ),
    "crossed": (
        (
            "conv: {channels: 6, kernel: [1, 3], padding: [0, 1]}",
            "conv: {channels: 6, kernel: [3, 1], padding: [1, 0]}",
        ),
        "(3, 3)",
    ),
    "one-sided": (
        (
            "conv: {channels: 4, kernel: [1, 2], padding: [0, [1, 0]]}",
            "conv: {channels: 4, kernel: [1, 2], padding: [0, [0, 1]]}",
        ),
        "(1, 3)",
    ),
    "dilated": (("conv: {channels: 4, dilation: 2}", "conv: {channels: 4, kernel: 1}", "x"), "(3, 3)"),
    "tf_same": (
        (
            "conv: {channels: 4, kernel: 4, padding: tf_same}",
            "conv: {channels: 4, kernel: 3, padding: tf_same}",
            "x",
        ),
        "(4, 4)",
    ),
    "reflected": (
        (
            "conv: {channels: 4, padding_mode: reflect}",
            "conv: {channels: 4, kernel: 5, padding_mode: reflect}",
            "x",
        ),
        "(5, 5)",
    ),
    "residual": (("conv: {channels: 4}", "x"), "(3, 3)"),
    "the value twice": (("conv: {channels: 4, bias: false}", "x", "x"), "(3, 3)"),
}


@pytest.mark.parametrize("name", MERGED)
def test_merge(name: str) -> None:
    steps, kernel = MERGED[name]
    compared = compare_deployed(net(branches(*steps)))
    assert compared.ops == ["conv", "relu"]
    [weight] = [w for w in compared.model.compile_for("torch").weights if w.name == "kernel"]
    assert str(weight.shape[2:]) == kernel
    assert compared.difference < BOUND


def test_linear_branches_are_merged() -> None:
    steps = branches(
        "linear: {features: 4} | batch_norm:", "linear: {features: 4, bias: false}", "batch_norm:", "x"
    )
    compared = compare_deployed(net(steps))
    assert compared.ops == ["linear", "relu"] and compared.difference < BOUND


# name -> branches, how many ops are left before the sum, and a word of the reason
APART = {
    "other dilation": (("conv: {channels: 4, dilation: 2}", "conv: {channels: 4}"), 2, "dilations"),
    "other groups": (("conv: {channels: 4, groups: 4}", "conv: {channels: 4, kernel: 1}"), 2, "groups"),
    "costly": (
        (
            "conv: {channels: 4, kernel: [1, 7], padding: [0, 3]}",
            "conv: {channels: 4, kernel: [7, 1], padding: [3, 0]}",
        ),
        2,
        "7x7",
    ),
    "other filling": (
        ("conv: {channels: 4, padding_mode: reflect}", "conv: {channels: 4}"),
        2,
        "other values",
    ),
    "linear and conv": (("conv: {channels: 4}", "linear: {features: 4}"), 2, "linear layer"),
}


@pytest.mark.parametrize("name", APART)
def test_branches_stay_apart(name: str) -> None:
    steps, count, reason = APART[name]
    compared = compare_deployed(net(branches(*steps)))
    assert compared.ops[count:] == ["add", "relu"] and compared.difference < BOUND
    assert any(reason in text for text in compared.reasons.values()), compared.reasons


def test_some_branches_are_merged() -> None:
    """An activation stays a branch of its own."""
    compared = compare_deployed(
        net(branches("conv: {channels: 4}", "relu", "conv: {channels: 4, kernel: 1}"))
    )
    assert sorted(compared.ops) == ["add", "conv", "relu", "relu"] and compared.difference < BOUND
