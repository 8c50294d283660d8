"""The backend interface: tensor layouts, the writer of each op, and the emitted file."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from specbuild.backends.file_kind import FileKind
from specbuild.backends.float32_constants import Float32Constant
from specbuild.backends.layout_conversion import emit_conversion
from specbuild.backends.loader_rules import LoadRule
from specbuild.backends.packaging import Packaging
from specbuild.backends.parameter_groups import ModelPart, TrainableTensor
from specbuild.backends.wrapper_names import WrapperNames
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import OWN_MEMBER, Construction
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweredBlock, LoweringResult, Storage, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Index, Literal, Module, SliceExpr
from specbuild.diagnostics.errors import SpecError
from specbuild.expressions import expression_of
from specbuild.expressions.python_ast import parse_python
from specbuild.frontend.names import ReservedNames
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType
from specbuild.runtimes.live_model import missing_package
from specbuild.runtimes.runtime import Runtime

Writer = Callable[..., LoweringResult]


class Backend:
    """A framework: the order of tensor axes, the code for each op, and the format of the emitted file.

    Required: `name`, `title`, `natural_order`, `emit_transpose`, `emit_reshape`, `module_file`, and a writer for
    each op that the backend can express. All other members are optional. A command that needs a missing one fails with SB605.
    """

    name: str  # on the command line: "torch"
    title: str  # in messages, reports and packages: "PyTorch"
    extra: str = ""  # the pip extra that installs the framework; "" if there is none
    modules: frozenset[str] = frozenset()  # that emitted files may import, besides a few standard ones
    distributions: Mapping[str, tuple[str, ...]] = {}  # other names under which a module is distributed
    engine_hint: str = ""  # how to install a module of `runtimes` that is not one of `modules`
    loader_imports: frozenset[str] = frozenset()  # that a weights loader may import too: full paths
    # Parts of `modules` that an emitted file must not use: they reach files, processes or other code.
    forbidden_paths: frozenset[str] = frozenset()  # full paths
    forbidden_names: frozenset[str] = frozenset()  # at any place in a path; more are forbidden in every file
    import_calls: frozenset[str] = frozenset()  # decorators that an emitted file may call when it is imported
    # Whether a layer must be called on a value: a block without inputs gets one that it does not read.
    calls_need_input: bool = False
    # Whether the code of a model, not only that of blocks, reads sizes when it runs.
    models_read_sizes: bool = True
    scans_free_sizes: bool = True  # whether the axis of a scan can have any size
    needs_loader: bool = True  # whether a file needs code to load what `specbuild weights` writes
    # Whether `repeat` and `do` become rows of layers (LayerRow, such as nn.Sequential); if not, every layer is an
    # attribute, and the file is longer.
    has_rows: bool = True
    rows_need_batch: bool = False  # whether a row of layers, once called, takes no value of another rank
    # the layer in a row for a block that is `none`; without one, such a group is no row
    identity_layer: str | None = None
    # The helper that applies a block to one position after another: scan(cell, inputs, over, state, reverse=False).
    scan_function: str = ""  # "": SB601
    reserved: ReservedNames = ReservedNames()  # names that a spec cannot use
    path_separator: str = "."  # between the parts of a weight's path
    weight_files: tuple[FileKind, ...] = ()  # that the framework writes
    wrapper_names: WrapperNames = WrapperNames()  # what wrappers add to the names in weight files
    safetensors_format: str = "np"  # what a safetensors file of the framework's tensors says about its origin
    runtimes: tuple[Runtime, ...] = ()  # that `specbuild parity` can compare; (): SB605
    float32_constants: Mapping[type[Op], Float32Constant] = {}  # of ops that are not all float64 in float64
    has_unbiased_variance: bool = False  # whether running variances are updated with squares / (n - 1)
    packaging: Packaging | None = None  # for `compile --layout package`; None: SB605

    def __init__(self) -> None:
        self.writers: dict[type[Op], Writer] = {}
        self.refusals: dict[type[Op], str] = {}
        self.extra_helpers: dict[str, str] = {}

    def emits(self, *ops: type[Op]) -> Callable[[Writer], Writer]:
        """Decorator: register a function as the writer of these ops.

        The function gets the op, its operands (None for an optional one that is left out), and the type of the
        result as `out`. Raises ValueError if an
        op has a writer from another module: an extension cannot change the code of the ops that others use.
        """

        def register(function: Writer) -> Writer:
            for op in ops:
                other = self.writers.setdefault(op, function)
                if module_of(other) != module_of(function):
                    raise ValueError(f"{module_of(other)} already writes {op.name!r} for {self.name}")
                self.writers[op] = function
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

    def fixed_attributes(self, op: Op) -> tuple[str, ...]:
        """Return the names of the attributes that this backend needs as numbers, not computed from a size that can be any."""
        return ()

    def convert_layout(
        self,
        value: Expr,
        type_: TensorType,
        source: Layout,
        target: Layout,
        known_sizes: Mapping[str, Expr],
    ) -> Expr:
        """Return code that brings a value from one layout to another.

        By default, it is made of `emit_transpose` and `emit_reshape`. `known_sizes` has code for the sizes of
        folded axes that can be read from another value.
        """
        return emit_conversion(
            value, type_, (source, target), known_sizes, self.emit_transpose, self.emit_reshape
        )

    def emit_transpose(self, value: Expr, order: tuple[int, ...]) -> Expr:
        """Return code for the value with its dimensions in this order; the batch counts as one."""
        raise NotImplementedError

    def emit_reshape(self, value: Expr, shape: tuple[Expr, ...]) -> Expr:
        """Return code for the value with this shape; -1 stands for the batch."""
        raise NotImplementedError

    def add_batch(self, value: Expr, layout: Layout, like: Expr | None) -> Expr:
        """Return code that repeats a value for each sample of `like`, or that makes it a batch of one sample.

        Raises SpecError SB605 if the backend cannot repeat values.
        """
        if like is not None:
            raise self.missing_part("values that are repeated for each sample")
        return Index(value, (Literal(None), *([SliceExpr()] if layout.order else [])))

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
        """Return the file with a function `load_weights(model, path)` for safetensors files of canonical weights.

        `rules` says how each tensor is loaded, by its path; there may be functions that save, too. What the functions
        import is in `loader_imports`. Raises SpecError SB605 if there is no loader.
        """
        raise self.missing_part("a weights loader")

    def add_parameter_groups(
        self, module: Module, parts: Sequence[ModelPart], tensors: Sequence[TrainableTensor]
    ) -> Module:
        """Return the file with a function that groups the parameters for an optimizer.

        `parts` are the steps with weights, and how many layers follow each; `tensors` are the trained ones.
        Raises SpecError SB605 if the backend has no such function.
        """
        raise self.missing_part("parameter groups")

    def constructor_arguments(self) -> Mapping[str, Any]:
        """Return what `Model.build` passes to the constructor besides parameters of the spec, such as random keys.

        Only `Model.build` calls it, in the process that uses the framework.
        """
        return {}

    def load_tables(self, model: Any, tensors: Mapping[str, Any]) -> None:
        """Give a live model the tables whose numbers come with the weights, as arrays by path.

        Only `Model.build` calls it, in the process that uses the framework. Raises SpecError SB605 if the backend has
        no such tables.
        """
        raise self.missing_part("tables of more than 1,024 given numbers")

    def missing_part(self, what: str) -> SpecError:
        """Return the error SB605: the backend does not have a part that a command needs."""
        return SpecError("SB605", f"the backend {self.name!r} does not have {what}")

    def missing_package(self, module: str) -> SpecError:
        """Return the error SB603: a module that the backend needs is not installed."""
        is_engine = module not in self.modules and any(module in x.modules for x in self.runtimes)
        hint = f"pip install {module}"
        if is_engine and self.engine_hint:
            hint = self.engine_hint
        elif self.extra:
            hint = f"in a checkout of specbuild: pip install '.[{self.extra}]'"
        return missing_package(self.name, module, hint)

    @cached_property
    def size_readers(self) -> frozenset[str]:
        """The functions among the helpers that read sizes of their arguments, themselves or by another one."""
        sources = {name: x for name, x in self.helper_sources().items() if not name[0].isupper()}
        found = {name for name, source in sources.items() if re.search(r"\bshape[\[(]", source)}
        while more := {
            name
            for name, source in sources.items()
            if name not in found and found & set(re.findall(r"\w+(?=[(])", source))
        }:
            found |= more
        return frozenset(found)

    def helper_sources(self) -> dict[str, str]:
        """Return the source of each helper class and function that a file may contain, by name.

        They are in the folder `helpers` beside the module of the backend's class, and in `shared_helpers`. A file gets
        those it uses.
        """
        own_file = sys.modules[type(self).__module__].__file__
        assert own_file is not None
        folders = (Path(__file__).with_name("shared_helpers"), Path(own_file).with_name("helpers"))
        sources: dict[str, str] = {}
        for file in (file for folder in folders for file in sorted(folder.glob("[a-z]*.py"))):
            sources |= split_definitions(file.read_text(encoding="utf-8"))
        return sources | self.extra_helpers

    def add_helpers(self, source: str) -> None:
        """Add the classes and functions of a Python source to the helpers, for the ops of an extension.

        Raises ValueError if there is another helper of the same name.
        """
        helpers = self.helper_sources()
        for name, definition in split_definitions(source).items():
            if helpers.get(name, definition) != definition:
                raise ValueError(f"{self.name} already has a helper {name!r}")
            self.extra_helpers[name] = definition
        self.__dict__.pop("size_readers", None)


def module_of(writer: Writer) -> str:
    return getattr(writer, "__module__", type(writer).__module__)


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
    layout = x.layout if order is None else Layout(order, x.layout.batch_axes, x.layout.batched)
    return LoweringResult(Call(OWN_MEMBER, (x.expr,)), layout, layer, **more)


def inline_result(code: Expr, layout: Layout, layer_form: Construction | None = None) -> LoweringResult:
    """Return the result for an op without a layer. `layer_form` is a layer for it in a row of layers."""
    return LoweringResult(code, layout, layer_form=layer_form)


def collapse_equal(values: tuple[Any, ...]) -> Any:
    """Return one value if all are equal with equal expressions, else the tuple."""
    first = values[0]
    is_equal = all(v == first and expression_of(v) == expression_of(first) for v in values)
    return first if is_equal else values


def is_fixed(value: Any, constant: Any) -> bool:
    """Return whether a value equals `constant` in every instance of its block.

    Writers may choose a special form only for such a value: one that depends on a parameter may differ.
    """
    return expression_of(value) is None and value == constant
