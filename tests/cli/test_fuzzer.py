"""Random command lines in random surroundings, with a fixed seed. `python -m tests.cli.fuzzer` runs more of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    sys.platform != "linux", reason="the fuzzer closes folders, streams and memory as Linux does"
)
def test_no_bug_and_no_traceback() -> None:
    command = [sys.executable, "-m", "tests.cli.fuzzer", "--seed", "0", "--cases", "50"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 cases" in done.stdout
