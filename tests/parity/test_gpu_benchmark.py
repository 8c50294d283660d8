"""The benchmark of a GPU, up to where one is needed, and the tables that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "benchmarks"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPTS / script, *arguments], capture_output=True, text=True)


def test_without_a_gpu_nothing_is_written(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    spec = ROOT / "specs" / "gated_classifier.yaml"
    done = run("gpu_parity.py", spec, "--sections", "bfloat16", "--out", tmp_path / "out.md")
    assert done.returncode == 4
    assert "no GPU is available" in done.stderr and "nothing was compared" in done.stderr
    assert not (tmp_path / "out.md").exists()


def test_no_time(tmp_path: Path) -> None:
    spec = ROOT / "specs" / "gated_classifier.yaml"
    done = run("gpu_parity.py", spec, "--limit", "0", "--out", tmp_path / "out.md")
    assert done.returncode == 1 and "no time was left" in done.stderr
    assert not (tmp_path / "out.md").exists()


def test_tables(tmp_path: Path) -> None:
    def tensor(kind: str, relative: float | None, **other: Any) -> dict[str, Any]:
        return {
            "kind": kind,
            "path": "x",
            "relative": relative,
            "reference_error": None,
            "other_error": None,
        } | other

    result = {
        "spec": "specs/net.yaml",
        "runtime": "jax",
        "batch": 2,
        "rounded": 0,
        "verdict": "equal",
        "tolerance": {"fail_above": 1e-4},
        "error": None,
        "tensors": [
            tensor("step", 2e-6, reference_error=1e-6),
            tensor("output", 1e-6),
            tensor("weight", 3e-5),
        ],
    }
    broken = result | {
        "verdict": "failed",
        "error": {"message": "Keras gives NaN"},
        "tensors": [tensor("output", None)],
    }
    process = {"framework": "torch 2", "device": "cpu", "switches": [{"name": "a", "value": "False"}]}
    file = tmp_path / "found.json"
    file.write_text(json.dumps({"results": [result, broken], "processes": [process, process]}))
    done = run("parity_tables.py", file)
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout
        == """\
| model | Keras on | batch | forward | PyTorch error | training | tolerance | verdict |
| --- | --- | ---: | ---: | ---: | ---: | --- | --- |
| `net` | jax | 2 | 2.0e-06 | 1.0e-06 | 3.0e-05 | 1e-04 | equal |
| `net` | jax | 2 | no number |  |  | 1e-04 | failed |

- `net`, Keras on jax: Keras gives NaN

- torch 2 on cpu
  - a = False
"""
    )
