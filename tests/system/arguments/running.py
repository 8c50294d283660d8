"""Runs of a class of an emitted file: its weights and its outputs, in each framework."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np


@dataclass
class Run:
    """The weights and outputs of a class, or the error that it raises."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    weights: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    error: str = ""
    is_clear: bool = False  # whether the error is a ValueError of the constructor


def listed(result: Any) -> list[Any]:
    if isinstance(result, Mapping):
        return list(result.values())
    return list(result) if isinstance(result, tuple | list) else [result]


def random_weights(shapes: Sequence[tuple[int, ...]], out_axis: int) -> list[Any]:
    """Positive numbers. Kernels are divided by the numbers that they sum, so that the values of deep models stay finite."""
    random = np.random.default_rng(1)
    scales = [shape[out_axis] / prod(shape) if len(shape) > 1 and all(shape) else 0.3 for shape in shapes]
    pairs = zip(shapes, scales, strict=True)
    return [np.asarray(3 * scale * random.uniform(0.1, 0.6, shape), "float32") for shape, scale in pairs]


def run_torch(make: Any, arguments: Mapping[str, Any], inputs: list[Any], weights: list[Any] | None) -> Run:
    import torch

    def to_tensors(given: Any) -> Any:
        return [torch.from_numpy(x) for x in given] if isinstance(given, list) else torch.from_numpy(given)

    run = Run()
    try:
        model = make(**arguments).eval()
    except Exception as error:
        return Run(error=f"{type(error).__name__}: {error}", is_clear=isinstance(error, ValueError))
    state = model.state_dict()
    run.shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    run.weights = weights or random_weights(list(run.shapes.values()), out_axis=0)
    if [w.shape for w in run.weights] == list(run.shapes.values()):
        pairs = zip(state.items(), run.weights, strict=True)
        model.load_state_dict({n: torch.from_numpy(w).to(t.dtype) for (n, t), w in pairs})
    try:
        with torch.no_grad():
            run.outputs = [y.numpy() for y in listed(model(*map(to_tensors, inputs)))]
    except Exception as error:
        return Run(error=f"{type(error).__name__}: {error}")
    return run


def run_keras(make: Any, arguments: Mapping[str, Any], inputs: list[Any], weights: list[Any] | None) -> Run:
    import keras

    keras.backend.clear_session(free_memory=False)
    run = Run()
    is_function = not isinstance(make, type)
    names = inspect.signature(make if is_function else make.__init__).parameters
    if is_function:
        shapes = zip((n for n in names if n.endswith("_shape")), (x.shape[1:] for x in inputs), strict=True)
        arguments = {**arguments, **dict(shapes)}
    else:  # sizes of inputs are no arguments of a layer: it reads them when it is built
        arguments = {n: value for n, value in arguments.items() if n in names}
    try:
        model = make(**arguments)
    except Exception as error:
        return Run(error=f"{type(error).__name__}: {error}", is_clear=isinstance(error, ValueError))
    call = (
        (lambda: model(inputs if len(inputs) > 1 else inputs[0])) if is_function else lambda: model(*inputs)
    )
    try:
        call()
        run.shapes = {path_of(w, model, is_function): tuple(w.shape) for w in model.weights}
        run.weights = weights or random_weights(list(run.shapes.values()), out_axis=-1)
        if [w.shape for w in run.weights] == [tuple(w.shape) for w in model.weights]:
            model.set_weights(run.weights)
        run.outputs = [np.asarray(y) for y in listed(call())]
    except Exception as error:
        return Run(error=f"{type(error).__name__}: {error}")
    return run


def path_of(weight: Any, model: Any, is_function: bool) -> str:
    return str(weight.path) if is_function else str(weight.path).removeprefix(f"{model.name}/")
