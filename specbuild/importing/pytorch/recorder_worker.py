"""Records one forward pass of a PyTorch model: the tree of its modules, and the functions that they call.

The model runs as it is, on real tensors; every function that it calls passes through a `TorchFunctionMode`.
Layers of torch.nn with their own `forward` are not looked into. Values that depend on no input and on no
trained weight are constants: their numbers are kept.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from specbuild.importing.pytorch.assignments import unite_assignments
from specbuild.importing.pytorch.computed_weights import (
    explain_training,
    is_weight_computing,
    name_class,
)
from specbuild.importing.trace import (
    FunctionCall,
    ModuleCall,
    Opaque,
    Origin,
    Trace,
    TracedValue,
    ValueRef,
    list_refs,
)
from specbuild.runtimes.worker_jobs import RefusedJob

TORCH_FOLDER = os.path.dirname(torch.__file__) + os.sep
# Layers of other packages that are known by the name of their class.
LAYERS_BY_NAME = {"DropPath": "DropPath", "StochasticDepth": "DropPath"}
NO_LAYERS = ("torch.nn.modules.container", "torch.nn.modules.module", "torch.nn.modules.transformer")
# Methods that a subclass of a layer may have without computing anything else.
HARMLESS_METHODS = frozenset("__init__ __repr__ extra_repr reset_parameters init_weights".split())
LOOKS = frozenset("item __bool__ __int__ __float__ __index__ __len__ tolist equal allclose nonzero".split())
NEW_TENSORS = frozenset(
    "new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like full_like empty_like zero_".split()
)
UNSET_TENSORS = frozenset("empty empty_like new_empty empty_strided new_empty_strided".split())
RANDOM = frozenset("rand randn randint rand_like randn_like bernoulli bernoulli_ normal_ uniform_".split())
PASSED_BY = ("torch.jit", "torch.compiler", "torch._assert", "torch._dynamo")


class ConstructorWatch:
    """While it is open, every module that is made remembers what its constructor was given, by name."""

    def __init__(self) -> None:
        self.arguments: dict[Any, dict[str, Any]] = {}  # by module

    def __enter__(self) -> ConstructorWatch:
        self.original = original = nn.Module.__init__
        arguments = self.arguments

        def remember(module: Any, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            given = find_constructor_arguments(module)
            if given is not None:
                arguments[module] = given

        nn.Module.__init__ = remember
        return self

    def __exit__(self, *error: object) -> None:
        nn.Module.__init__ = self.original


def find_constructor_arguments(module: Any) -> dict[str, Any] | None:
    """Return the arguments of the outermost `__init__` of this module that is running."""
    frame, found = sys._getframe(2), None
    while frame is not None and frame.f_code.co_name == "__init__":
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if names and frame.f_locals.get(names[0]) is module:
            found = {name: frame.f_locals.get(name) for name in names[1:]}
        frame = frame.f_back  # type: ignore[assignment]
    return found


def layer_kind(module: Any) -> str | None:
    """Return the name of the class of torch.nn that computes this module; None if the module must be looked into."""
    kind = type(module)
    if kind.__name__ in LAYERS_BY_NAME:
        return LAYERS_BY_NAME[kind.__name__]
    if module._forward_hooks or module._forward_pre_hooks or hasattr(module, "parametrizations"):
        return None
    for base in kind.__mro__:
        if base.__module__.startswith("torch.nn.modules"):
            return None if base.__module__ in NO_LAYERS else base.__name__
        if any(callable(v) and name not in HARMLESS_METHODS for name, v in vars(base).items()):
            return None
    return None


def is_plain(value: Any) -> bool:
    """Return whether a value is a number, a text, None, or a short list of them."""
    if isinstance(value, list | tuple):
        return len(value) <= 64 and all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def plain_items(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if not k.startswith("_") and k != "training" and is_plain(v)}


def language_dtype(tensor: Any) -> str:
    if tensor.dtype == torch.bool:
        return "bool"
    return "float" if tensor.is_floating_point() else "int32"


def find_source_line() -> str:
    """Return the line, FILE:LINE, of the user's code that is running."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((TORCH_FOLDER, "<")) and file != __file__:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@dataclass
