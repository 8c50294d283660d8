"""A page for people who come from another library: their names of ops and attributes, and what they are called here."""

from __future__ import annotations

from collections.abc import Iterator

from docs.pages import markdown
from specbuild.frontend.foreign_names import ATTRIBUTE_NAMES, GROUPS_OF_NAMES, INFERRED, WIDTH
from specbuild.frontend.foreign_steps import ForeignStep
from specbuild.ops import OPS

INTRODUCTION = """# Coming from PyTorch, Keras, JAX or timm

Write a step with a name that you know: the error says what it is called here, with your values in place.

* **No input channels.** The compiler infers them, as it infers every shape.
* **Axes have names and no order.** `C` are the channels or features, `H` and `W` the place in a picture, `T` the place in
  a sequence. There is no `permute`, and an op says its axis: `mean: {over: [H, W]}`. Each framework gets the order
  that it works best in.
* **A step reads the step before it.** `from: name` reads another one, so you only name what is read twice.
* **A name that you give with `as` is the prefix of the weights**, in the `state_dict` and in Keras.
* **Padding is `same` for `conv`** if you do not say otherwise, and none for pooling. See [output sizes](output_sizes.md).
* **`batch_norm` has PyTorch's momentum**, the share of the new value: Keras' `momentum=0.9` is `momentum: 0.1` here.

The case of the names, underscores, and a `1d`, `2d` or `3d` at the end make no difference in these tables.
"""

ATTRIBUTES = """## Attributes

"""


def pages() -> Iterator[tuple[str, str]]:
    ops = markdown.table(("Elsewhere", "Here"), list_ops())
    yield "guide/coming_from.md", f"{INTRODUCTION}\n## Ops\n\n{ops}\n{ATTRIBUTES}{attributes()}"


def list_ops() -> Iterator[tuple[str, str]]:
    """The names of other libraries, with the step or the advice that a hint gives."""
    for names, replacement in GROUPS_OF_NAMES:
        elsewhere = ", ".join(f"`{name}`" for name in names.split())
        if replacement.advice:
            yield elsewhere, replacement.advice
        else:
            yield (
                elsewhere,
                markdown.code(ForeignStep("", replacement, None).format_step().removeprefix("- ")),
            )


def attributes() -> str:
    """The attributes of other libraries; which of several is meant depends on the op."""
    own: dict[str, list[str]] = {}
    for name, candidates in ATTRIBUTE_NAMES.items():
        own.setdefault(candidates, []).append(name)
    rows = [
        (
            ", ".join(f"`{name}`" for name in names if name not in OPS),
            ", ".join(f"`{candidate}`" for candidate in candidates.split())
            + " (the one that the op has)" * (candidates == WIDTH),
        )
        for candidates, names in own.items()
    ]
    rows.append((", ".join(f"`{name}`" for name in sorted(INFERRED)), "none: the compiler infers it"))
    return markdown.table(("Elsewhere", "Here"), rows)
