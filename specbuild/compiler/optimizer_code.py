"""Adds code to an emitted file that groups its parameters for an optimizer, without specbuild."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from textwrap import indent

from specbuild.codegen.literals import LINE_WIDTH
from specbuild.codegen.tree import Helper, Module
from specbuild.compiler.param_groups import ModelPart, TrainedTensor, model_parts, trained_tensors
from specbuild.ir.graph import Block

MIN_ROW = 3  # consecutive parts that become one comprehension

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
TORCH_TEMPLATE = """\
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        path = f"{{name}}."
        [distance] = [n for part, n in after.items() if path.startswith(f"{{part}}.")]
        decays = {rule}
        group = groups.setdefault((layer_decay**distance, decays), [])
        group.append(parameter)
    return [
        {{
            "params": parameters,
            "lr": learning_rate * scale,
            "weight_decay": weight_decay if decays else 0.0,
        }}
        for (scale, decays), parameters in groups.items()
    ]
"""
KERAS_TEMPLATE = '''\
    for variable in model.trainable_variables:
        path = f"{{variable.path}}/"
        [distance] = [n for part, n in after.items() if path.startswith(f"{{part}}/")]
        decays = {rule}
        group = groups.setdefault((layer_decay**distance, decays), [])
        group.append(variable)
    return [
        {{
            "variables": variables,
            "learning_rate": learning_rate * scale,
            "weight_decay": weight_decay if decays else 0.0,
        }}
        for (scale, decays), variables in groups.items()
    ]


def grouped_optimizer(
    groups: list[dict], make=keras.optimizers.AdamW
) -> keras.optimizers.Optimizer:
    """An optimizer for each group of parameters, as one; `make` makes each of them.

    It takes a Keras that has MultiOptimizer, as 3.15 does.
    """
    first, *others = [
        make(learning_rate=g["learning_rate"], weight_decay=g["weight_decay"])
        for g in groups
    ]
    paths = ["|".join(v.path for v in g["variables"]) for g in groups[1:]]
    chosen = keras.optimizers.OptimizerMap(first, dict(zip(paths, others)))
    return keras.optimizers.MultiOptimizer(chosen)
'''


def add_parameter_groups(module: Module, model: Block, backend: str) -> Module:
    """The file with a table of layers and a function that groups the model's parameters."""
    parts = model_parts(model, backend)
    table = "{\n" + indent("\n".join(table_rows(parts)), " " * 8) + "\n    }" if parts else "{}"
    layers_source = LAYERS_TEMPLATE.format(rows=table).strip()
    write = torch_groups_source if backend == "torch" else keras_groups_source
    groups_source = write(trained_tensors(model, backend))
    return replace(module, body=(*module.body, Helper(layers_source), Helper(groups_source)))


def table_rows(parts: Sequence[ModelPart]) -> list[str]:
    """The lines of the table: one for each part, or one comprehension for a row of consecutive layers."""
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
    """Whether `other` comes `distance` positions after `first` in the same row, and `distance` layers."""
    stem, first_number = split_number(first.framework_path)
    other_stem, number = split_number(other.framework_path)
    has_plain_number = str(number) == other.framework_path[len(stem) :]  # no leading zeros
    is_same_row = first_number >= 0 and stem == other_stem and has_plain_number
    is_next = number == first_number + distance and other.layers_after == first.layers_after - distance
    return is_same_row and is_next


def torch_groups_source(tensors: Sequence[TrainedTensor]) -> str:
    """The function for PyTorch: tensors with two or more axes decay, except those listed by name or path."""
    assert all(tensor.rank > 1 for tensor in tensors if tensor.decays)
    exceptions = [tensor for tensor in tensors if tensor.rank > 1 and not tensor.decays]
    decaying_names = {tensor.name for tensor in tensors if tensor.decays}
    names = dict.fromkeys(tensor.name for tensor in exceptions if tensor.name not in decaying_names)
    paths = [tensor.framework_path for tensor in exceptions if tensor.name in decaying_names]
    rule, assignments = "parameter.ndim > 1", ""
    if names:
        assignments, test = membership_test(names, "tables", "!=", "not in")
        rule += f' and name.rpartition(".")[2] {test}'
    if paths:
        assignments += tuple_assignment("others", paths)
        rule += " and name not in others"
    usage = "AdamW(parameter_groups(model, 1e-3, 0.05))"
    signature = SIGNATURE_TEMPLATE.format(model="nn.Module", use=usage, known=assignments)
    return (signature + TORCH_TEMPLATE.format(rule=rule)).strip()


def keras_groups_source(tensors: Sequence[TrainedTensor]) -> str:
    """The function for Keras: variables with certain names decay, except those listed by path."""
    names = dict.fromkeys(tensor.name for tensor in tensors if tensor.decays)
    paths = [tensor.framework_path for tensor in tensors if tensor.name in names and not tensor.decays]
    assignments, test = membership_test(names, "kernels", "==", "in")
    rule = f"variable.name {test}"
    if paths:
        assignments += tuple_assignment("others", paths)
        rule += " and variable.path not in others"
    usage = "grouped_optimizer(parameter_groups(model, 1e-3, 0.05))"
    signature = SIGNATURE_TEMPLATE.format(model="keras.Model", use=usage, known=assignments)
    return (signature + KERAS_TEMPLATE.format(rule=rule)).strip()


def membership_test(
    names: Iterable[str], variable: str, one_operator: str, several_operator: str
) -> tuple[str, str]:
    """The assignment of several names to a variable, if needed, and the comparison with the names."""
    names = list(names)
    if not names:
        return "", f"{several_operator} ()"
    if len(names) == 1:
        return "", f'{one_operator} "{names[0]}"'
    return tuple_assignment(variable, names), f"{several_operator} {variable}"


def tuple_assignment(variable: str, texts: Iterable[str]) -> str:
    """An indented assignment of a tuple of strings to a variable."""
    items = [f'"{text}"' for text in texts]
    line = f"    {variable} = ({', '.join(items)}{',' if len(items) == 1 else ''})\n"
    if len(line) <= LINE_WIDTH + 1:
        return line
    return f"    {variable} = (\n" + "".join(f"        {item},\n" for item in items) + "    )\n"