class OpenCall:
    """A module that is running, and the calls that it has made so far."""

    path: str
    module: Any
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    repetition: int = 0
    line: str = ""
    body: list[FunctionCall | ModuleCall] = field(default_factory=list)


class Recorder(TorchFunctionMode):  # type: ignore[misc]
    """Records what happens while it is active. Raises RefusedJob where a model depends on its data."""

    def __init__(self, model: Any, watch: ConstructorWatch):
        super().__init__()
        self.watch = watch
        self.values: list[TracedValue] = []
        self.numbers: dict[Any, int] = {}  # by tensor, which is kept alive
        self.versions: dict[Any, int] = {}
        self.parts: dict[Any, tuple[Any, Any]] = {}  # of a view by an index: the whole, and the index
        self.constants: dict[int, Any] = {}  # the numbers of constants and buffers
        self.kept: list[Any] = []
        self.paths = {module: path for path, module in model.named_modules()}
        self.counts: dict[str, int] = {}
        self.open = [OpenCall("", model)]
        self.silence = 0
        self.computed: set[int] = set()  # the memory of values that depend on inputs or weights
        self.stored: set[int] = set()  # that of inputs, weights and buffers
        self.wanted: set[int] = set()  # numbers of values to copy as soon as they are there
        self.copies: dict[int, Any] = {}
        for name, parameter in model.named_parameters():
            self.add_value(parameter, "weight", name)
        for name, buffer in model.named_buffers():
            self.add_constant(buffer, "buffer", name)

    @contextmanager
    def keep_silent(self) -> Iterator[None]:
        """Record no function: inside a layer or function that is one call, and while recording itself."""
        self.silence += 1
        try:
            yield
        finally:
            self.silence -= 1

    # ------------------------------------------------------------------------------------------- values

    def add_value(self, tensor: Any, origin: Origin = "call", name: str = "") -> int:
        number = len(self.values)
        self.values.append(TracedValue(tuple(tensor.shape), language_dtype(tensor), origin, name))
        self.numbers[tensor], self.versions[tensor] = number, tensor._version
        if origin == "call":
            self.computed.add(find_memory(tensor))
        elif origin != "constant":
            self.stored.add(find_memory(tensor))
        if number in self.wanted:
            self.copies[number] = tensor.detach().clone().numpy()
        return number

    def add_constant(self, tensor: Any, origin: Origin = "constant", name: str = "") -> int:
        number = self.add_value(tensor, origin, name)
        self.constants[number] = tensor.detach().clone().numpy()
        return number

    def encode(self, argument: Any) -> Any:
        """Return an argument as plain data, with a ValueRef for each tensor."""
        if isinstance(argument, torch.Tensor):
            return ValueRef(self.find_number(argument))
        if isinstance(argument, list | tuple):
            return [self.encode(x) for x in argument]
        if isinstance(argument, dict):
            return {str(k): self.encode(x) for k, x in argument.items()}
        if isinstance(argument, slice):
            return slice(*map(self.encode, (argument.start, argument.stop, argument.step)))
        if argument is Ellipsis or is_plain(argument):
            return argument
        return Opaque(str(argument))

    def find_number(self, tensor: Any) -> int:
        number = self.numbers.get(tensor)
        if number is None:
            return self.add_constant(tensor)
        if self.versions[tensor] == tensor._version:
            return number
        is_constant = self.values[number].origin in ("constant", "buffer")
        if is_constant and find_memory(tensor) not in self.computed:
            return self.add_constant(tensor)
        raise self.refuse(
            "a value is changed in place through another view of it",
            "use torch.cat, torch.where or a copy",
            "SB965",
        )

    def refuse(self, reason: str, hint: str = "", code: str = "SB962") -> RefusedJob:
        """Return the refusal of what is running; its message begins with the code of the error."""
        path = self.open[-1].path
        where = f" in {path}" if path else ""
        line = find_source_line()
        return RefusedJob(f"{code} {reason}{where}" + (f" ({line})" if line else ""), hint)

    def is_constant(self, refs: Sequence[ValueRef]) -> bool:
        return all(self.values[r.number].origin in ("constant", "buffer") for r in refs)

    def detach_result(self, result: Any) -> Any:
        """Return the result as a new object if it is the very tensor that went in, unchanged."""
        if isinstance(result, torch.Tensor) and self.versions.get(result) == result._version:
            return torch.ops.aten.alias(result)
        return result

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
        """Record that a part of a value was changed in place, as a call that gives the whole value anew."""
        whole, index = self.parts[part]
        number = self.numbers.get(whole)
        if number is None or not self.is_assignable(whole):
            return  # it is refused where it is read
        if self.versions[whole] + 1 == whole._version:
            refs = [ValueRef(number), ValueRef(self.numbers[part])]
            call = FunctionCall("specbuild.write_part", (*refs, index), {}, (), line=find_source_line())
            self.record(call, refs, whole)

    def record_assignment(self, whole: Any, index: Any, value: Any) -> None:
        """Record `whole[index] = value` as a call that gives the whole value anew. Raises RefusedJob if no spec can say it."""
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
        """Record that a value is repeated to this shape, and return what comes out."""
        ref, expanded = ValueRef(self.find_number(value)), value.expand(shape)
        call = FunctionCall("torch.Tensor.expand", (ref, list(shape)), {}, (), line=find_source_line())
        self.record(call, [ref], expanded)
        return expanded

    def is_assignable(self, whole: Any) -> bool:
        """Return whether a value is one of the model's own making, whose changes in place can be recorded."""
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
            self.open[-1].body.append(FunctionCall(**{**vars(call), "results": results}))

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
        parameters = list(inspect.signature(type(module).forward).parameters)[1:]
        return ModuleCall(
            opened.path,
            name_class(module),
            opened.arguments,
            opened.keywords,
            tuple(opened.body),
            self.encode(result),
            tuple(parameters),
            plain_items(self.watch.arguments.get(module, {})),
            plain_items(vars(module)),
            opened.repetition,
            is_container(module, opened, self.watch.arguments.get(module)),
            any(True for _ in module.parameters()),
            opened.line,
        )


