"""A loop over the positions of a sequence: a helper copied into an emitted file that uses it."""

from keras import ops


def scan(cell, inputs, over, state, reverse=False):
    """Call `cell` for one position of axis 1 after another; their number is that of the model's input.

    It gets one position of the inputs with the numbers in `over`. At the next position, the input `i` is the
    result `state[i]`. Returns the last of these results, and all others stacked along axis 1.
    """
    given, rounds = list(inputs), []
    count = inputs[over[0]].shape[1]
    if count is None:
        raise ValueError(
            "scan needs the number of positions in the shape of the model's input"
        )
    for t in reversed(range(count)) if reverse else range(count):
        for i in over:
            given[i] = inputs[i][:, t]
        results = cell(*given)
        results = results if isinstance(results, (tuple, list)) else (results,)
        for i, k in state.items():
            given[i] = results[k]
        rounds.append(results)
    last, kept = rounds[-1], state.values()
    rounds = rounds[::-1] if reverse else rounds
    return tuple(
        last[k] if k in kept else ops.stack([r[k] for r in rounds], axis=1)
        for k in range(len(last))
    )
