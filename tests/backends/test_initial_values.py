"""PyTorch: what `reset_parameters` and `init_weights` of emitted modules fill, and with what."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.runtimes.live_model import import_source

BLOCKS = """
specbuild: 1
model: Net
inputs: {x: {C: 4, H: 6, W: 6}}
blocks:
  Part:
    params: {features: int, std: 0.1, deep: false}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: features, kernel: 1, init: normal(std), bias_init: constant(2 * std)}
        as: first
      - conv: {channels: features, kernel: 1, init: ones}
        as: second
        when: deep
      - do:
          - conv: {channels: features, kernel: 1, init: zeros}
          - relu
          - conv: {channels: features, kernel: 1, init: constant(3)}
        as: row
      - weight: {axes: {}, init: constant(0.5)}
        as: scale
      - multiply: [row, scale]
steps:
  - Part: {features: 60, deep: true}
    as: a
  - Part: {features: 70, std: 0.3}
    as: b
"""
TABLES = """
specbuild: 1
model: Net
inputs: {x: {T: 5, C: 8}}
steps:
  - const: {axes: {T: 5, C: 8}, value: sin(T) + C}
    as: places
  - add: [x, places]
  - const: {axes: {C: 8}, values: [1, 2, 3, 4, 5, 6, 7, 8]}
    as: factors
  - multiply: [add, factors]
"""
RULE = """
specbuild: 1
model: Net
inputs: {x: {C: 4, H: 6, W: 6}}
blocks:
  Part:
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: 40, kernel: 3, bias: false, init: kaiming_normal(fan_out)}
      - batch_norm
      - conv: {channels: 4, kernel: 3, bias_init: zeros, init: kaiming_normal(fan_out)}
steps:
  - Part:
  - Part:
  - conv: {channels: 9, kernel: 3, init: ones}
    as: last
"""


def load(text: str) -> Any:
    return import_source(compile_source(build_graph(text.lstrip()), "torch"), "initial_values").Net


def reset(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()


def test_every_instance_has_its_own_initial_values() -> None:
    torch.manual_seed(0)
    model = load(BLOCKS)()
    assert model.a.first.weight.std().item() == pytest.approx(0.1, rel=0.15)
    assert model.b.first.weight.std().item() == pytest.approx(0.3, rel=0.05)
    assert (model.b.first.bias == 0.6).all()
    assert (model.a.second.weight == 1).all()
    assert isinstance(model.b.second, nn.Identity)
    assert (model.b.row[0].weight == 0).all() and (model.b.row[2].weight == 3).all()
    assert isinstance(model.a.row, nn.Sequential)


def test_reset_parameters_leaves_the_layers_alone() -> None:
    model = load(BLOCKS)()
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        model.a.scale.fill_(7)
    model.a.reset_parameters()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, kept[name])


def test_one_rule_for_every_layer_of_a_kind() -> None:
    model = load(RULE)
    assert not hasattr(model()._modules["part1"], "init_weights")
    torch.manual_seed(0)
    stds = [[m.weight.std().item() for m in model().modules() if isinstance(m, nn.Conv2d)] for _ in range(20)]
    first, second, *_, last = torch.tensor(stds).mean(0).tolist()
    assert first == pytest.approx((2 / (40 * 9)) ** 0.5, rel=0.03)
    assert second == pytest.approx((2 / (4 * 9)) ** 0.5, rel=0.03)
    assert last == 0


@pytest.mark.parametrize("text", [BLOCKS, TABLES], ids=["blocks", "tables"])
def test_from_the_meta_device(text: str) -> None:
    """`to_empty` gives tensors of any numbers: `reset_parameters` fills the tables, the rest comes from a file."""
    make = load(text)
    wanted = make().eval()
    with torch.device("meta"):
        model = make().eval()
    model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(77)
    reset(model)
    model.load_state_dict(wanted.state_dict(), assign=True)
    shape = (2, 5, 8) if text is TABLES else (2, 4, 6, 6)
    x = torch.randn(shape)
    torch.testing.assert_close(model(x), wanted(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_tables_keep_the_dtype_of_the_model(dtype: torch.dtype) -> None:
    model = load(TABLES)().to(dtype)
    reset(model)
    assert {buffer.dtype for buffer in model.buffers()} == {dtype}
    assert model(torch.ones(2, 5, 8, dtype=dtype)).dtype is dtype


def test_a_row_inside_a_row() -> None:
    """The layer is reached by its number where its name cannot be an attribute, in every member of a repeat too."""
    rows = "  - do: [{linear: {features: 4}, as: first}, {do: [tanh, linear: {features: 5, init: normal(0.02)}]}]\n"
    head = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nsteps:\n"
    code = compile_source(build_graph(head + rows), "torch")
    assert "nn.init.normal_(self.do[1][1].weight, std=0.02)" in code
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(code, names)
    assert names["Net"]()(torch.ones(2, 4)).shape == (2, 5)
