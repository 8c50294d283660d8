"""Recurrent layers with padding and states: helpers copied into an emitted file that uses them."""

from keras import ops


def run_recurrent(layer, x, *initial, mask=None, bidirectional=False):
    """Run a recurrent layer: the outputs of all steps, then the last states, (batch, features).

    Steps that the mask excludes keep the state, and their outputs are 0.
    """
    states = list(initial)
    if bidirectional:
        halves = [ops.split(s, 2, axis=-1) for s in states]
        states = [forward for forward, _ in halves] + [
            backward for _, backward in halves
        ]
    outputs, *last = layer(x, mask=mask, initial_state=states or None)
    if bidirectional:
        middle = len(last) // 2
        last = [
            ops.concatenate(pair, axis=-1) for pair in zip(last[:middle], last[middle:])
        ]
    if mask is not None:  # the result has no mask, which the layers after it would obey
        outputs = ops.where(mask[..., None], outputs, 0)
    return outputs, *last


def length_mask(x, lengths):
    """True at the first steps of each sample, as many as its length."""
    steps = ops.cumsum(ops.ones_like(x[..., 0], dtype="int32"), axis=1)
    return steps <= ops.cast(lengths, "int32")[:, None]
