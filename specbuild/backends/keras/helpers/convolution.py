"""Convolutions that Keras lacks: helpers copied into an emitted file that uses them."""

from keras import ops


def conv_by_place(x, kernel, strides, dilation_rate, groups=1):
    """Convolution as a sum of products, one for each place of the kernel, whose axes are places, inputs, outputs.

    The kernel may have a batch: then each sample has its own.
    """
    lead = len(kernel.shape) - len(strides) - 2
    places = [()]
    for size in kernel.shape[lead:-2]:
        places = [(*place, n) for place in places for n in range(size)]
    total = 0
    for place in places:
        window = [slice(None)]
        for axis, n in enumerate(place):
            dilation, size = dilation_rate[axis], kernel.shape[lead + axis]
            last = (n - size + 1) * dilation or None
            window.append(slice(n * dilation, last, strides[axis]))
        part = x[tuple(window)]
        tap = kernel[(slice(None),) * lead + place]
        part = ops.reshape(part, (-1, *ops.shape(part)[1:-1], groups, tap.shape[-2]))
        tap = ops.reshape(
            tap, ([-1] * lead + [tap.shape[-2], groups, tap.shape[-1] // groups])
        )
        each = "b" if lead else ""
        total = total + ops.einsum(f"b...gi,{each}igo->b...go", part, tap)
    return ops.reshape(total, (-1, *ops.shape(total)[1:-2], kernel.shape[-1]))
