"""Start a worker process, send it jobs, and replace it when it crashes or hangs."""

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
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.runtime import Runtime
from specbuild.runtimes.subprocess_env import env_with_import_path, module_command
from specbuild.runtimes.switches import worker_environment

START_TIMEOUT = 180.0  # seconds for a framework to be imported


class WorkerFailure(Exception):
    """A job that failed, or a worker that crashed, timed out or did not start. The message says why."""


class WorkerProcess:
    """A parity worker of a runtime, in a separate process."""

    def __init__(self, options: WorkerOptions, runtime: Runtime):
        self.options, self.runtime = options, runtime
        self.child: subprocess.Popen[str] | None = None
        self.answers: queue.Queue[str] = queue.Queue()
        self.errors: IO[bytes] | None = None
        self.hello: dict[str, Any] = {}
        self.busy = threading.Lock()

    def ensure_started(self) -> dict[str, Any]:
        """Start the process unless it runs, and return its record: framework, device and switches.

        Raises WorkerFailure if it does not start.
        """
        if self.child is not None:
            return self.hello
        runtime = self.runtime
        env = env_with_import_path(worker_environment(runtime.switches, runtime.variables, self.options))
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop_process
        self.child = subprocess.Popen(
            module_command(runtime.worker, json.dumps(asdict(self.options))),
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
        """Run a job and wait for it; raises WorkerFailure. Jobs from several threads run one by one."""
        with self.busy:
            self.send_job(job)

    def send_job(self, job: dict[str, Any]) -> None:
        """Send a job and wait for its answer; the caller holds the lock."""
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
        """The next answer; raises WorkerFailure. `failure` is part of the message after a timeout."""
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
        """The failure of a process that has ended: exit code or signal, and the last line that it printed."""
        assert self.child is not None and self.errors is not None
        code = self.child.wait()
        self.errors.seek(0)
        printed = self.errors.read().decode("utf-8", "replace").splitlines()
        last_line = next((line for line in reversed(printed) if line.strip()), None)
        self.stop_process()
        message = f"the process ended with code {code}"
        if code < 0:
            name = signal.Signals(-code).name
            message = f"the process was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        if last_line is not None:
            message += f": {make_printable(last_line, 300)}"
        return WorkerFailure(message)

    def stop_process(self, kill: bool = False) -> None:
        """Stop the process; the next job starts a new one."""
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
    """Put every line of a process's output into the queue, and an empty text at its end."""
    assert child.stdout is not None
    for line in child.stdout:
        answers.put(line)
    answers.put("")
