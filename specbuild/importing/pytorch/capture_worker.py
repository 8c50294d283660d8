"""The worker of `specbuild import`: makes the user's model, records it, and runs it for the proof.

It executes the user's code, in a process of its own. No pickle is loaded, and no pretrained weights are asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace

from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.importing.pytorch.full_precision_worker import FullPrecision
from specbuild.importing.pytorch.operators_worker import call_with_operators, describe_operators
from specbuild.importing.pytorch.precise_constants_worker import refine_constants
from specbuild.importing.pytorch.randomness_worker import RandomnessWatch
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.pytorch.recorder_worker import copy_values, record_model
from specbuild.importing.pytorch.statistics_worker import measure_statistics
from specbuild.importing.pytorch.tensor_facts_worker import list_tensors
from specbuild.importing.trace import Trace
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, Tensors, Worker, load_tensors, open_worker

BATCH = 3  # samples in the recorded pass; the proof uses another number
DEFAULT_INPUTS = {"torchvision": (3, 224, 224), "torchvision.models.video": (3, 16, 224, 224)}


def open_capture_worker(options: WorkerOptions) -> Worker:
    original, emitted = OriginalModel(), open_worker(READER.runtime.worker, options)
    return Worker(lambda job: (emitted if job["do"] == "emitted" else original).run_job(job))


class OriginalModel:
    """The user's model, and the jobs on it."""

    def __init__(self) -> None:
        self.model: Any = None
        self.inputs: dict[str, Any] = {}

    def run_job(self, job: Job) -> Tensors | None:
        if job["do"] == "capture":
            return self.capture(job)
        if job["do"] == "weights":
            return {name: tensor.detach().numpy() for name, tensor in self.model.state_dict().items()}
        if job["do"] == "draw":
            return draw_weights(self.model, job["seed"])
        return run_original(self.model, job)

    def run_aside(self, job: Job) -> Tensors | None:
        """Run a job in a process that goes on afterwards: its default dtype stays."""
        dtype = torch.get_default_dtype()
        try:
            return self.run_job(job)
        finally:
            torch.set_default_dtype(dtype)

    def capture(self, job: Job) -> Tensors:
        """Make the model, record one pass, write the trace, and return the constants."""
        with ConstructorWatch() as watch:
            self.model = make_model(job["source"], job["settings"])
        shapes = job["inputs"] or find_input_shapes(self.model, job["source"])
        trace, constants = self.record(shapes, watch)
        trace = replace(trace, notes=tuple(describe_operators()))
        Path(job["trace"]).write_text(trace.to_json(), encoding="utf-8")
        return {f"constant:{number}": array for number, array in constants.items()}

    def record(self, shapes: dict[str, Any], watch: ConstructorWatch) -> tuple[Trace, dict[int, Any]]:
        """Record one pass on inputs of these sizes and dtypes. Raises RefusedJob."""
        inputs = {name: draw_example(*shape) for name, shape in shapes.items()}
        try:
            trace, constants = record_model(self.model, inputs, watch)
            return trace, refine_constants(self.model, inputs, trace, constants)
        except RefusedJob:
            raise
        except Exception as error:  # of the user's code
            message = " ".join(str(error).split())[:300]
            reason = f"the model fails on {describe_shapes(shapes)}: {type(error).__name__}: {message}"
            raise RefusedJob(reason, "give inputs that it takes: image=3x64x64, for example") from error


# ------------------------------------------------------------------------------------------- the model


def make_model(source: str, settings: dict[str, Any]) -> Any:
    """Call what a source names: `timm:NAME`, `torchvision:NAME`, `FILE.py:NAME` or `MODULE:NAME`.

    Raises RefusedJob if it cannot be found or called, or is no nn.Module.
    """
    try:
        model = call_with_operators(lambda: call_factory(source, settings))
    except RefusedJob:
        raise
    except Exception as error:  # of the user's code
        message = " ".join(str(error).split())[:300]
        raise RefusedJob(f"{source} cannot be made: {type(error).__name__}: {message}") from error
    if not isinstance(model, torch.nn.Module):
        raise RefusedJob(f"{source} gives a {type(model).__name__}, not a torch.nn.Module")
    return model


def call_factory(source: str, settings: dict[str, Any]) -> Any:
    place, _, name = source.rpartition(":")
    if place == "timm":
        return importlib.import_module("timm").create_model(name, pretrained=False, **settings)
    if place == "torchvision":
        models = importlib.import_module("torchvision.models")
        options = inspect.signature(models.get_model_builder(name)).parameters
        no_weights = {key: None for key in ("weights", "weights_backbone") if key in options}
        return models.get_model(name, **no_weights, **settings)
    factory = find_factory(place, name)
    return factory(**fit_settings(factory, settings))


