"""The backend interface: tensor layouts, the writer of each op, and the emitted file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from specbuild.backends.file_kind import FileKind
from specbuild.backends.loader_rules import LoadRule
from specbuild.backends.optimizer_groups import ModelPart, TrainedTensor
from specbuild.backends.packaging import Packaging
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import SELF, Construction
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweredBlock, LoweringResult, Operand, Storage, UnsupportedOp
from specbuild.codegen.tree import Call, Expr, Module
from specbuild.diagnostics.errors import SpecError
from specbuild.expressions import expression_of
from specbuild.expressions.python_ast import parse_python
from specbuild.frontend.names import ReservedNames
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType
from specbuild.runtimes.runtime import Runtime

Writer = Callable[..., LoweringResult]


class Backend:
    """A framework: the order of tensor axes, the code for each op, and the format of the emitted file.

    Required: `name`, `title`, `natural_order`, `convert_layout`, `module_file`, and a writer for each op that
    the backend can express. All other members are optional. A command that needs a missing one fails with SB605.
    """

    name: str  # on the command line: "torch"
    title: str  # in messages, reports and packages: "PyTorch"
    extra: str = ""  # the pip extra that installs the framework; "" if there is none
    modules: frozenset[str] = frozenset()  # that emitted files may import, besides a few standard ones
    loader_imports: frozenset[str] = frozenset()  # that a weights loader may import too: full paths
    # Parts of `modules` that an emitted file must not use: they reach files, processes or other code.
    forbidden_paths: frozenset[str] = frozenset()
    import_calls: frozenset[str] = frozenset()  # decorators that an emitted file may call when it is imported
    needs_loader: bool = True  # whether a file needs code to load what `specbuild weights` writes
    reserved: ReservedNames = ReservedNames()  # names that a spec cannot use
    path_separator: str = "."  # between the parts of a weight's path
    weight_files: tuple[FileKind, ...] = ()  # that the framework writes
    safetensors_format: str = "np"  # what a safetensors file of the framework's tensors says about its origin
    runtimes: tuple[Runtime, ...] = ()  # that `specbuild parity` can compare; (): SB605
    has_unbiased_variance: bool = False  # whether running variances are updated with squares / (n - 1)
    packaging: Packaging | None = None  # for `compile --layout package`; None: SB605

    def __init__(self) -> None:
        self.writers: dict[type[Op], Writer] = {}
        self.refusals: dict[type[Op], str] = {}
        self.extra_helpers: dict[str, str] = {}

    def emits(self, *ops: type[Op]) -> Callable[[Writer], Writer]:
        """Decorator: register a function as the writer of these ops.

        The function gets the op, its operands, and the type of the result as `out`.
        """

        def register(function: Writer) -> Writer:
            self.writers |= dict.fromkeys(ops, function)
            return function

        return register

    def refuses(self, op: type[Op], reason: str) -> None:
        """Register the reason why this backend cannot express an op."""
        self.refusals[op] = reason

    def lower(self, op: Op, inputs: list[Operand | None], type_: TensorType) -> LoweringResult:
        """Return the code for one op. Raises UnsupportedOp if the backend cannot express it."""
        if type(op) not in self.writers:
            raise UnsupportedOp(self.refusals.get(type(op), "the backend does not implement it"))
        return self.writers[type(op)](op, *inputs, out=type_)

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        """Return the axes of a tensor in the order that is usual in the framework, without the batch."""
        raise NotImplementedError

    def convert_layout(
        self,
        value: Expr,
        type_: TensorType,
        source: Layout,
        target: Layout,
        known_sizes: Mapping[str, Expr],
    ) -> Expr:
        """Return code that brings a value from one layout to another.

        `known_sizes` has code for the sizes of folded axes that can be read from another value.
        """
        raise NotImplementedError

    def module_file(self, class_specs: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        """Return the file with these classes. The last one is the model."""
        raise NotImplementedError

    def layer_path(self, lowered: LoweredBlock, node: str) -> str:
        """Return the path of a node's layer inside its block, in the framework's terms."""
        return node

    def weight_path_parts(
        self, lowered: LoweredBlock, node: str, storage: Storage, is_model: bool
    ) -> tuple[str, ...]:
        """Return the parts of a weight's path inside its block. `is_model`: the block is the model."""
        return (self.layer_path(lowered, node), *([storage.name] if storage.name else []))

    def counter_names(self, weight_paths: Iterable[str]) -> set[str]:
        """Return the names of integers that the framework saves beside weights with these paths.

        They begin at 0, and a file may lack them.
        """
        return set()

    def weights_loader(self, module: Module, rules: Mapping[str, LoadRule]) -> Module:
        """Return the file with functions that load (and save) canonical weights.

        `rules` says how each tensor is loaded, by its path. Raises SpecError SB605 if there is no loader.
        """
        raise self.missing_part("a weights loader")

    def optimizer_groups(
        self, module: Module, parts: Sequence[ModelPart], tensors: Sequence[TrainedTensor]
    ) -> Module:
        """Return the file with a function that groups the parameters for an optimizer.

        `parts` are the steps with weights, and how many layers follow each; `tensors` are the trained ones.
        Raises SpecError SB605 if the backend has no such function.
        """
        raise self.missing_part("parameter groups")

    def missing_part(self, what: str) -> SpecError:
        """Return the error SB605: the backend does not have a part that a command needs."""
        return SpecError("SB605", f"the backend {self.name!r} does not have {what}")

    def helper_sources(self) -> dict[str, str]:
        """Return the source of each helper class and function that a file may contain, by name.

        They are in the folder `helpers` beside the module of the backend's class. A file gets those it uses.
        """
        own_file = sys.modules[type(self).__module__].__file__
        assert own_file is not None
        sources: dict[str, str] = {}
        for file in sorted(Path(own_file).with_name("helpers").glob("[a-z]*.py")):
            sources |= split_definitions(file.read_text(encoding="utf-8"))
        return sources | self.extra_helpers

    def add_helpers(self, source: str) -> None:
        """Add the classes and functions of a Python source to the helpers, for the ops of an extension."""
        self.extra_helpers |= split_definitions(source)


@cache
def split_definitions(source: str) -> dict[str, str]:
    """Return the source of each top-level class and function of a file, by name."""
    lines = source.splitlines()
    definitions = {}
    for node in parse_python(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            definitions[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return definitions


def layer_result(
    layer: Construction, x: Operand, order: tuple[str, ...] | None = None, **more: Any
) -> LoweringResult:
    """Return the result for an op that is a layer called on one value."""
    layout = x.layout if order is None else Layout(order, x.layout.folded, x.layout.batched)
    return LoweringResult(Call(SELF, (x.expr,)), layout, layer, **more)


def inline_result(code: Expr, layout: Layout, layer_form: Construction | None = None) -> LoweringResult:
    """Return the result for an op without a layer. `layer_form` is a layer for it in a row of layers."""
    return LoweringResult(code, layout, layer_form=layer_form)


def collapse_equal(values: tuple[Any, ...]) -> Any:
    """Return one value if all are equal with equal expressions, else the tuple."""
    first = values[0]
    is_equal = all(v == first and expression_of(v) == expression_of(first) for v in values)
    return first if is_equal else values


def is_fixed(value: Any, constant: Any) -> bool:
    """Whether a value equals `constant` in every instance of its block.

    Writers may choose a special form only for such a value: one that depends on a parameter may differ.
    """
    return expression_of(value) is None and value == constant
