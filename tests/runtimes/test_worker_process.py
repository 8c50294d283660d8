"""Worker processes: what is exchanged, and what a process that fails is replaced by. No framework is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.runtime import Runtime
from specbuild.runtimes.switches import env_switch, fixed_value
from specbuild.runtimes.worker_jobs import RefusedJob, load_tensors, save_tensors
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess
from tests.runtimes import example_worker

ROOT = Path(__file__).parents[2]
ENTRY = f"{example_worker.__name__}:open_worker"
RUNTIME = Runtime(
    "example",
    "Example",
    ("numpy",),
    ENTRY,
    switches=(env_switch("example", "EXAMPLE_SWITCH", fixed_value("off")),),
    variables={"EXAMPLE_RUNTIME": "example"},
)


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    with WorkerProcess(WorkerOptions(timeout=30, threads=3), RUNTIME) as process:
        yield process


def test_jobs_and_arrays(worker: WorkerProcess, tmp_path: Path) -> None:
    arrays, out = str(tmp_path / "in.safetensors"), str(tmp_path / "out.safetensors")
    save_tensors(arrays, {"a": np.arange(6.0).reshape(2, 3).T, "b": np.float32(1.5), "c": np.array([True])})
    for _ in range(2):
        worker.run_job({"do": "double", "arrays": arrays, "out": out})
    found = load_tensors(out)
    assert found["a"].tolist() == [[0, 6], [2, 8], [4, 10]] and found["b"] == 3 and found["b"].shape == ()
    record = worker.ensure_started()
    assert record["threads"] == 3
    environment = record["environment"]
    assert environment["EXAMPLE_SWITCH"] == "off" and environment["EXAMPLE_RUNTIME"] == "example"
    assert environment["OMP_NUM_THREADS"] == "3" and environment["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(
    ("do", "message", "survives"),
    [
        ("raise", "ValueError: no such thing", True),
        ("exit", "the process ended with code 3: the last words", False),
        ("kill", "the process was killed by SIGKILL (out of memory?)", False),
        ("hang", "the process gave no answer within 1 s and was stopped", False),
    ],
)
def test_a_failed_job_says_why_and_the_next_one_runs(do: str, message: str, survives: bool) -> None:
    with WorkerProcess(WorkerOptions(timeout=1 if do == "hang" else 60), RUNTIME) as worker:
        first = worker.ensure_started()["pid"]
        with pytest.raises(WorkerFailure) as failure:
            worker.run_job({"do": do})
        assert str(failure.value).partition(": a framework")[0] == message
        worker.options = WorkerOptions(timeout=60)
        worker.run_job({"do": "nothing"})
        assert (worker.ensure_started()["pid"] == first) == survives


def test_refused_input_has_a_hint(worker: WorkerProcess) -> None:
    with pytest.raises(RefusedJob, match="a file with nonsense") as refusal:
        worker.run_job({"do": "refuse"})
    assert refusal.value.hint == "give another"


def test_a_worker_that_does_not_start(worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(example_worker.FAIL_AT_START, "1")
    with pytest.raises(WorkerFailure, match=r"ended with code 1: ImportError: libframework\.so is missing"):
        worker.ensure_started()
    monkeypatch.delenv(example_worker.FAIL_AT_START)
    assert worker.ensure_started()["framework"] == "example"


def test_a_closed_worker_starts_no_process(worker: WorkerProcess) -> None:
    pid = worker.ensure_started()["pid"]
    worker.close()
    with pytest.raises(WorkerFailure, match="was stopped"):
        worker.run_job({"do": "nothing"})
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


PARITY = f"""
import signal, sys
from msgspec.structs import replace
from specbuild import backends
from specbuild.cli import main
for name in backends.BACKEND_NAMES:
    backend = backends.load_backend(name)
    backend.runtimes = tuple(replace(r, worker={ENTRY!r}) for r in backend.runtimes)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
sys.exit(main(["parity", sys.argv[1], "--jobs", "2", "--seeds", "2"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_parity_cleans_up_at_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """Both lanes hang in their first job when the signal comes."""
    spec, temporary = tmp_path / "net.yaml", tmp_path / "tmp"
    spec.write_text("specbuild: 1\nmodel: Net\ninputs: {x: {C: 3}}\nsteps:\n  - relu\n")
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARITY, str(spec)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as parity:
        deadline = time.monotonic() + 60
        while len(list(temporary.glob("*/0/arrays_*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)  # so that the jobs are sent
        assert len(list(temporary.glob("specbuild-parity-*"))) == 2
        parity.send_signal(number)
        try:
            _, printed = parity.communicate(timeout=30)
        finally:
            parity.kill()
    assert parity.returncode == 128 + number
    assert not list(temporary.iterdir()) and "Traceback" not in printed
