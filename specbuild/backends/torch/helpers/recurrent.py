"""Recurrent layers with padding and states: helpers copied into an emitted file that uses them."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def run_recurrent(
    layer: nn.RNNBase,
    x: torch.Tensor,
    *initial: torch.Tensor,
    lengths: torch.Tensor | None = None,
) -> tuple[torch.Tensor, ...]:
    """Run a recurrent layer: the outputs of all steps, then the last states, (batch, features).

    With `lengths`, the steps after them keep the state, and their outputs are 0.
    """
    directions = 2 if layer.bidirectional else 1
    states: tuple[torch.Tensor, ...] = tuple(
        s.unflatten(1, (directions, -1)).transpose(0, 1).contiguous() for s in initial
    )
    given = (states if isinstance(layer, nn.LSTM) else states[0]) if states else None
    if lengths is None:
        outputs, last = layer(x, given)
    else:
        counts = lengths.clamp(1, x.shape[1]).to("cpu", torch.int64)
        packed = pack_padded_sequence(x, counts, batch_first=True, enforce_sorted=False)
        outputs, last = layer(packed, given)
        outputs, _ = pad_packed_sequence(
            outputs, batch_first=True, total_length=x.shape[1]
        )
    last = last if isinstance(last, tuple) else (last,)
    if lengths is not None:  # a packed sequence has at least one step
        is_empty = (lengths < 1)[:, None]
        outputs = outputs.masked_fill(is_empty[..., None], 0)
        states = states or tuple(map(torch.zeros_like, last))
        last = tuple(torch.where(is_empty, s, new) for s, new in zip(states, last))
    return outputs, *(s.transpose(0, 1).flatten(1) for s in last)


def run_masked(
    layer: nn.RNNBase, x: torch.Tensor, mask: torch.Tensor, *initial: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Like `run_recurrent`, over the steps that the mask selects."""
    order = mask.byte().argsort(dim=1, descending=True, stable=True)
    selected_first = x.take_along_dim(order[..., None], dim=1)
    outputs, *last = run_recurrent(layer, selected_first, *initial, lengths=mask.sum(1))
    return outputs.take_along_dim(order.argsort(dim=1)[..., None], dim=1), *last
