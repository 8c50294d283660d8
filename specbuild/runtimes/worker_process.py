"""A worker's process: started, asked, watched. One that dies or hangs is told, and another takes its place."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from specbuild.diagnostics.errors import make_printable
from specbuild.runtimes import subprocess_env as apart
from specbuild.runtimes.jobs import Runtime, WorkerOptions
from specbuild.runtimes.switches import worker_environment

START_TIMEOUT = 180.0  # seconds for a framework to be imported


class WorkerFailure(Exception):
    """A worker cannot do a job; the message says why."""


class WorkerProcess:
    """A framework in a process of its own: PyTorch, or Keras on a runtime."""

    def __init__(self, options: WorkerOptions, runtime: Runtime | None = None):
        self.options, self.runtime = options, runtime
        self.child: subprocess.Popen[str] | None = None
        self.answers: queue.Queue[str] = queue.Queue()
        self.errors: IO[bytes] | None = None
        self.hello: dict[str, Any] = {}
        self.busy = threading.Lock()

    def ensure_started(self) -> dict[str, Any]:
        """What the process says of itself; it is started if it does not run."""
        if self.child is not None:
            return self.hello
        frameworks = ("torch",) if self.runtime is None else (self.runtime, "keras")
        env = apart.env_with_import_path(worker_environment(frameworks, self.options))
        if self.runtime is not None:
            env["KERAS_BACKEND"] = self.runtime
        framework = "torch" if self.runtime is None else "keras"
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
        self.child = subprocess.Popen(
            apart.module_command(
                f"specbuild.backends.{framework}.parity_worker", json.dumps(asdict(self.options))
            ),
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
        )
        self.answers = queue.Queue()
        threading.Thread(target=forward_lines, args=(self.child, self.answers), daemon=True).start()
        self.hello = self.read_answer(START_TIMEOUT, "did not start")
        return self.hello

    def run_job(self, job: dict[str, Any]) -> None:
        """Have a job done, after those that other threads asked for; raises Failure."""
        with self.busy:
            self.send_job(job)

    def send_job(self, job: dict[str, Any]) -> None:
        self.ensure_started()
        assert self.child is not None and self.child.stdin is not None
        try:
            self.child.stdin.write(json.dumps(job) + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise self.exit_failure() from None
        answer = self.read_answer(self.options.timeout, "gave no answer")
        if "error" in answer:
            raise WorkerFailure(make_printable(" ".join(answer["error"].split()), 600))

    def read_answer(self, timeout: float, failure: str) -> dict[str, Any]:
        try:
            line = self.answers.get(timeout=timeout)
        except queue.Empty:
            self.stop_process(kill=True)
            raise WorkerFailure(f"the process {failure} within {timeout:g} s and was stopped") from None
        if not line:
            raise self.exit_failure()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def exit_failure(self) -> WorkerFailure:
        assert self.child is not None and self.errors is not None
        code = self.child.wait()
        self.errors.seek(0)
        last = [x for x in self.errors.read().decode("utf-8", "replace").splitlines() if x.strip()][-1:]
        self.stop_process()
        how = f"ended with code {code}"
        if code < 0:
            name = signal.Signals(-code).name
            how = f"was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        return WorkerFailure(f"the process {how}" + (f": {make_printable(last[0], 300)}" if last else ""))

    def stop_process(self, kill: bool = False) -> None:
        """End the process; the next job starts another."""
        child, self.child = self.child, None
        if child is None:
            return
        if kill:
            child.kill()
        if child.stdin is not None:
            with suppress(BrokenPipeError):
                child.stdin.close()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if self.errors is not None:
            self.errors.close()


def forward_lines(child: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
    """The lines of a process, and an empty one at its end."""
    assert child.stdout is not None
    for line in child.stdout:
        answers.put(line)
    answers.put("")
