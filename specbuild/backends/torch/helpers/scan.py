"""A loop over the positions of a sequence: a helper copied into an emitted file that uses it."""

import torch
from torch import nn


def scan(
    cell: nn.Module,
    inputs: tuple[torch.Tensor, ...],
    over: tuple[int, ...],
    state: dict[int, int],
    reverse: bool = False,
) -> tuple[torch.Tensor, ...]:
    """Call `cell` for one position of dimension 1 after another.

    It gets one position of the inputs with the numbers in `over`. At the next position, the input `i` is the
    result `state[i]`. Returns the last of these results, and all others stacked along dimension 1.
    """
    given, rounds = list(inputs), []
    positions = list(zip(*(inputs[i].unbind(1) for i in over)))
    for parts in reversed(positions) if reverse else positions:
        for i, part in zip(over, parts):
            given[i] = part
        results = cell(*given)
        results = results if isinstance(results, tuple) else (results,)
        for i, k in state.items():
            given[i] = results[k]
        rounds.append(results)
    last, kept = rounds[-1], state.values()
    rounds = rounds[::-1] if reverse else rounds
    return tuple(
        last[k] if k in kept else torch.stack([r[k] for r in rounds], 1)
        for k in range(len(last))
    )
