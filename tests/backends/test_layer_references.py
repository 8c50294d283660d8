"""How PyTorch code refers to layers: the work grows with the number of steps, not with its square."""

from __future__ import annotations

import pytest

import specbuild
from specbuild.backends.torch import layers

HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\nsteps:\n"
MEMBERS = "[" + ", ".join(map(str, range(15))) + "]"
MANY_STEPS = {  # with about 300 steps
    "one layer, used often": "  - linear: {features: 8}\n    as: a\n" + "  - reuse: a\n" * 300,
    "layers in groups": f"  - do:\n    - linear: {{features: 8}}\n      foreach: {{b: {MEMBERS}}}\n      collect: add\n"
    f"    foreach: {{a: {MEMBERS}}}\n    collect: add\n",
}


@pytest.mark.parametrize("name", MANY_STEPS)
def test_no_step_is_looked_at_for_every_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    is_tensor, looked_at = layers.is_tensor, []
    monkeypatch.setattr(layers, "is_tensor", lambda step: looked_at.append(1) or is_tensor(step))
    specbuild.compile(HEAD + MANY_STEPS[name], "torch")
    assert len(looked_at) < 300 * 10
