"""Discrete Fourier transforms. A complex value is two values: its real and its imaginary part."""

from __future__ import annotations

from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisNames, Choice, Integer
from specbuild.ops.base import InputSpec, Op, attribute_field, declare_attributes, register_op, require_floats
from specbuild.ops.types import ShapeError, TensorType

IMAGINARY = InputSpec("imaginary", "the imaginary part; 0 by default", optional=True)


@declare_attributes
class FourierOp(Op):
    """A transform over axes."""

    over: tuple[str, ...] = attribute_field(AxisNames(), "axes to transform")
    norm: str = attribute_field(
        Choice(("backward", "ortho", "forward")),
        "where to divide by the number n of positions: in the inverse transform, "
        "in both by the square root of n, or in the forward transform",
        "backward",
        role="detail",
    )

    def check_parts(self, real: TensorType, imaginary: TensorType | None) -> TensorType:
        """Return the type of the real part; raises ShapeError if the imaginary one differs or axes are missing."""
        require_floats(self.name, real)
        for axis in self.over:
            real[axis]
        if imaginary is not None:
            require_floats(self.name, imaginary)
            if not real.has_same_sizes(imaginary) or real.batched != imaginary.batched:
                raise ShapeError(
                    "SB401",
                    f"{self.name} needs a real and an imaginary part of the same type; got {real} and {imaginary}",
                )
        return real


@declare_attributes
class ComplexResult(FourierOp):
    """A transform with the parts `real` and `imaginary`."""

    def infer_type(self, real: TensorType, imaginary: TensorType | None = None) -> TensorType:
        return self.part_types(real, imaginary)["real"]

    def part_types(self, real: TensorType, imaginary: TensorType | None = None) -> dict[str, TensorType]:
        return dict.fromkeys(("real", "imaginary"), self.check_parts(real, imaginary))


@register_op("fourier")
class Fft(ComplexResult):
    """The discrete Fourier transform over axes, of a real or complex value: `y.real`, `y.imaginary`.

    Position k is the sum over j of x[j] * exp(-2 pi i j k / n). Half precision is computed in single precision.
    """

    input_specs = (InputSpec("x", "the value, or its real part"), IMAGINARY)


@register_op("fourier")
class Ifft(ComplexResult):
    """The inverse of `fft`: `x.real`, `x.imaginary`."""

    input_specs = (InputSpec("real", "the real part"), IMAGINARY)


@register_op("fourier")
class Rfft(ComplexResult):
    """The first half of `fft` of a real value: the last axis of `over` keeps n // 2 + 1 positions (arXiv 2107.00645).

    The others would be the complex conjugates of these.
    """

    def part_types(self, real: TensorType, imaginary: TensorType | None = None) -> dict[str, TensorType]:
        last = self.over[-1]
        self.check_parts(real, None)
        half = real.with_sizes({last: symbolic_formula("size // 2 + 1", size=real[last])})
        return dict.fromkeys(("real", "imaginary"), half)


@register_op("fourier")
class Irfft(FourierOp):
    """The inverse of `rfft`: a real value. The last axis of `over` gets `size` positions, 2 * n - 2 by default.

    After `rfft` of an odd number of positions, write their number as `size`.
    """

    input_specs = (
        InputSpec("real", "the real part"),
        InputSpec("imaginary", "the imaginary part"),
    )
    size: int | None = attribute_field(Integer(1), "size of the last axis in the result", None, role="output")

    def infer_type(self, real: TensorType, imaginary: TensorType) -> TensorType:
        last = self.over[-1]
        x = self.check_parts(real, imaginary)
        size = self.output_size(x)
        if concrete(size) // 2 + 1 != concrete(x[last]):
            half = concrete(x[last])
            fitting = f"{2 * half - 2} or {2 * half - 1}" if half > 1 else "1"
            raise ShapeError(
                "SB401",
                f"axis {last} has {half} positions, which are not half of {concrete(size)}",
                f"`size` is {fitting}",
            )
        return x.with_sizes({last: size})

    def output_size(self, x: TensorType) -> int:
        """Return the size of the last axis in the result."""
        if self.size is not None:
            return self.size
        size: int = symbolic_formula("2 * half - 2", half=x[self.over[-1]])
        return size
