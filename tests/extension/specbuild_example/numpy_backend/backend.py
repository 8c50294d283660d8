"""The NumPy backend: layouts, the emitted file, and the writers of a few ops."""

from __future__ import annotations

from specbuild_example.numpy_backend.weight_files import WEIGHT_FILES

from specbuild.backends.align import align_operands
from specbuild.backends.arithmetic import ARITHMETIC_WRITERS
from specbuild.backends.base import Backend, inline_result, layer_result
from specbuild.backends.docstrings import class_docstring
from specbuild.backends.module_parts import (
    assemble_module,
    condition_code,
    constructor_parameters,
    emit_construction,
    flag_conditions,
    guard_statements,
    input_parameters,
)
from specbuild.backends.signatures import Signature
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import Construction
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep, LoweringResult, Storage, UnsupportedOp
from specbuild.codegen.operands import Operand
from specbuild.codegen.parameter_reads import call_parameters
from specbuild.codegen.statements import StatementWriter
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    Conditional,
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
from specbuild.runtimes.runtime import Runtime

IMPORTS = {"math": "import math", "np": "import numpy as np"}


class NumpyBackend(Backend):
    name = "numpy"
    title = "NumPy"
    modules = frozenset({"numpy"})
    has_rows = False
    reserved = ReservedNames(emitted=frozenset({"np"}))
    weight_files = WEIGHT_FILES
    runtimes = (
        Runtime(
            name="numpy",
            title="NumPy",
            modules=("numpy",),
            worker="specbuild_example.numpy_backend.parity_worker:open_parity_worker",
            modes=("forward",),
            dtypes=("float64", "float32"),
        ),
    )

    def natural_order(self, x: TensorType) -> tuple[str, ...]:
        return tuple(x.axes)

    def emit_transpose(self, value: Expr, order: tuple[int, ...]) -> Expr:
        return Call(Attribute(value, "transpose"), tuple(map(Literal, order)))

    def emit_reshape(self, value: Expr, shape: tuple[Expr, ...]) -> Expr:
        return Call(Attribute(value, "reshape"), shape)

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
    body: list[Statement] = guard_statements(class_spec)
    body += [Assign(name, expr) for name, expr in class_spec.derived.items()]
    body += guard_statements(class_spec, derived=True)
    body += [
        Assign(f"self.{class_spec.attribute_of(name)}", Name(name)) for name in call_parameters(class_spec)
    ]
    for step in class_spec.steps:
        if isinstance(step.member, Construction):
            body.append(Assign(layer_reference(step).text, emit_layer(step, class_spec)))
    body += [Assign(f"self.{name}", condition) for name, condition in flag_conditions(class_spec).items()]
    parameters = (Parameter("self"), *constructor_parameters(class_spec))
    return Function("__init__", parameters, None, "", tuple(body))


def emit_layer(step: LoweredStep, class_spec: ClassSpec) -> Expr:
    """Return the code of a layer; instances that leave out the step have another value in its place."""
    assert isinstance(step.member, Construction)
    layer = emit_construction(step.member)
    if step.key not in class_spec.flags:
        return layer
    other = Call(Name("Identity")) if step.can_be_identity else Literal(None)
    return Conditional(class_spec.flags[step.key], layer, other)


def build_call(class_spec: ClassSpec) -> Function:
    writer = StatementWriter(
        class_spec,
        layer_reference,
        lambda step: condition_code(step, class_spec, "self"),
        owner="self",
    )
    outputs = writer.write_statements()
    result = outputs[0] if len(outputs) == 1 else TupleOf(tuple(outputs))
    body = (*writer.statements, Return(result))
    parameters = (Parameter("self"), *input_parameters(class_spec))
    return Function("__call__", parameters, None, "", body)


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
