"""The op `gain`, with its writers for PyTorch, Keras and NumPy."""

from __future__ import annotations

from specbuild.backends import load_backend
from specbuild.backends.keras.ops.table import WEIGHT as KERAS_WEIGHT
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import (
    OWN_MEMBER,
    Construction,
    ConstructorArgument,
    Member,
    literal_expression,
)
from specbuild.codegen.lowered_steps import LoweringResult, Storage
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name
from specbuild.ops.base import Op, register_op, require_floats
from specbuild.ops.initializers import Init
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.ops.weight_spec import NEAR_ONE, WeightSpec

ONES = Init("constant", (1.0,))


@register_op("example")
class Gain(Op):
    """The input times a learned gain for each channel."""

    def infer_type(self, x: TensorType) -> TensorType:
        x[CHANNEL]
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return {"gain": WeightSpec({"O": x[CHANNEL]}, init=ONES, random=NEAR_ONE)}


def gain_result(x: Operand, member: Member) -> LoweringResult:
    """Return `x * gain` with the channels in the last dimension."""
    product = Infix("*", x.expr, OWN_MEMBER)
    return LoweringResult(product, x.layout, member, weights={"gain": Storage("")})


def move_channels_last(x: Operand) -> Operand:
    return x.to_order(*(a for a in x.order if a != CHANNEL), CHANNEL, batch_axes=x.layout.batch_axes)


@load_backend("torch").emits(Gain)
def emit_torch_gain(op: Gain, x: Operand, out: TensorType) -> LoweringResult:
    x = move_channels_last(x)
    ones: Expr = Call(Name("torch.ones"), (literal_expression(x[CHANNEL]),))
    return gain_result(x, Construction("nn.Parameter", (ConstructorArgument("data", ones),)))


@load_backend("keras").emits(Gain)
def emit_keras_gain(op: Gain, x: Operand, out: TensorType) -> LoweringResult:
    x = move_channels_last(x)
    return gain_result(x, KERAS_WEIGHT.construct(shape=(x[CHANNEL],), initializer=Literal("ones")))


NUMPY_ONES = Signature("np.ones(shape)")


@load_backend("numpy").emits(Gain)
def emit_numpy_gain(op: Gain, x: Operand, out: TensorType) -> LoweringResult:
    x = move_channels_last(x)
    return gain_result(x, NUMPY_ONES.construct(x[CHANNEL]))