def is_container(module: Any, opened: OpenCall, given: Any) -> bool:
    """Return whether a module only calls its members: a Sequential, or one that passes several values on (HRNet's).

    What computes a weight belongs to its layer, too.
    """
    if type(module) is nn.Sequential or is_weight_computing(module):
        return True
    is_other = isinstance(module, nn.Sequential) and type(module).forward is not nn.Sequential.forward
    return is_other and not given and all(call.path.startswith(f"{opened.path}.") for call in opened.body)


def find_memory(tensor: Any) -> int:
    """Return where the memory lies that a tensor shares with its views."""
    return int(tensor.untyped_storage().data_ptr())


def mark_unset(tensor: Any) -> None:
    """Fill memory that holds no numbers yet with one that is no number."""
    if tensor.is_floating_point():
        tensor.fill_(torch.nan)
    elif tensor.dtype != torch.bool:
        tensor.fill_(torch.iinfo(tensor.dtype).min)


def shares_memory(result: Any, whole: Any) -> bool:
    """Return whether a result is another tensor than the whole, and a view of it."""
    are_tensors = isinstance(result, torch.Tensor) and isinstance(whole, torch.Tensor) and result is not whole
    return are_tensors and find_memory(result) == find_memory(whole)


def list_tensors(result: Any) -> Iterator[Any]:
    """Yield the tensors in a result, however deep they lie."""
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, list | tuple):
        for item in result:
            yield from list_tensors(item)
    elif isinstance(result, dict):
        yield from list_tensors(list(result.values()))


def describe_layer(module: Any, path: str) -> dict[str, Any]:
    """Return the attributes of a layer that are plain data, and the published names of its weights by slot."""
    own = [*module._parameters.items(), *module._buffers.items()]
    weights = {name: f"{path}.{name}" if path else name for name, tensor in own if tensor is not None}
    inner = {name: f"{path}.{name}" for name, _ in module.named_parameters() if "." in name}
    return {**plain_items(vars(module)), "weights": {**weights, **inner}}


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
