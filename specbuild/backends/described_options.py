"""What the documentation of a block says of options that an emitted class lacks: such sentences are left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from specbuild.codegen.class_spec import ClassSpec
from specbuild.expressions import concrete
from specbuild.ir.graph import Block

FORMATTED = re.compile(r"^(\s|[-*+] |\d+[.)] )", re.MULTILINE)  # a list, or an indented paragraph
QUOTED = re.compile(r"`(\w+)`")


def describe_class(class_spec: ClassSpec) -> str:
    """Return the documentation of the block of a class, without what it says of inputs and parameters that the class lacks."""
    present, absent = sort_names(class_spec)
    summary, *paragraphs = re.split(r"\n\s*\n", class_spec.block.doc.strip())
    kept = (leave_out_sentences(paragraph, absent, present) for paragraph in paragraphs)
    return "\n\n".join([summary, *filter(None, kept)])


def sort_names(class_spec: ClassSpec) -> tuple[set[str], set[str]]:
    """Return the inputs and parameters that a class has, and those that it lacks.

    It lacks optional inputs that it does not get, and parameters that are no arguments and have their defaults.
    """
    blocks = [instance.block for instance in class_spec.instances]
    present = {class_spec.param_words.get(name, name) for name in class_spec.params}
    present |= {name for block in blocks for name in block.inputs}
    declared = class_spec.block.at.read_value()
    inputs = declared.get("inputs") if isinstance(declared, Mapping) else None
    fixed = {name for name in class_spec.block.params if all(has_default(block, name) for block in blocks)}
    return present, ({*(inputs or ())} | fixed) - present


def has_default(block: Block, name: str) -> bool:
    """Return whether a parameter of an instance has its default, and so is no choice that a reader must know of."""
    if name not in block.defaults:
        return False
    value, default = block.params.get(name), block.defaults[name]
    if isinstance(default, str) and default in block.params:  # that of another parameter
        default = block.params[default]
    return bool(concrete(value) == concrete(default))


def leave_out_sentences(paragraph: str, absent: Collection[str], present: Collection[str]) -> str:
    """Return a paragraph without its sentences, and parts of them after a semicolon, that name only what is absent.

    A sentence goes as a whole if its first part goes.
    """
    if FORMATTED.search(paragraph):
        return paragraph
    kept = []
    for sentence in re.split(r"(?<=\.)\s+(?=[A-Z`\"(])", paragraph.strip()):
        parts = re.split(r"(?<=;)\s+", sentence)
        named = [set(QUOTED.findall(part)) for part in parts]
        left = [
            p for p, names in zip(parts, named, strict=True) if not names & {*absent} or names & {*present}
        ]
        if left[:1] == parts[:1]:
            text = " ".join(left)
            kept.append(f"{text[:-1]}." if text.endswith(";") else text)
    return " ".join(kept)
