"""Values that need no input: learned tensors and computed tables."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.axes import Tensor
from specbuild.ops.base import Op, attr, op
from specbuild.ops.base import Weight as Held
from specbuild.ops.kinds import Fixed, Flag, Init, InitKind, Integer


@op("weight")
class Weight(Op):
    """A tensor by itself, learned unless said otherwise: a class token, a position table, a layer scale."""

    takes = ()
    light = True
    axes: Mapping[str, int] = attr(Fixed(Integer(1), empty=True), "its axes and sizes; {} for a single number")
    init: Init = attr(InitKind(), "how it begins", Init("zeros"))
    trained: bool = attr(Flag(), "whether it is learned", True)

    def infer(self) -> Tensor:
        return Tensor(self.axes, batched=False)

    def weights(self) -> dict[str, Held]:
        return {"value": Held(self.axes, self.trained)}
