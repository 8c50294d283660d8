"""Records one forward pass of a PyTorch model: the tree of its modules, and the functions that they call.

The model runs as it is, on real tensors; every function that it calls passes through a `TorchFunctionMode`.
Layers of torch.nn with their own `forward` are not looked into. Values that depend on no input and on no
trained weight are constants: their numbers are kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from msgspec.structs import asdict
from torch import nn
from torch.overrides import resolve_name

from specbuild.importing.pytorch.assignments import unite_assignments
from specbuild.importing.pytorch.computed_weights import explain_training, name_class
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch, find_defaults
from specbuild.importing.pytorch.module_facts_worker import (
    describe_layer,
    is_container,
    layer_kind,
    plain_items,
)
from specbuild.importing.pytorch.randomness_worker import RANDOM
from specbuild.importing.pytorch.tensor_facts_worker import (
    find_memory,
    list_tensors,
    mark_unset,
    shares_memory,
)
from specbuild.importing.pytorch.value_recorder_worker import OpenCall, ValueRecorder, find_source_line
from specbuild.importing.trace import FunctionCall, ModuleCall, Trace, ValueRef, list_refs

LOOKS = frozenset("item __bool__ __int__ __float__ __index__ __len__ tolist equal allclose nonzero".split())
NEW_TENSORS = frozenset(
    "new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like full_like empty_like zero_".split()
)
UNSET_TENSORS = frozenset("empty empty_like new_empty empty_strided new_empty_strided".split())
PASSED_BY = ("torch.jit", "torch.compiler", "torch._assert", "torch._dynamo")


class Recorder(ValueRecorder):
    """Records what happens while it is active. Raises RefusedJob where a model depends on its data."""

    # ---------------------------------------------------------------------------------------- functions

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.silence:
            return function(*args, **kwargs)
        name = resolve_name(function) or getattr(function, "__name__", str(function))
        if name.endswith("__get__"):
            return self.read_property(function, args)
        if name.startswith(PASSED_BY) or "is_scripting" in name or "is_tracing" in name:
            return function(*args, **kwargs)
        last = name.rpartition(".")[2]
        arguments, keywords = self.encode(args), self.encode(kwargs)
        refs = [*list_refs(arguments), *list_refs(keywords)]
        if last in LOOKS and last != "__len__" and not self.is_constant(refs):
            raise self.refuse(
                f"{last}: what the model does depends on the numbers of a value",
                "a spec is the same network for all data",
            )
        if last in RANDOM:
            raise self.refuse(f"{last}: the model draws random numbers in evaluation mode")
        if last == "__setitem__" and not self.is_constant(refs):
            return self.record_assignment(*args)
        if last == "copy_" and args[0] in self.parts and not self.is_constant(refs):
            whole, index = self.parts[args[0]]
            self.record_assignment(whole, tuple(index) if isinstance(index, list) else index, args[1])
            return args[0]
        self.kept.append((args, kwargs))
        with self.keep_silent():
            result = self.detach_result(function(*args, **kwargs))
            if args and result is args[0] and refs and self.values[refs[0].number].origin == "weight":
                hint = "compute another: F.conv2d(x, self.weight * self.mask)"
                raise self.refuse("the model changes a weight of its own in place", hint, "SB966")
            if last in UNSET_TENSORS:
                mark_unset(result)
        self.record(FunctionCall(name, tuple(arguments), keywords, (), line=find_source_line()), refs, result)
        if last == "__getitem__" and shares_memory(result, args[0]):
            self.parts[result] = args[0], arguments[1]
        elif args and result is args[0] and result in self.parts:
            self.record_write(result)
        return result

    def record_write(self, part: Any) -> None:
        """Record that a part of a value was changed in place, as a call that returns the new whole value."""
        whole, index = self.parts[part]
        number = self.numbers.get(whole)
        if number is None or not self.is_assignable(whole):
            return  # it is refused where it is read
        if self.versions[whole] + 1 == whole._version:
            refs = [ValueRef(number), ValueRef(self.numbers[part])]
            call = FunctionCall("specbuild.write_part", (*refs, index), {}, (), line=find_source_line())
            self.record(call, refs, whole)

    def record_assignment(self, whole: Any, index: Any, value: Any) -> None:
        """Record `whole[index] = value` as a call that returns the new whole value. Raises RefusedJob if no spec can say it."""
        encoded = self.encode(index)
        if not self.is_assignable(whole) or list(list_refs(encoded)):
            raise self.refuse("item assignment", "use torch.cat or torch.where", "SB965")
        with self.keep_silent():
            part = whole[index]
            if not isinstance(value, torch.Tensor):
                value = torch.full_like(part, value)
            is_itself = part.data_ptr() == value.data_ptr()  # `x[1:] += y` has changed it already
            if is_itself:
                whole[index] = value
                self.versions[whole] = whole._version
                return
            if part.shape != value.shape:
                value = self.record_expansion(value, part.shape)
            refs = [ValueRef(self.find_number(whole)), ValueRef(self.find_number(value))]
            whole[index] = value
        call = FunctionCall("specbuild.write_part", (*refs, encoded), {}, (), line=find_source_line())
        self.kept.append(value)
        self.record(call, refs, whole)

    def record_expansion(self, value: Any, shape: Sequence[int]) -> Any:
        """Record that a value is repeated to this shape, and return the result."""
        ref, expanded = ValueRef(self.find_number(value)), value.expand(shape)
        call = FunctionCall("torch.Tensor.expand", (ref, list(shape)), {}, (), line=find_source_line())
        self.record(call, [ref], expanded)
        return expanded

    def is_assignable(self, whole: Any) -> bool:
        """Return whether the model made a value itself, so that its changes in place can be recorded."""
        is_known = whole in self.numbers and whole not in self.parts
        return is_known and find_memory(whole) not in self.stored

    def read_property(self, function: Any, args: Any) -> Any:
        """Record `x.T` and `x.mT`; other properties of tensors compute nothing."""
        result = function(*args)
        attribute = getattr(getattr(function, "__self__", None), "__name__", "")
        if isinstance(result, torch.Tensor) and result not in self.numbers:
            refs = list(list_refs(self.encode(args)))
            if attribute in ("T", "mT"):
                self.record(
                    FunctionCall(attribute, tuple(refs), {}, (), line=find_source_line()), refs, result
                )
            elif attribute == "data" and refs:
                self.numbers[result], self.versions[result] = refs[0].number, result._version
        return result

    def record(self, call: FunctionCall, refs: list[ValueRef], result: Any) -> None:
        """Add a call with its results; of constants, only the result is kept."""
        tensors = list(list_tensors(result))
        if call.function.rpartition(".")[2] in NEW_TENSORS or (
            self.is_constant(refs) and not call.settings.get("weights")
        ):
            if call.function == "torch.Tensor.clone" and refs:  # it may be one that is stored
                self.numbers[result], self.versions[result] = refs[0].number, result._version
                return
            for tensor in tensors:
                names = {self.values[r.number].name for r in refs}
                self.add_constant(tensor, name=names.pop() if len(names) == len(tensors) == 1 else "")
        elif tensors:
            results = tuple(map(self.add_value, tensors))
            self.open[-1].body.append(FunctionCall(**{**asdict(call), "results": results}))

    # ------------------------------------------------------------------------------------------ modules

    def call_module(self, original: Any, module: Any, args: Any, kwargs: Any) -> Any:
        """Run a module in place of `nn.Module.__call__`, and record it."""
        if self.silence:
            return original(module, *args, **kwargs)
        path = self.paths.get(module)
        if path is None:
            raise self.refuse(
                f"a {type(module).__name__} that is made in forward", "make it in __init__", "SB961"
            )
        kind, line = layer_kind(module), find_source_line()
        with self.keep_silent():
            arguments, keywords = self.encode(args), self.encode(kwargs)
            if kind is not None:
                result = self.detach_result(original(module, *args, **kwargs))
                settings = describe_layer(module, path)
                call = FunctionCall(f"nn.{kind}", tuple(arguments), keywords, (), path, settings, line)
                self.record(call, [*list_refs(arguments), *list_refs(keywords)], result)
                return result
        self.counts[path] = self.counts.get(path, -1) + 1
        if module is self.open[0].module:
            opened = self.open[0]
            opened.arguments, opened.keywords = tuple(arguments), keywords
            return original(module, *args, **kwargs)
        opened = OpenCall(path, module, tuple(arguments), keywords, self.counts[path], line)
        self.open.append(opened)
        try:
            result = original(module, *args, **kwargs)
        finally:
            self.open.pop()
        with self.keep_silent():
            self.open[-1].body.append(self.close_call(opened, result))
        return result

    def close_call(self, opened: OpenCall, result: Any) -> ModuleCall:
        module = opened.module
        given = self.watch.find_arguments(module)
        parameters = list(inspect.signature(type(module).forward).parameters)[1:]
        return ModuleCall(
            opened.path,
            name_class(module),
            opened.arguments,
            opened.keywords,
            tuple(opened.body),
            self.encode(result),
            tuple(parameters),
            plain_items(given or {}),
            plain_items(vars(module)),
            opened.repetition,
            is_container(module, opened.path, opened.body, given),
            any(True for _ in module.parameters()),
            opened.line,
            self.watch.find_builder(module),
            plain_items(find_defaults(module)) if given else {},
        )


def record_model(model: Any, inputs: dict[str, Any], watch: ConstructorWatch) -> tuple[Trace, dict[int, Any]]:
    """Run a model once in evaluation mode; return its trace and the numbers of its constants.

    Raises RefusedJob for what no spec can say, and whatever the model itself raises.
    """
    recorder = Recorder(model, watch)
    trace = run_recorder(recorder, model, inputs)
    return trace, recorder.constants


def copy_values(model: Any, inputs: dict[str, Any], wanted: Iterable[int]) -> dict[int, Any]:
    """Run a model as in its trace, on other numbers; return the values that have these numbers in the trace."""
    recorder = Recorder(model, ConstructorWatch())
    recorder.wanted = set(wanted)
    run_recorder(recorder, model, inputs)
    return recorder.copies


def run_recorder(recorder: Recorder, model: Any, inputs: dict[str, Any]) -> Trace:
    model.eval()
    inputs = {name: torch.ops.aten.alias(tensor) for name, tensor in inputs.items()}  # one can be given twice
    original = nn.Module.__call__
    numbers = {name: recorder.add_value(tensor, "input", name) for name, tensor in inputs.items()}
    first_names: dict[Any, str] = {}
    tied = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        first = first_names.setdefault(tensor, name)
        if first != name:
            tied[name] = first

    def call(module: Any, *args: Any, **kwargs: Any) -> Any:
        return recorder.call_module(original, module, args, kwargs)

    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    nn.Module.__call__ = call
    try:
        with torch.no_grad(), recorder:
            result = model(*inputs.values())
    finally:
        nn.Module.__call__ = original
        torch.backends.mha.set_fastpath_enabled(fast_path)
    trace = Trace(
        next(iter(inputs.values())).shape[0],
        tuple(recorder.values),
        recorder.close_call(recorder.open[0], result),
        numbers,
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
        tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad),
        tied,
        untrained=explain_training(model),
    )
    return unite_assignments(trace)
