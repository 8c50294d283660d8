"""Recurrent layers with padding and states against PyTorch's own layers, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError
from tests.backends.reference import Array, computed, drawn
from tests.backends.test_op_parity import text

LENGTHS = np.array([4, 0, 6, 1], "int32")
X = drawn(4, 6, 3)
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
STATES = {"lstm": ("h", "c"), "gru": ("h",), "rnn": ("h",)}
WEIGHTS = {
    "kernel": "weight_ih_l0",
    "recurrent_kernel": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "recurrent_bias": "bias_hh_l0",
}


def drawn_weights(op: str, units: int) -> dict[str, Array]:
    rows = GATES[op] * units
    shapes = {
        "kernel": (rows, 3),
        "recurrent_kernel": (rows, units),
        "bias": (rows,),
        "recurrent_bias": (rows,),
    }
    both = {f"{way}{name}": shape for way in ("", "backward_") for name, shape in shapes.items()}
    return {name: drawn(*shape, seed=i) / 2 for i, (name, shape) in enumerate(both.items())}


def expected(
    op: str, weights: dict[str, Array], steps: list[list[int]], initial: list[Array]
) -> dict[str, Array]:
    """The outputs and last states of a bidirectional layer that sees only these steps of each sample."""
    import torch

    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[op](
        3, 2, batch_first=True, bidirectional=True
    )
    own = {
        f"{WEIGHTS[n.removeprefix('backward_')]}{'_reverse' * n.startswith('backward')}": w
        for n, w in weights.items()
    }
    layer.double().load_state_dict({name: torch.from_numpy(w) for name, w in own.items()})
    sequence, states = np.zeros((4, 6, 4)), [state.copy() for state in initial]
    for i, seen in enumerate(steps):
        if not seen:
            continue
        given: Any = tuple(torch.from_numpy(s[i].reshape(2, 1, 2)) for s in initial)
        with torch.no_grad():
            y, last = layer(torch.from_numpy(X[i : i + 1, seen]), given if op == "lstm" else given[0])
        sequence[i, seen] = y[0]
        for state, value in zip(states, last if op == "lstm" else [last], strict=True):
            state[i] = value.flatten()
    return {"sequence": sequence} | dict(zip(STATES[op], states, strict=True))


def run(op: str, weights: dict[str, Array], how: str, arrays: dict[str, Array], part: str) -> Array:
    states = [f"initial_{name}" for name in STATES[op]]
    kind = {"n": "{axes: {}, dtype: int32}", "m": "{axes: {T: 6}, dtype: bool}"}
    declared = ", ".join(f"{name}: {kind.get(name, '{C: 4}')}" for name in arrays if name != "x")
    given = ", ".join(f"{name}: {name}" for name in states if name in arrays)
    attributes = ", ".join(filter(None, ("units: 2, bidirectional: true, returns: all", how, given)))
    steps = f"- {op}: {{{attributes}}}\n  from: x\n  as: r\n- scale: {{by: 1}}\n  from: r.{part}"
    inputs = f"{{x: {{T: 6, C: 3}}, {declared}}}"
    return computed(inputs, steps, arrays, {f"r.{name}": w for name, w in weights.items()})


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("with_initial", [False, True])
def test_a_padded_sequence_is_that_of_its_length(op: str, with_initial: bool) -> None:
    """A sample without any step has zeros, and keeps its state."""
    weights = drawn_weights(op, 2)
    initial = [drawn(4, 4, seed=k) * with_initial for k in range(len(STATES[op]))]
    arrays = {"x": X, "n": LENGTHS}
    arrays |= {f"initial_{name}": s for name, s in zip(STATES[op], initial, strict=True) if with_initial}
    for part, value in expected(op, weights, [list(range(n)) for n in LENGTHS], initial).items():
        np.testing.assert_allclose(
            run(op, weights, "lengths: n", arrays, part), value, rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("op", GATES)
def test_a_mask_excludes_steps_anywhere(op: str) -> None:
    weights = drawn_weights(op, 2)
    mask = np.array([[1, 0, 1, 1, 0, 1], [0] * 6, [1] * 6, [0, 0, 0, 1, 1, 0]], bool)
    initial = [np.zeros((4, 4)) for _ in STATES[op]]
    steps = [[int(t) for t in np.flatnonzero(row)] for row in mask]
    for part, value in expected(op, weights, steps, initial).items():
        found = run(op, weights, "mask: m", {"x": X, "m": mask}, part)
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-14)


def test_a_packed_sequence_gives_the_same_gradients() -> None:
    """The emitted layer with `lengths` against `pack_padded_sequence`."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from specbuild.compiler.pipeline import compile_source

    steps = "- lstm: {units: 2, bidirectional: true, lengths: n}\n  as: r"
    model = build_graph(text("{x: {T: 6, C: 3}, n: {axes: {}, dtype: int32}}", steps))
    scope: dict[str, Any] = {}
    exec(compile_source(model, "torch"), scope)
    net = scope["Net"]().double()
    x, n = torch.from_numpy(X[[0, 2, 3]]), torch.tensor([4, 6, 1])
    net(x, n).square().sum().backward()
    found = {name: p.grad.clone() for name, p in net.r.named_parameters()}
    net.zero_grad()
    packed = net.r(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[0]
    pad_packed_sequence(packed, batch_first=True)[0].square().sum().backward()
    for name, p in net.r.named_parameters():
        torch.testing.assert_close(found[name], p.grad)


@pytest.mark.parametrize(
    ("inputs", "step", "message"),
    [
        ("n: {T: 6}", "lstm: {units: 2, lengths: n}", "lstm needs integers; got {T: 6}"),
        (
            "n: {axes: {T: 6}, dtype: int32}",
            "lstm: {units: 2, lengths: n}",
            "lengths has one number for each sample; got {T: 6} int32",
        ),
        (
            "n: {axes: {T: 5}, dtype: bool}",
            "gru: {units: 2, mask: n}",
            "mask needs the axes {T: 6}; got {T: 5} bool",
        ),
        ("n: {C: 2}", "lstm: {units: 2, initial_h: n}", "lstm also needs `initial_c`"),
        (
            "n: {C: 2}",
            "gru: {units: 2, bidirectional: true, initial_h: n}",
            "initial_h needs the axes of the state, {C: 4}; got {C: 2}",
        ),
    ],
)
def test_what_does_not_fit_is_told(inputs: str, step: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(text(f"{{x: {{T: 6, C: 3}}, {inputs}}}", f"- {step}\n  from: x"))
    assert caught.value.message == message
