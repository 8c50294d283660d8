"""The NumPy backend: layouts, the emitted file, and the writers of a few ops."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.backends.align import align_operands
from specbuild.backends.arithmetic import ARITHMETIC_WRITERS
from specbuild.backends.base import Backend, inline_result, layer_result
from specbuild.backends.module_parts import (
    assemble_module,
    class_docstring,
    constructor_parameters,
    emit_construction,
    flag_conditions,
    flag_name,
)
from specbuild.backends.signatures import Signature
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import Construction
from specbuild.codegen.layout import Layout, layout_permutation
from specbuild.codegen.lowering import (
    LoweredBlock,
    LoweredStep,
    LoweringResult,
    Operand,
    Storage,
    UnsupportedOp,
)
from specbuild.codegen.statements import StatementWriter, call_parameters
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    Expr,
    Function,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    TupleOf,
)
from specbuild.frontend.names import ReservedNames
from specbuild.ops.activation import Relu, Tanh
from specbuild.ops.base import Op
from specbuild.ops.convolution import Linear
from specbuild.ops.merge import Concat
from specbuild.ops.types import TensorType

IMPORTS = {"math": "import math", "np": "import numpy as np"}


class NumpyBackend(Backend):
    name = "numpy"
    title = "NumPy"
    modules = frozenset({"numpy"})
    reserved = ReservedNames(emitted=frozenset({"np"}))

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        return tuple(x.axes)

    def convert_layout(
        self,
        value: Expr,
        type_: TensorType,
        source: Layout,
        target: Layout,
        known_sizes: Mapping[str, Expr],
    ) -> Expr:
        if source.folded or target.folded:
            raise UnsupportedOp("it folds no axes into the batch")
        order = layout_permutation(source, target)
        if order == tuple(range(len(order))):
            return value
        return Call(Attribute(value, "transpose"), tuple(map(Literal, order)))

    def layer_path(self, lowered: LoweredBlock, node: str) -> str:
        return node.replace(".", "_")

    def module_file(self, class_specs: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
        classes = tuple(build_class(c, is_model=c is class_specs[-1]) for c in class_specs)
        return assemble_module(classes, self.helper_sources(), IMPORTS, doc, header)


def build_class(class_spec: ClassSpec, is_model: bool) -> Class:
    """Return a class that creates its layers, and computes its outputs when it is called."""
    body = (build_init(class_spec), Blank(), build_call(class_spec))
    return Class(class_spec.name, (), class_docstring(class_spec, is_model), body)


def build_init(class_spec: ClassSpec) -> Function:
    body: list[Statement] = [Assign(name, expr) for name, expr in class_spec.derived.items()]
    body += [Assign(f"self.{name}", Name(name)) for name in call_parameters(class_spec)]
    for step in class_spec.steps:
        if isinstance(step.member, Construction):
            body.append(Assign(layer_reference(step).text, emit_construction(step.member)))
    body += [Assign(f"self.{name}", condition) for name, condition in flag_conditions(class_spec).items()]
    parameters = (Parameter("self"), *constructor_parameters(class_spec))
    return Function("__init__", parameters, None, "", tuple(body))


def build_call(class_spec: ClassSpec) -> Function:
    writer = StatementWriter(
        class_spec,
        layer_reference,
        lambda step: Name(f"self.{flag_name(step, class_spec)}"),
        owner="self",
    )
    outputs = writer.write_statements()
    result = outputs[0] if len(outputs) == 1 else TupleOf(tuple(outputs))
    inputs = (Parameter(name) for name in class_spec.first_instance.inputs)
    body = (*writer.statements, Return(result))
    return Function("__call__", (Parameter("self"), *inputs), None, "", body)


def layer_reference(step: LoweredStep) -> Name:
    return Name(f"self.{step.layer_name.replace('.', '_')}")


backend = NumpyBackend()

LINEAR = Signature("Linear(in_features, out_features, bias=True)")
FUNCTIONS: dict[type[Op], Signature] = {Relu: Signature("np.maximum(x1, x2)"), Tanh: Signature("np.tanh(x)")}


@backend.emits(Linear)
def emit_linear(op: Linear, x: Operand, out: TensorType) -> LoweringResult:
    x = x.to_order(*(a for a in x.order if a != op.over), op.over)
    layer = LINEAR.construct(x[op.over], op.features, bias=op.bias)
    weights = {"kernel": Storage("weight")} | ({"bias": Storage("bias")} if op.bias else {})
    return layer_result(layer, x, weights=weights)


@backend.emits(Relu)
def emit_relu(op: Relu, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(FUNCTIONS[Relu](x.expr, 0), x.layout)


@backend.emits(Tanh)
def emit_tanh(op: Tanh, x: Operand, out: TensorType) -> LoweringResult:
    return inline_result(FUNCTIONS[Tanh](x.expr), x.layout)


@backend.emits(*ARITHMETIC_WRITERS)
def emit_arithmetic(op: Op, *xs: Operand | None, out: TensorType) -> LoweringResult:
    sides, layout = align_operands([x for x in xs if x is not None], backend, out)
    return inline_result(ARITHMETIC_WRITERS[type(op)](op, *sides), layout)


@backend.emits(Concat)
def emit_concat(op: Concat, *xs: Operand, out: TensorType) -> LoweringResult:
    if not all(x.layout.batched for x in xs):
        raise UnsupportedOp("it joins only values with a batch")
    order = xs[0].order
    layout = Layout(order)
    parts = ListOf(tuple(x.to_order(*order).expr for x in xs))
    axis = (("axis", Literal(layout.dim(op.over))),)
    return inline_result(Call(Name("np.concatenate"), (parts,), axis), layout)
