"""Every constructor argument of an emitted file, at several values, against the same value in the spec.

For each class of the file and each argument, the class is built with another value, and the spec is compiled
again with that value. Both must have the same weights, under the same names, and give the same outputs with
them; where the spec refuses a value, the class must raise an error, or be of no use at that value.
"""

from __future__ import annotations

import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from specbuild.backends import load_backend
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.classes import build_classes
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import CallPolicy
from specbuild.codegen.model_lowering import LoweredModel, ModelLowering
from specbuild.codegen.printer import print_module
from specbuild.compiler.pipeline import Compilation
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.expressions import concrete
from specbuild.ir.cost import model_cost
from specbuild.ir.graph import Block, Node, Output, block_size_names, outer_type
from specbuild.ir.prune import prune_unused
from specbuild.runtimes.live_model import import_source
from specbuild.summary.examples import vocabulary_size
from tests.system.arguments.running import Run, run_keras, run_torch

RUNNERS = {"torch": run_torch, "keras": run_keras}
MOST_MACS = 2_000_000_000  # a larger model is not run


@dataclass(frozen=True)
class Trial:
    """One argument of one class at another value, and what became of it."""

    class_name: str
    argument: str
    value: Any
    outcome: str  # "same", "refused by both", or what is wrong

    @property
    def is_right(self) -> bool:
        is_same = self.outcome in ("same", "refused", "accepted")
        return is_same or self.outcome.startswith(("refused by", "not tried"))


def sweep(
    compilation: Compilation,
    elaborate_with: Callable[[Mapping[str, Any]], Block],
    backend: str,
    largest: int = 6,
    sample: int | None = None,
) -> Iterator[Trial]:
    """Try every argument of every class of the file of a model, each at up to `largest` values.

    With `sample`, only so many of these trials are run, always the same.
    """
    compiled = compilation.compiler.compile_for(backend)
    module = import_source(print_module(compiled.module()), f"sweep_{backend}")
    *blocks, model = compiled.classes
    plans: list[tuple[ClassSpec, str, Any]] = [
        (class_spec, argument, value)
        for class_spec in blocks
        for argument in class_spec.params
        for value in other_values(argument_value(class_spec, argument))[:largest]
    ]
    plans += [
        (model, argument, value)
        for argument in model.params
        for value in other_values(model.block.params[argument])[:largest]
    ]
    if sample is not None:
        plans = [(class_spec, argument, v) for class_spec, argument, v in plans if is_tried(class_spec)]
        plans = random.Random(0).sample(plans, min(sample, len(plans)))
    for class_spec, argument, value in plans:
        if class_spec is model:
            yield try_model(module, elaborate_with, model, argument, value, backend)
        else:
            yield try_block(module, class_spec, argument, value, backend)


def is_tried(class_spec: ClassSpec) -> bool:
    """Whether a class can be called with the words of the spec alone, and is not too large."""
    block = class_spec.first_instance.block
    known = {*block.params, *block_size_names(block)}
    return known.issuperset(class_spec.params) and model_cost(block).macs <= MOST_MACS


def argument_value(class_spec: ClassSpec, argument: str) -> Any:
    """The value of an argument in the first instance; None for one that no spec has."""
    block = class_spec.first_instance.block
    if argument in block.params:
        return block.params[argument]
    sizes = block_size_names(block)
    if argument in sizes:
        source, axis = sizes[argument]
        return concrete(block.inputs[source][axis])
    return None


