"""Large specs and specs that multiply work: each is done, or refused with its place, within the bounds of SECURITY.md.

CPU time is measured in a process of its own. The limits are those of an idle machine times the factor for a busy one;
`benchmarks/bounds.py` records what an idle one takes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.large_specs import ACCEPTED, REFUSED

ROOT = Path(__file__).parents[2]
BUSY = 3  # processors that share their cores with other work take longer


def run_bounded(text: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], float, int]:
    """Check a spec; return what came out, the CPU seconds and the MiB."""
    (folder / "net.yaml").write_text(text)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = (  # not ru_maxrss: a process inherits the peak of the one that starts it
        "import re, sys; from specbuild.cli import main; code = main(['check', 'net.yaml'])\n"
        "status = open('/proc/self/status').read(); peak = int(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
        "print(peak // 1024, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done, seconds, int(done.stderr.splitlines()[-1])


@pytest.mark.parametrize("name", ACCEPTED)
def test_large(name: str, tmp_path: Path) -> None:
    done, seconds, size = run_bounded(ACCEPTED[name], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert seconds < 5 * BUSY
    assert size < 512


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    code, text = REFUSED[name]
    done, seconds, size = run_bounded(text, tmp_path)
    assert done.returncode == 3
    assert f"error[{code}]" in done.stdout and "--> net.yaml:" in done.stdout
    assert seconds < 2 * BUSY
    assert size < 256
