"""Which ops a framework computes with constants of float32, whatever the type of the numbers."""

from __future__ import annotations

from specbuild.ops import activation, attention
from specbuild.ops.base import Op

# op: what is rounded. Measured in float64: everything else agrees to 1e-9 and better.
ROUNDED: dict[type[Op], str] = {
    activation.Gelu: "TensorFlow holds the constants of GELU in float32",
    activation.LeakyRelu: "TensorFlow holds the slope of leaky ReLU in float32",
    activation.HardSigmoid: "PyTorch holds the sixth in the gradient of hard sigmoid in float32",
    activation.Celu: "PyTorch holds 1 / alpha in the gradient of CELU in float32",
    attention.Attention: "Keras holds the scale of attention in float32",
}
