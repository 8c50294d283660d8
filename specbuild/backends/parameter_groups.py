"""Code for emitted files that groups the parameters of a model for an optimizer, without specbuild."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import indent

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.literals import LINE_WIDTH
from specbuild.codegen.tree import Helper, Module

MIN_ROW = 3  # at least so many consecutive parts become one comprehension

LAYERS_TEMPLATE = '''\
def layers_after() -> dict[str, int]:
    """How many layers follow each part of the model on the longest way to an output.

    Of the model as it was compiled: one of another depth has another table.
    """
    return {rows}
'''
SIGNATURE_TEMPLATE = '''\
def parameter_groups(
    model: {model},
    learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
) -> list[dict]:
    """Groups for `{use}`.

    Kernels decay; biases, norms and tables do not. Each layer learns at `layer_decay`
    times the rate of the one after it. What is frozen is left out.
    """
{known}    after, groups = layers_after(), {{}}
'''


class ModelPart(Struct, frozen=True):
    """A step with weights, of the model or of a model inside it: its paths, and how many layers follow it."""

    path: str
    framework_path: str
    layers_after: int


class TrainableTensor(Struct, frozen=True):
    """A trainable tensor of a framework; `paths` are the canonical paths of the weights in it."""

    framework_path: str
    paths: tuple[str, ...]
    rank: int
    count: int  # number of values
    decays: bool
    part: ModelPart

    @property
    def layers_after(self) -> int:
        return self.part.layers_after

    @property
    def name(self) -> str:
        """The last part of its framework path."""
        return self.framework_path.replace("/", ".").rpartition(".")[2]


def append_group_functions(module: Module, parts: Sequence[ModelPart], groups_source: str) -> Module:
    """Return the file with a table of layers and a function that groups the model's parameters."""
    table = "{\n" + indent("\n".join(table_rows(parts)), " " * 8) + "\n    }" if parts else "{}"
    layers_source = LAYERS_TEMPLATE.format(rows=table).strip()
    return replace(module, body=(*module.body, Helper(layers_source), Helper(groups_source)))


def table_rows(parts: Sequence[ModelPart]) -> list[str]:
    """Return the lines of the table: one for each part, or one comprehension for a row of consecutive layers."""
    lines = []
    start = 0
    while start < len(parts):
        first = parts[start]
        end = start + 1
        while end < len(parts) and is_successor(first, parts[end], end - start):
            end += 1
        if end - start >= MIN_ROW:
            stem, number = split_number(first.framework_path)
            span = f"{number}, {number + end - start}" if number else str(end - start)
            lines.append(f'**{{f"{stem}{{i}}": {first.layers_after + number} - i for i in range({span})}},')
        else:
            lines += [f'"{part.framework_path}": {part.layers_after},' for part in parts[start:end]]
        start = end
    return lines


def split_number(path: str) -> tuple[str, int]:
    """Split a final number off: `layer1.0` gives `layer1.` and 0; the number is -1 if there is none."""
    match = re.fullmatch(r"(.*[./_])(\d+)", path)
    return (match[1], int(match[2])) if match else (path, -1)


def is_successor(first: ModelPart, other: ModelPart, distance: int) -> bool:
    """Return whether `other` comes `distance` positions after `first` in the same row, and `distance` layers."""
    stem, first_number = split_number(first.framework_path)
    other_stem, number = split_number(other.framework_path)
    has_plain_number = str(number) == other.framework_path[len(stem) :]  # no leading zeros
    is_same_row = first_number >= 0 and stem == other_stem and has_plain_number
    is_next = number == first_number + distance and other.layers_after == first.layers_after - distance
    return is_same_row and is_next


def membership_test(
    names: Iterable[str], variable: str, one_operator: str, several_operator: str
) -> tuple[str, str]:
    """Return the code that assigns several names to a variable, if needed, and the code that compares with them."""
    names = list(names)
    if not names:
        return "", f"{several_operator} ()"
    if len(names) == 1:
        return "", f'{one_operator} "{names[0]}"'
    return tuple_assignment(variable, names), f"{several_operator} {variable}"


def tuple_assignment(variable: str, texts: Iterable[str]) -> str:
    """Return an indented assignment of a tuple of strings to a variable."""
    items = [f'"{text}"' for text in texts]
    line = f"    {variable} = ({', '.join(items)}{',' if len(items) == 1 else ''})\n"
    if len(line) <= LINE_WIDTH + 1:
        return line
    return f"    {variable} = (\n" + "".join(f"        {item},\n" for item in items) + "    )\n"
