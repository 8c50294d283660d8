"""The docstring of an emitted class: what the block does, the shapes that it gets and gives, and its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from specbuild.backends.described_options import describe_class
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import Construction, LayerRow, member_names
from specbuild.codegen.layout import Layout
from specbuild.codegen.size_checks import describe_checks
from specbuild.codegen.tree import Name
from specbuild.codegen.tree_walk import list_read_names
from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete, expression_of
from specbuild.ir.graph import block_size_names, input_arguments
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, TensorType

MAX_STEPS = 3  # that a description of an argument names


def class_docstring(class_spec: ClassSpec, is_model: bool, more: Mapping[str, str] | None = None) -> str:
    """Return the docstring of a class. `more` describes arguments that the framework adds."""
    block, instance = class_spec.block, class_spec.first_instance

    def format_shape(x: TensorType, layouts: list[Layout], ref: str) -> str:
        sizes = ["B"] if layouts[0].batched else []
        sizes += [
            str(concrete(x[a])) if is_model and (ref, a) not in block.free_axes else a
            for a in find_shared_axes(layouts)
        ]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    inputs = []
    for name, items in input_arguments(block.inputs).items():
        values = {item: instance.inputs[item] for item in items or (name,)}
        formatted = ", ".join(
            format_shape(
                value.type, [x.inputs[ref].layout for x in class_spec.instances if ref in x.inputs], ref
            )
            for ref, value in values.items()
        )
        formatted = formatted if items is None else f"[{formatted}]"
        inputs.append(f"{name} {formatted}{' or None' * (name in class_spec.optional_inputs)}")
    outputs = [
        f"{name} {format_shape(v.type, [x.outputs[name].layout for x in class_spec.instances if name in x.outputs], block.outputs[name].ref)}".strip()
        for name, v in instance.outputs.items()
    ]
    input_word = "Inputs" if len(inputs) > 1 else "Input"
    output_word = "Outputs" if len(outputs) > 1 else "Output"
    shapes = f"{output_word}: {', '.join(outputs)}."
    if inputs:
        shapes = f"{input_word}: {', '.join(inputs)}. {shapes}"
    shapes = " ".join(filter(None, (shapes, describe_checks(class_spec.size_checks))))
    arguments = describe_arguments(class_spec) | dict(more or {})
    listed = "\n".join(f"    {name}: {' '.join(text.split())}" for name, text in arguments.items())
    section = f"Args:\n{listed}" if arguments else ""
    return "\n\n".join(
        part for part in (reflow_paragraphs(describe_class(class_spec)), shapes, section) if part
    )


def find_shared_axes(layouts: list[Layout]) -> list[str]:
    """Return the axes of a value in order; `...` stands for those that not all instances of a class have."""
    longest = max((layout.order for layout in layouts), key=len)
    shared: list[str] = []
    for axis in longest:
        axis = axis if all(axis in layout.order for layout in layouts) else "..."
        if axis != "..." or shared[-1:] != ["..."]:
            shared.append(axis)
    return shared


def describe_arguments(class_spec: ClassSpec) -> dict[str, str]:
    """Return a description of every argument of the constructor."""
    uses = ArgumentUses(class_spec)
    return {name: describe_argument(class_spec, name, uses) for name in class_spec.params}


def describe_argument(class_spec: ClassSpec, name: str, all_uses: ArgumentUses) -> str:
    """Return what the author says of an argument; if there is none, what the argument sets."""
    block = class_spec.block
    word = class_spec.param_words.get(name, name)
    if doc := block.docs.get(word):
        return doc
    if word not in block.params:
        if steps := flagged_steps(class_spec, word):
            return f"whether it has {join_names(steps)}"
        if word in (sizes := block_size_names(block)):
            source, axis = sizes[word]
            return f"channels of {source}" if axis == CHANNEL else f"size of {source} along {axis}"
    uses = list(dict.fromkeys((*all_uses.attributes.get(word, ()), *all_uses.layers.get(name, ()))))
    docs = {find_inner_doc(class_spec, step, attribute) for step, attribute in uses}
    if len(docs) == 1 and (doc := docs.pop()):
        return doc
    if uses:
        attribute = uses[0][1]
        return f"{attribute.replace('_', ' ')} of {list_steps(s for s, other in uses if other == attribute)}"
    if readers := all_uses.readers.get(word) or all_uses.code_readers.get(name):
        return f"used by {list_steps(readers)}"
    for check, size in class_spec.size_checks.items():
        if size == Name(name):
            return f"size of {check.source} along {check.axis}"
    return word.replace("_", " ")


class ArgumentUses:
    """Where the steps of a class use its arguments."""

    def __init__(self, class_spec: ClassSpec):
        # argument -> the steps with an attribute or a layer that gets it as it is, and the name that it has there
        self.attributes: dict[str, list[tuple[str, str]]] = {}
        self.layers: dict[str, list[tuple[str, str]]] = {}
        # argument -> the steps that compute an attribute from it
        self.readers: dict[str, dict[str, None]] = {}
        self.code_readers: dict[str, dict[str, None]] = {}  # the same, for any code of a step
        for node in class_spec.block.nodes:
            op = node.op
            values = {a: getattr(op, a) for a in op.defaults} if isinstance(op, Op) else dict(node.args)
            for attribute, value in values.items():
                if (expression := expression_of(value)) is not None:
                    self.attributes.setdefault(expression.text, []).append((node.name, attribute))
                    for word in expression.names:
                        self.readers.setdefault(word, {})[node.name] = None
        for step in class_spec.steps:
            for word in (set() if step.member is None else member_names(step.member)) | {
                *list_read_names(step.call)
            }:
                self.code_readers.setdefault(word, {})[step.node] = None
            row = step.member.members if isinstance(step.member, LayerRow) else None
            for layer in (step.member,) if row is None else (*row.head, row.tail):
                for argument in layer.arguments if isinstance(layer, Construction) else ():
                    if isinstance(argument.value, Name):
                        self.layers.setdefault(argument.value.text, []).append((step.node, argument.name))


def find_inner_doc(class_spec: ClassSpec, step: str, attribute: str) -> str:
    """Return what the author says of an argument of the block in a step; empty if there is none."""
    inner = class_spec.inner_classes.get(step)
    return inner.block.docs.get(attribute, "") if inner is not None and attribute in inner.params else ""


def list_steps(names: Iterable[str]) -> str:
    """Return the names of steps in words; members of a group are the group."""
    groups = dict.fromkeys(re.sub(r"(\.\d+)+$", "", name) for name in names)
    shown = list(groups)[:MAX_STEPS]
    return join_names(shown) if len(groups) <= MAX_STEPS else f"{', '.join(shown)} and others"


def flagged_steps(class_spec: ClassSpec, flag: str) -> list[str]:
    """Return the steps that a generated flag turns on."""
    steps = (s.node for s in class_spec.steps if class_spec.flags.get(s.key) == Name(flag))
    return list(dict.fromkeys(steps))


def reflow_paragraphs(text: str) -> str:
    """Join the lines of each paragraph. Lists and indented paragraphs stay as they are."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = paragraph.splitlines()
        is_formatted = any(re.match(r"\s|[-*+] |\d+[.)] ", line) for line in lines)
        paragraphs.append(paragraph if is_formatted else " ".join(lines))
    return "\n\n".join(paragraphs)
