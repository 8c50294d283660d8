"""Steps that compute a linear function of their input and add a bias, and how others are folded into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from specbuild.expressions import concrete
from specbuild.ops.base import Op
from specbuild.ops.convolution import BIAS, KERNEL, Conv, ConvTranspose, Linear
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.transform.formulas import Affine, FindWeight, Formula, relocate_formula
from specbuild.transform.kernel_arithmetic import (
    respond_to_shift,
    scale_inputs,
    scale_outputs,
    scale_transposed_outputs,
)

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

LinearOp: TypeAlias = Conv | ConvTranspose | Linear
T = TypeVar("T", bound=Op)


def change_attributes(op: T, **values: Any) -> T:
    """Return an op with other values of some attributes."""
    return type(op)(**{**vars(op), **values})


class LinearStep(Struct, frozen=True):
    """A linear op, with the formulas of its kernel and its bias."""

    op: LinearOp
    kernel: Formula
    bias: Formula | None

    @property
    def output_axis(self) -> str:
        """The axis along which each position has its own outputs."""
        return self.op.over if isinstance(self.op, Linear) else CHANNEL

    @property
    def groups(self) -> int:
        return 1 if isinstance(self.op, Linear) else concrete(self.op.groups)

    @property
    def output_count(self) -> int:
        return concrete(self.op.features if isinstance(self.op, Linear) else self.op.channels)

    @property
    def weights(self) -> dict[str, Formula]:
        return {KERNEL: self.kernel} | ({} if self.bias is None else {BIAS: self.bias})

    def relocate_step(self, step: str) -> LinearStep:
        """Return the same for the block around it, which contains it in this step."""
        bias = None if self.bias is None else relocate_formula(self.bias, step)
        return LinearStep(self.op, relocate_formula(self.kernel, step), bias)

    def with_bias(self, kernel: Formula, bias: Formula | None) -> LinearStep:
        """Return it with these weights."""
        has_bias = bias is not None
        op = self.op if bool(self.op.bias) == has_bias else change_attributes(self.op, bias=has_bias)
        return replace(self, op=op, kernel=kernel, bias=bias)

    def fold_after(self, affine: Affine) -> LinearStep:
        """Return the step that does this one and then the other."""
        kernel, bias, groups = self.kernel, self.bias, self.groups
        factor, shift = (f and spread_formula(f, self.output_count) for f in (affine.factor, affine.shift))
        is_transposed = isinstance(self.op, ConvTranspose)

        def scale_kernel(find: FindWeight) -> Array:
            old = kernel(find)
            if factor is None:
                return old
            if is_transposed:
                return scale_transposed_outputs(old, factor(find), groups)
            return scale_outputs(old, factor(find))

        def move_bias(find: FindWeight) -> Array:
            parts = [] if bias is None else [bias(find) * (1.0 if factor is None else factor(find))]
            parts += [] if shift is None else [shift(find)]
            return sum(parts[1:], parts[0])

        return self.with_bias(scale_kernel, None if bias is None and shift is None else move_bias)

    def fold_before(self, affine: Affine) -> LinearStep:
        """Return the step that does the other one and then this one, which must not pad with zeros."""
        kernel, bias, groups = self.kernel, self.bias, self.groups
        factor, shift = affine.factor, affine.shift
        assert factor is not None and shift is not None and not isinstance(self.op, ConvTranspose)

        def scale_kernel(find: FindWeight) -> Array:
            return scale_inputs(kernel(find), factor(find), groups)

        def move_bias(find: FindWeight) -> Array:
            response = respond_to_shift(kernel(find), shift(find), groups)
            return response if bias is None else response + bias(find)

        return self.with_bias(scale_kernel, move_bias)

    def pads_with_zeros(self, x: TensorType) -> bool:
        """Return whether windows at the border of this input see zeros."""
        if isinstance(self.op, Linear):
            return False
        if isinstance(self.op, ConvTranspose):
            return True
        pads = self.op.sliding_window(x).pads
        return self.op.padding_mode == "zeros" and (pads is None or any(concrete(n) for p in pads for n in p))


def spread_formula(formula: Formula, count: int) -> Formula:
    """Return a formula whose single number, if it has one, stands for all channels."""

    def spread_number(find: FindWeight) -> Array:
        value = formula(find)
        return value.repeat(count) if value.size == 1 else value

    return spread_number