def other_values(value: Any) -> list[Any]:
    """The values to try: the least, odd ones, larger ones, and ones that do not divide."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [v for v in dict.fromkeys((2 * value, value + 1, 1, 0, 3, 5)) if v != value]
    if isinstance(value, float):
        return [v for v in (value / 2, 0.0, 0.25) if v != value]
    if isinstance(value, list | tuple):
        changed = [
            [*value[:n], other, *value[n + 1 :]]
            for n, item in enumerate(value)
            for other in other_values(item)[:4]
        ]
        return [[v for item in value for v in other_values(item)[:1]], *changed, [*value, *value[-1:]]]
    return []


def try_model(
    module: Any,
    elaborate_with: Callable[[Mapping[str, Any]], Block],
    model: ClassSpec,
    argument: str,
    value: Any,
    backend: str,
) -> Trial:
    arguments = {argument: tuple(value) if isinstance(value, list) else value}
    try:
        graph = elaborate_with({argument: value})
    except (SpecError, SpecErrors):
        graph = None
    layouts = tuple(x.layout for x in model.first_instance.inputs.values())
    return judge(module, model, argument, value, arguments, graph, layouts, backend)


def try_block(module: Any, class_spec: ClassSpec, argument: str, value: Any, backend: str) -> Trial:
    lowered = class_spec.first_instance
    block = lowered.block
    sizes = block_size_names(block)
    if argument not in block.params and argument not in sizes:
        return Trial(class_spec.name, argument, value, "not tried: it is not in the spec")
    assert block.rebuild is not None
    try:
        if argument in block.params:
            other = block.rebuild({argument: value}, {})
        else:
            other = block.rebuild({}, {argument: value})
        graph = None if list(other.outputs) != list(block.outputs) else wrap(prune_unused(other))
        if graph is None:
            return Trial(class_spec.name, argument, value, "not tried")
    except (SpecError, SpecErrors):
        other, graph = None, None
    arguments = {}
    for name in class_spec.params:
        if name == argument:
            arguments[name] = value
        elif name in block.params:
            arguments[name] = (other or block).params[name]
        elif name in sizes:
            arguments[name] = concrete(block.inputs[sizes[name][0]][sizes[name][1]])
        else:
            # a number that the compiler took out of several uses of the block: another value of it is unknown
            return Trial(class_spec.name, argument, value, f"not tried: {name} is not in the spec")
    arguments = {n: tuple(v) if isinstance(v, list) else v for n, v in arguments.items()}
    layouts = tuple(x.layout for x in lowered.inputs.values())
    return judge(module, class_spec, argument, value, arguments, graph, layouts, backend)


def wrap(block: Block) -> Block:
    """A model with this block as its only step."""
    args = {v: block.inputs[i][a] for v, (i, a) in block_size_names(block).items()}
    args = {name: concrete(size) for name, size in args.items()} | dict(block.params)
    inputs = {n: outer_type(x, args) for n, x in block.inputs.items()}
    node = Node("block", block, tuple(inputs), outer_type(block.type, args), block.at, args=args)
    several = len(block.outputs) > 1 or "" not in block.outputs
    outputs = {
        name: Output(f"block@{name}" if several and n else "block", outer_type(o.type, args))
        for n, (name, o) in enumerate(block.outputs.items())
    }
    return Block("Reference", "", {}, {}, inputs, (node,), {}, outputs, block.at)


def judge(
    module: Any,
    class_spec: ClassSpec,
    argument: str,
    value: Any,
    arguments: Mapping[str, Any],
    graph: Block | None,
    layouts: tuple[Layout, ...],
    backend: str,
) -> Trial:
    """Compare a class with these arguments with the model that the spec describes; None if it refuses."""
    run = RUNNERS[backend]
    block = class_spec.block if graph is None else graph
    if model_cost(block).macs > MOST_MACS:
        return Trial(class_spec.name, argument, value, "not tried: too large")
    x = random_inputs(block, layouts)
    given = run(getattr(module, class_spec.name), arguments, group_lists(class_spec, x), None)
    if graph is None:
        outcome = "refused" if given.error else "accepted"
        return Trial(class_spec.name, argument, value, outcome)
    if given.error:
        outcome = "refused, but the spec accepts it" if not given.is_clear else "refused by the file"
        return Trial(class_spec.name, argument, value, f"{outcome}: {given.error[:120]}")
    classes, outputs = reference_classes(graph, layouts, backend)
    source = print_module(load_backend(backend).module_file(classes, "", ()))
    if backend == "keras" and any(items is not None for items in class_spec.arguments.values()):
        return Trial(class_spec.name, argument, value, "not tried: the model of a spec takes no lists")
    make = getattr(import_source(source, f"reference_{backend}"), classes[-1].name)
    wanted = run(make, {}, group_lists(classes[-1], x) if isinstance(make, type) else x, given.weights)
    here = [v.layout for v in class_spec.first_instance.outputs.values()]
    return Trial(class_spec.name, argument, value, compare(given, wanted, here, outputs))


def group_lists(class_spec: ClassSpec, arrays: list[Any]) -> list[Any]:
    """Return the inputs as the class takes them: those of a list together."""
    left = iter(arrays)
    lists = class_spec.arguments.values()
    return [next(left) if items is None else [next(left) for _ in items] for items in lists]


def reference_classes(
    graph: Block, layouts: tuple[Layout, ...], backend: str
) -> tuple[list[ClassSpec], list[Layout]]:
    """The classes of a model whose inputs come in these layouts, and the layouts of its outputs."""
    lowering = ModelLowering(load_backend(backend), CallPolicy())
    root = lowering.lower_block(graph, layouts, is_model=True)
    lowered = LoweredModel(root, tuple(lowering.instances.values()), lowering.value_numbers, lowering)
    return build_classes(lowered), [value.layout for value in root.outputs.values()]


def random_inputs(block: Block, layouts: tuple[Layout, ...]) -> list[Any]:
    random = np.random.default_rng(0)
    arrays = []
    for x, layout in zip(block.inputs.values(), layouts, strict=True):
        shape = tuple(concrete(x[axis]) for axis in layout.order)
        shape = (2, *shape) if layout.batched else shape
        if x.dtype == "int32":
            arrays.append(random.integers(0, vocabulary_size(block), shape).astype("int32"))
        elif x.dtype == "bool":
            arrays.append(random.normal(size=shape) > -0.5)
        else:
            arrays.append(random.normal(size=shape).astype("float32"))
    return arrays


def compare(given: Run, wanted: Run, here: list[Layout], there: list[Layout]) -> str:
    """What differs between two runs: "same" if nothing does."""
    if wanted.error:
        return f"the reference fails: {wanted.error[:120]}"
    names = {
        name.removeprefix("block.").removeprefix("block/"): shape for name, shape in wanted.shapes.items()
    }
    if names != given.shapes:
        wrong = [n for n in {**names, **given.shapes} if names.get(n) != given.shapes.get(n)][:2]
        return "; ".join(f"{n}: {given.shapes.get(n)} instead of {names.get(n)}" for n in wrong)
    for a, b, source, target in zip(given.outputs, wanted.outputs, here, there, strict=True):
        extra = int(source.batched)
        order = [*range(extra), *(extra + source.order.index(axis) for axis in target.order)]
        a = a.transpose(order)
        if a.shape != b.shape:
            return f"output of shape {a.shape} instead of {b.shape}"
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return "the outputs are not finite"
        if not np.allclose(a, b, rtol=1e-3, atol=1e-4):
            return f"outputs differ by {np.abs(a - b).max():.2g}"
    return "same"
