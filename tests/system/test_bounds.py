"""Large specs and specs that multiply work: each is done, or refused with its place, within the bounds of SECURITY.md.

CPU time is measured in a process of its own. The limits are those of an idle machine times the factor for a busy one.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUSY = 3  # processors that share their cores with other work take longer
HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\n"
LONG = ", ".join(["1"] * 9_900)


def named_steps(count: int) -> str:
    return "".join(f"  - linear: {{features: 8}}\n    as: s{i}\n" for i in range(count))


def tapped_block(count: int) -> str:
    steps = ", ".join(f"{{relu: {{}}, as: r{i}}}" for i in range(count))
    outputs = ", ".join(f"b.r{i}" for i in range(count))
    return f"blocks:\n  B: {{steps: [{steps}]}}\nsteps:\n  - B:\n    as: b\noutputs: [{outputs}]\n"


ACCEPTED = {
    "chain": "steps:\n" + named_steps(9_000),
    "repeat": "steps:\n  - {linear: {features: 8}, repeat: 9000}\n",
    "reuse": "steps:\n  - linear: {features: 8}\n    as: a\n" + "  - reuse: a\n" * 5_000,
    "taps": tapped_block(4_000),
    "edits": f"steps:\n{named_steps(9_000)}edits:\n" + "".join(f"  - remove: s{i}\n" for i in range(60)),
    "parameters": "params:\n"
    + "".join(f"  p{i}: {i + 1}\n" for i in range(9_000))
    + "steps:\n"
    + "".join(f"  - linear: {{features: p{i}}}\n" for i in range(0, 9_000, 9)),
    "blocks": "blocks:\n"
    + "".join(f"  B{i}: {{steps: [linear: {{features: 8}}]}}\n" for i in range(3_000))
    + "steps:\n"
    + "".join(f"  - B{i}\n" for i in range(3_000)),
    "instances": "blocks: {B: {params: {n: 1}, steps: [linear: {features: n}]}}\n"
    "steps:\n  - B: {n: i + 1}\n    repeat: 2500\n",
}
REFUSED = {
    "sums": (
        "SB502",
        f"params: {{a: [{LONG}]}}\nsteps:\n  - {{linear: {{features: sum(a) // sum(a) * 8}}, repeat: 9000}}\n",
    ),
    "lists of blocks": (
        "SB502",
        "blocks: {B: {params: {a: [], n: 1}, steps: [linear: {features: n}]}}\n"
        f"params: {{a: [{LONG}]}}\nsteps:\n  - B: {{a: a, n: i + 1}}\n    repeat: 4000\n",
    ),
    "loops": (
        "SB502",
        "steps:\n  - do:\n    - do:\n      - {relu: {}, when: i < 0}\n      repeat: 10000\n    repeat: 10000\n",
    ),
    "lets": (
        "SB502",
        "blocks:\n  B:\n    params: {n: 1}\n    let: {a0: n + x.C, "
        + ", ".join(f"a{i}: a{i - 1} + 1" for i in range(1, 900))
        + "}\n    steps: [linear: {features: a899 % 8 + 8}]\nsteps:\n"
        + "".join(f"  - B: {{n: {i + 1}}}\n" for i in range(900)),
    ),
    "tables": (
        "SB504",
        "steps:\n"
        + "".join(
            f"  - const: {{axes: {{C: 8, T: 1000000}}, random: normal, seed: {i}}}\n" for i in range(60)
        ),
    ),
    "edits of a large model": (
        "SB502",
        "blocks: {B: {steps: [linear: {features: 8}, relu: {}, linear: {features: 8}]}}\n"
        "steps:\n  - {B: {}, repeat: 3000, as: a}\nedits:\n" + "  - freeze: '**.linear1'\n" * 30,
    ),
    "misfit": (
        "SB304",
        f"steps:\n{named_steps(3_000)}edits:\n"
        + "".join(f"  - remove: s{i}\n" for i in range(59))
        + "  - set: s99\n    to: {features: -3}\n",
    ),
}


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
    done, seconds, size = run_bounded(HEAD + ACCEPTED[name], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert seconds < 5 * BUSY
    assert size < 512


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    code, text = REFUSED[name]
    done, seconds, size = run_bounded(HEAD + text, tmp_path)
    assert done.returncode == 3
    assert f"error[{code}]" in done.stdout and "--> net.yaml:" in done.stdout
    assert seconds < 2 * BUSY
    assert size < 256
