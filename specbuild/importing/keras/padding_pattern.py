"""Zeros added on both sides before a convolution without padding become the padding of the convolution."""

from __future__ import annotations

from specbuild.importing.named_values import Instance, Step, ValueSource


def unite_padding(instance: Instance) -> None:
    for step in list(instance.steps):
        if step.op != "conv" or step.attributes.get("padding") != 0 or len(step.sources) != 1:
            continue
        pad = step.sources[0].step
        if not isinstance(pad, Step) or pad.op != "pad" or count_step_reads(instance, pad) != 1:
            continue
        amounts = list(pad.attributes["padding"].values())
        amount = amounts[0]
        if not isinstance(amount, int) or any(n != amount for n in amounts) or not is_whole(pad, step):
            continue
        step.sources = list(pad.sources)
        instance.steps.remove(pad)
        kernel, dilation = step.attributes["kernel"], step.attributes.get("dilation", 1)
        if isinstance(kernel, int) and isinstance(dilation, int) and 2 * amount == dilation * (kernel - 1):
            del step.attributes["padding"]  # half of the kernel, as by default
        else:
            step.attributes["padding"] = amount


def is_whole(pad: Step, conv: Step) -> bool:
    """Return whether all axes of the window get zeros."""
    over = conv.attributes.get("over") or [axis for axis in ("D", "H", "W") if axis in conv.axes]
    return set(pad.attributes["padding"]) == set(over)


def count_step_reads(instance: Instance, step: Step) -> int:
    sources: list[ValueSource] = [*(s for other in instance.steps for s in other.sources), *instance.outputs]
    return sum(source.step is step for source in sources)
