"""What cannot be imported is left to be finished by hand, and told with its module and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from specbuild import load
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.importer import ImportedModel, import_trace
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.report import describe_import
from specbuild.importing.trace import trace_from_json

TRACE = Path(__file__).parent / "traces" / "cbamnet.json"
BLOCK = """
  SpatialAttention:
    inputs: {x: [C, H, W]}
    steps:
      - unfinished:
          of: [x]
          axes: {C: x.C, H: x.H, W: x.W}
          reason: torch.Tensor.cummax has no counterpart among the ops (nets.py:61)
"""


def import_with_hole(function: str, **options: Any) -> ImportedModel:
    """Import a net in which one function is another one, which has no op."""
    text = TRACE.read_text(encoding="utf-8")
    assert f'"{function}"' in text
    trace = trace_from_json(text.replace(f'"{function}"', '"torch.Tensor.cummax"'))
    return import_trace(READER, "Net", trace, {}, {"image": ("C", "H", "W")}, **options)


def test_a_module_is_left_with_its_inputs_and_outputs() -> None:
    imported = import_with_hole("torch.cat", partial=True)
    assert BLOCK in imported.text
    assert "      - SpatialAttention:\n        as: sa\n" in imported.text
    assert [(r.path, r.code) for r in imported.unfinished] == [(f"stages.{i}.sa", "SB963") for i in range(3)]
    report = describe_import("net.py:Net", imported, [])
    assert "to be finished by hand, at `unfinished` in the spec: 3 calls" in report


def test_the_rest_is_checked_and_nothing_is_compiled() -> None:
    model = load(import_with_hole("torch.cat", partial=True).text)
    assert model.graph.outputs[""].type.sizes == {"C": 4}
    for backend in ("torch", "keras"):
        with pytest.raises(SpecError, match="still to be written") as caught:
            model.source(backend)
        assert caught.value.code == "SB601"


def test_a_finished_block_compiles() -> None:
    finished = import_with_hole("torch.cat", partial=True).text.replace(
        BLOCK.partition("    steps:\n")[2], "      - sigmoid\n      - multiply: [prev, x]\n"
    )
    assert "sigmoid" in load(finished).source("torch")


def test_what_the_model_itself_calls_is_refused_all_the_same() -> None:
    with pytest.raises((SpecError, SpecErrors), match=r"torch\.Tensor\.cummax has no counterpart"):
        import_with_hole("torch.Tensor.view", partial=True)


def test_without_partial_every_reason_is_told() -> None:
    with pytest.raises(
        SpecError, match=r"torch\.Tensor\.cummax, called 3 times, has no counterpart"
    ) as caught:
        import_with_hole("torch.cat")
    assert caught.value.trail[0].endswith("nets.py:61")
