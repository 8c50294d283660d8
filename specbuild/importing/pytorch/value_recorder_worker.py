"""The values of one forward pass of a PyTorch model: a number for each tensor, and the numbers of constants."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from msgspec import Struct, field
from torch.overrides import TorchFunctionMode

from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.importing.pytorch.module_facts_worker import is_plain
from specbuild.importing.pytorch.tensor_facts_worker import find_memory, language_dtype
from specbuild.importing.trace import FunctionCall, ModuleCall, Opaque, Origin, TracedValue, ValueRef
from specbuild.runtimes.worker_jobs import RefusedJob

TORCH_FOLDER = os.path.dirname(torch.__file__) + os.sep
OWN_FOLDER = os.path.dirname(__file__) + os.sep


class OpenCall(Struct):
    """A module that is running, and the calls that it has made so far."""

    path: str
    module: Any
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    repetition: int = 0
    line: str = ""
    body: list[FunctionCall | ModuleCall] = field(default_factory=list)


class ValueRecorder(TorchFunctionMode):  # type: ignore[misc]
    """Gives each tensor of a forward pass a number, and keeps the numbers of constants."""

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


def find_source_line() -> str:
    """Return the line, FILE:LINE, of the user's code that is running."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((TORCH_FOLDER, OWN_FOLDER, "<")):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
