"""The part of an emitted file that sorts its parameters for an optimizer, without specbuild."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from textwrap import indent

from specbuild.codegen.tree import Helper, Module
from specbuild.compiler.param_groups import ModelPart, TrainedTensor, model_parts, trained_tensors
from specbuild.ir.graph import Block

LINE_WIDTH = 88
MIN_ROW = 3  # layers in a row that are told by one rule

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


def add_parameter_groups(page: Module, model: Block, backend: str) -> Module:
    """The file with a table of its layers, and a function that sorts the model's parameters."""
    found = model_parts(model, backend)
    table = "{\n" + indent("\n".join(table_rows(found)), " " * 8) + "\n    }" if found else "{}"
    layers = LAYERS_TEMPLATE.format(rows=table)
    write = torch_groups_source if backend == "torch" else keras_groups_source
    return replace(
        page, body=(*page.body, Helper(layers.strip()), Helper(write(trained_tensors(model, backend))))
    )


def table_rows(parts: Sequence[ModelPart]) -> list[str]:
    """The parts of a model with the layers after each; layers that follow each other by one rule."""
    lines = []
    at = 0
    while at < len(parts):
        stem, number = split_number(parts[at].framework_path)
        end = at + 1
        while end < len(parts) and is_successor(parts[at], parts[end], end - at):
            end += 1
        if end - at >= MIN_ROW:
            span = f"{number}, {number + end - at}" if number else str(end - at)
            lines.append(
                f'**{{f"{stem}{{i}}": {parts[at].layers_after + number} - i for i in range({span})}},'
            )
        else:
            lines += [f'"{part.framework_path}": {part.layers_after},' for part in parts[at:end]]
        at = end
    return lines


def split_number(path: str) -> tuple[str, int]:
    """`layer1.` and 0 for `layer1.0`."""
    found = re.fullmatch(r"(.*[./_])(\d+)", path)
    return (found[1], int(found[2])) if found else (path, -1)


def is_successor(first: ModelPart, other: ModelPart, distance: int) -> bool:
    """Whether a part is so many places further in the same row, and so many layers."""
    (stem, begin), (other_stem, number) = (
        split_number(first.framework_path),
        split_number(other.framework_path),
    )
    same = begin >= 0 and stem == other_stem and str(number) == other.framework_path[len(stem) :]
    return same and number == begin + distance and other.layers_after == first.layers_after - distance


def torch_groups_source(found: Sequence[TrainedTensor]) -> str:
    """What decays has two axes or more; what has, and does not, goes by its name or by its whole path."""
    assert all(g.rank > 1 for g in found if g.decays)
    others = [g for g in found if g.rank > 1 and not g.decays]
    taken = {g.name for g in found if g.decays}
    names = dict.fromkeys(g.name for g in others if g.name not in taken)
    paths = [g.framework_path for g in others if g.name in taken]
    rule = "parameter.ndim > 1"
    known = ""
    if names:
        known, told = membership_test(names, "tables", "!=", "not in")
        rule += f' and name.rpartition(".")[2] {told}'
    if paths:
        known += tuple_assignment("others", paths)
        rule += " and name not in others"
    use = "AdamW(parameter_groups(model, 1e-3, 0.05))"
    return (
        SIGNATURE_TEMPLATE.format(model="nn.Module", use=use, known=known) + TORCH_TEMPLATE.format(rule=rule)
    ).strip()


def keras_groups_source(found: Sequence[TrainedTensor]) -> str:
    """What decays goes by its name; what has that name, and does not, by its whole path."""
    names = dict.fromkeys(g.name for g in found if g.decays)
    paths = [g.framework_path for g in found if g.name in names and not g.decays]
    known, told = membership_test(names, "kernels", "==", "in")
    rule = f"variable.name {told}"
    if paths:
        known += tuple_assignment("others", paths)
        rule += " and variable.path not in others"
    use = "grouped_optimizer(parameter_groups(model, 1e-3, 0.05))"
    return (
        SIGNATURE_TEMPLATE.format(model="keras.Model", use=use, known=known)
        + KERAS_TEMPLATE.format(rule=rule)
    ).strip()


def membership_test(names: Iterable[str], variable: str, one: str, several: str) -> tuple[str, str]:
    """A comparison with some names, and before it the variable that holds them, if they are several."""
    said = list(names)
    if not said:
        return "", f"{several} ()"
    if len(said) == 1:
        return "", f'{one} "{said[0]}"'
    return tuple_assignment(variable, said), f"{several} {variable}"


def tuple_assignment(name: str, texts: Iterable[str]) -> str:
    """A variable that holds some names."""
    said = [f'"{text}"' for text in texts]
    line = f"    {name} = ({', '.join(said)}{',' if len(said) == 1 else ''})\n"
    if len(line) <= LINE_WIDTH + 1:
        return line
    return f"    {name} = (\n" + "".join(f"        {text},\n" for text in said) + "    )\n"
