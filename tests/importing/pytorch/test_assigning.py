"""Assignments to parts of fresh tensors, as people write them: what comes out is joined, padded, or interleaved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from specbuild.diagnostics.errors import SpecError
from specbuild.runtimes.worker_jobs import RefusedJob
from tests.importing.compared import import_live, largest_difference

Function = Callable[["Assigning", Tensor], Tensor]


class Assigning(nn.Module):
    """Two layers, and a function that puts what they give in its places."""

    def __init__(self, function: Function):
        super().__init__()
        self.function = function
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)
        self.cell, self.token = nn.GRUCell(4, 4), nn.Parameter(torch.zeros(1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def join_halves(net: Assigning, x: Tensor) -> Tensor:
    out = x.new_zeros(x.size(0), x.size(1), 6)
    out[..., :4] = net.a(x)
    out[..., 4:] = net.b(x)
    return out


def surround(net: Assigning, x: Tensor) -> Tensor:
    out = torch.zeros(x.size(0), x.size(1) + 1, 7, dtype=x.dtype)
    out[:, :-1, 1:5] = net.a(x)
    return out.relu()


def surround_by_ones(net: Assigning, x: Tensor) -> Tensor:
    out = torch.ones(x.size(0), x.size(1), 8, dtype=x.dtype)
    out[..., 1:5] = net.a(x)
    out[..., 6:] = net.b(x)
    return out


def interleave(net: Assigning, x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    out[..., 0::2] = net.b(x)
    out[..., 1::2] = net.a(x)[..., 2:]
    return out


def upsample(net: Assigning, x: Tensor) -> Tensor:
    y = net.a(x)
    out = torch.zeros(x.size(0), 2 * x.size(1), 2 * y.size(2), dtype=x.dtype)
    out[:, ::2, 1::2] = y
    return out


def unroll(net: Assigning, x: Tensor) -> Tensor:
    state = x.new_zeros(x.size(0), 4)
    out = x.new_zeros(x.size(0), x.size(1) + 1, 2)
    for t in range(x.size(1)):
        state = net.cell(x[:, t], state)
        out[:, t + 1] = net.b(state)
    return out


def unroll_time_first(net: Assigning, x: Tensor) -> Tensor:
    out = x.new_empty(x.size(1), x.size(0), 2)
    for t in range(x.size(1)):
        out[t] = net.b(x[:, t])
    return out.transpose(0, 1)


def shift_channels(net: Assigning, x: Tensor) -> Tensor:
    """Some channels come from the next frame, some from the last one (arXiv 1811.08383)."""
    out = torch.zeros_like(x)
    out[:, :-1, :1] = x[:, 1:, :1]
    out[:, 1:, 1:2] = x[:, :-1, 1:2]
    out[:, :, 2:] = x[:, :, 2:]
    return net.a(out)


def overwrite(net: Assigning, x: Tensor) -> Tensor:
    """The last of several assignments stays; a number and a weight are repeated."""
    y = net.a(x)
    y[:, 1:4] = x[:, 1:4]
    y[:, 2] = 0.5
    y[:, -1:] = net.token
    return y.tanh()


def accumulate(net: Assigning, x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    out[:, :3] += net.a(x)[:, :3]
    out[:, 2:, :2] += net.b(x)[:, 2:]
    out[:, :1].copy_(x[:, 1:2])
    return out


def read_between(net: Assigning, x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    out[:, 0] = x[:, 0]
    for t in range(1, 3):
        out[:, t] = net.a(out[:, t - 1].clone())
    return out


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (join_halves, "  - concat: [a, b]\n"),
        (surround, "    as: a\n  - pad: {padding: {T: [0, 1], C: [1, 2]}}\n  - relu\n"),
        (surround_by_ones, "pad: {padding: {C: 1}, value: 1.0}"),
        (interleave, "  - stack: {of: [b, prev], axis: part}\n  - flatten: {axes: [C, part]}\n"),
        (upsample, "  - pad: {padding: {part: [0, 1]}}\n  - flatten: {axes: [T, part], into: T}\n"),
        (unroll, "prev], axis: part}\n  - pad: {padding: {part: [1, 0]}}\n"),
        (unroll_time_first, "  - stack: {of: [b, linear, linear2, linear3, prev], axis: part}\n"),
        (
            shift_channels,
            "  - pad: {padding: {T: [1, 0]}}\n    from: slice2\n  - concat: [pad, prev, slice3]\n",
        ),
        (overwrite, "over: T}\n  - tanh\n"),
        (accumulate, "  - concat: [sum, prev]\n"),
        (read_between, ""),
    ],
)
def test_assigned_parts_are_put_together(function: Function, said: str) -> None:
    model, x = Assigning(function), torch.randn(3, 5, 4)
    imported = import_live(model, {"x": x}, "Assigning", axes={"x": ("T", "C")})
    assert largest_difference(imported, model, [x]) < 1e-12, imported.text
    assert said in imported.text, imported.text
    assert imported.model.source("keras")


def leave_gap(net: Assigning, x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    out[:, 1:] = net.a(x)[:, 1:]
    return out


def assign_samples(net: Assigning, x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    out[0] = net.a(x)[1]
    return out


def assign_to_view(net: Assigning, x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    view = out[:, 1:]
    out[:, :3] = net.a(x)[:, :3]
    return view


def assign_by_mask(net: Assigning, x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    out[x > 0] = net.a(x)[x > 0]
    return out


def assign_to_input(net: Assigning, x: Tensor) -> Tensor:
    x[:, 0] = net.a(x)[:, 0]
    return x


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (leave_gap, "SB965.*torch.empty is read that was never assigned"),
        (assign_samples, "SB964"),
        (assign_to_view, "SB965"),
        (assign_by_mask, "SB96[25]"),
        (assign_to_input, "SB965"),
    ],
)
def test_what_no_pieces_can_say_is_refused(function: Function, reason: str) -> None:
    with pytest.raises((SpecError, RefusedJob), match=reason):
        import_live(Assigning(function), {"x": torch.randn(3, 5, 4)}, axes={"x": ("T", "C")})
