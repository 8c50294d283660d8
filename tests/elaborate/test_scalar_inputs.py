"""Inputs without axes, one number for each sample: of a model, and `n: []` of a block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from specbuild.cli.check import check_spec
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

NET = """\
specbuild: 1
model: Net
inputs: {x: {T: 5, C: 4}, share: {axes: {}}, lengths: {axes: {}, dtype: int32}}
blocks:
  Mix:
    inputs: {total: [], x: [C], gain: {axes: [], optional: true}}
    steps:
      - multiply: [x, total]
      - multiply: [prev, gain]
        when: given(gain)
      - add: [x, prev]
        as: y
      - mean: {over: C}
        as: level
    outputs: {total: level, y: y}
  Encoder:
    inputs: {x: [T, C], lengths: []}
    steps:
      - gru: {units: 3, lengths: lengths}
steps:
  - Mix:
    scan: T
    from: {total: share, x: x, gain: share}
    as: mixed
  - Encoder:
    from: [mixed.y, lengths]
    as: encoder
outputs: {y: mixed.y, total: mixed.total, code: encoder}
"""


def test_check_accepts_inputs_without_axes(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NET)
    assert ": 81 parameters" in str(check_spec(str(path), None, None, None))


def test_a_state_is_one_number_of_each_sample() -> None:
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile_source(build_graph(NET), "torch"), namespace)
    net = namespace["Net"]().double()
    x, share = torch.randn(2, 5, 4, dtype=torch.float64), torch.rand(2, dtype=torch.float64)
    y, last, _ = net(x, share, torch.tensor([5, 2], dtype=torch.int32))
    total, expected = share, []
    for t in range(5):
        expected.append(x[:, t] * (1 + total * share)[:, None])
        total = expected[-1].mean(1)
    torch.testing.assert_close(y, torch.stack(expected, 1))
    torch.testing.assert_close(last, total)


def test_keras_agrees(parity_of: ParityOf) -> None:
    def scalar_case() -> ParityCase:
        return ParityCase("scalar", build_graph(NET), dtype="float64")

    report = parity_of(scalar_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


def test_an_input_without_axes_takes_no_axes() -> None:
    with pytest.raises(SpecError, match="Encoder takes lengths with no axes, but gets "):
        build_graph(NET.replace("[mixed.y, lengths]", "[mixed.y, x]"))