def fit_settings(factory: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with tuples in place of lists where the default is a tuple: JSON and command lines have only lists."""
    try:
        options = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return settings
    tuples = {name for name, option in options.items() if isinstance(option.default, tuple)}
    return {n: tuple(v) if n in tuples and isinstance(v, list) else v for n, v in settings.items()}


def find_factory(place: str, name: str) -> Any:
    """Return a class or function of a file or module."""
    if place.endswith(".py"):
        path = Path(place).resolve()
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise RefusedJob(f"there is no file {place}")
        sys.path.insert(0, str(path.parent))
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, os.getcwd())
        module = importlib.import_module(place)
    if not hasattr(module, name):
        known = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, torch.nn.Module)]
        raise RefusedJob(f"{place} has no {name}", f"it has {', '.join(known[:8])}" if known else "")
    return getattr(module, name)


def find_input_shapes(model: Any, source: str) -> dict[str, tuple[list[int], str]]:
    """Return the inputs that a published model says it has; raises RefusedJob for others."""
    place = source.rpartition(":")[0]
    size = getattr(model, "pretrained_cfg", {}).get("input_size") if place == "timm" else None
    of_package = (
        "torchvision.models.video" if type(model).__module__.startswith("torchvision.models.video") else place
    )
    shape = size or DEFAULT_INPUTS.get(of_package)
    if shape is None:
        raise RefusedJob("the inputs of the model are not known", "name them: --input image=3x224x224")
    return {"image": (list(shape), "float")}


def describe_shapes(shapes: dict[str, Any]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, (shape, _) in shapes.items())


def draw_example(shape: list[int], dtype: str) -> Any:
    if dtype == "int32":
        return torch.zeros((BATCH, *shape), dtype=torch.long)
    if dtype == "bool":
        return torch.ones((BATCH, *shape), dtype=torch.bool)
    return torch.randn((BATCH, *shape), generator=torch.Generator().manual_seed(0))


# ------------------------------------------------------------------------------------------- the proof


def draw_weights(model: Any, seed: int) -> Tensors:
    """Return random values for the trained weights and the statistics, by their published names.

    Tables and counters keep theirs. A tensor with several names has the same values under each.
    """
    random = np.random.default_rng(seed)
    trained = dict(model.named_parameters())
    drawn: Tensors = {}
    names: dict[Any, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        shape = tuple(tensor.shape)
        first = names.setdefault(tensor, name)
        if first != name:
            drawn[name] = drawn[first]
        elif name in trained:
            fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 0
            noise = random.normal(size=shape)
            is_scale = not fan_in and name.endswith("weight")
            drawn[name] = noise * (2 / fan_in) ** 0.5 if fan_in else 0.2 * noise + (1 if is_scale else 0)
        elif name.endswith("running_mean"):
            drawn[name] = 0.1 * random.normal(size=shape)
        elif name.endswith("running_var"):
            drawn[name] = random.uniform(0.5, 1.5, shape)
        else:
            drawn[name] = tensor.detach().numpy()
    return drawn


def run_original(model: Any, job: Job) -> Tensors:
    """Return outputs and gradients in float64, and those of one step of training with its statistics.

    In the mode `measure`, return the statistics that the inputs have at every norm, and nothing else.
    """
    torch.set_default_dtype(torch.float64)
    arrays, weights = load_tensors(job["arrays"]), load_tensors(job["weights"])
    model.double()
    state = model.state_dict()  # with the versions of modules, which some look at
    state |= {name: torch.from_numpy(value) for name, value in weights.items()}
    model.load_state_dict(state)
    if "measure" in job["modes"]:
        remove_dropout(model)
        return measure_statistics(model, [to_input(arrays[f"input:{name}"]) for name in job["inputs"]])
    results = differentiate(model.eval(), arrays, job, "")
    if job["values"]:
        inputs = {name: to_input(arrays[f"input:{name}"]) for name in job["inputs"]}
        results |= {f"value:{n}": v for n, v in copy_values(model, inputs, job["values"]).items()}
    if "train" in job["modes"]:
        remove_dropout(model)
        with RandomnessWatch():
            results |= differentiate(model.train(), arrays, job, "trained_")
        results |= {
            f"statistic:{n}": copy_array(b) for n, b in model.named_buffers() if b.is_floating_point()
        }
    return results


def differentiate(model: Any, arrays: Tensors, job: Job, prefix: str) -> Tensors:
    """Return the outputs by their number, and the gradients of their sum with the given factors."""
    inputs = [to_input(arrays[f"input:{name}"]) for name in job["inputs"]]
    for x in inputs:
        x.requires_grad_(x.is_floating_point())
    model.zero_grad(set_to_none=True)
    with FullPrecision():
        outputs = list(list_tensors(model(*inputs)))
    results = {f"{prefix}output:{i}": copy_array(y) for i, y in enumerate(outputs)}
    total = sum(
        (y * torch.from_numpy(arrays[f"cotangent:{i}"])).sum()
        for i, y in enumerate(outputs)
        if y.is_floating_point() and f"cotangent:{i}" in arrays
    )
    if isinstance(total, torch.Tensor) and total.requires_grad:
        total.backward()
    named = zip(job["inputs"], inputs, strict=True)
    results |= {f"{prefix}gradient:{n}": copy_array(x.grad) for n, x in named if x.grad is not None}
    parameters = [(n, p) for n, p in model.named_parameters() if p.grad is not None]
    return results | {f"{prefix}weight_gradient:{n}": copy_array(p.grad) for n, p in parameters}


def to_input(array: Any) -> Any:
    """Return an input as a tensor; integers as the longer ones that embeddings take."""
    x = torch.from_numpy(array)
    return x.long() if not x.is_floating_point() and x.dtype != torch.bool else x


def copy_array(tensor: Any) -> Any:
    return tensor.detach().numpy().copy()


def remove_dropout(model: Any) -> None:
    """Set all rates of dropout and of dropped paths to 0."""
    for module in model.modules():
        for name in ("p", "drop_prob", "drop_rate", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
