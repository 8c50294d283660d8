"""Start worker processes, send them jobs, and replace those that crash or hang."""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from types import TracebackType

from msgspec import to_builtins

from specbuild.diagnostics.errors import make_printable
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.runtime import Runtime
from specbuild.runtimes.subprocess_env import env_with_import_path, module_command
from specbuild.runtimes.switches import worker_environment
from specbuild.runtimes.worker_jobs import FIRST_TOKEN, Job, RefusedJob

START_TIMEOUT = 180.0  # seconds for a framework to be imported
STOP_TIMEOUT = 10.0  # seconds for a process to end by itself
PRINTED_TAIL = 1 << 16  # bytes of what a process printed that are searched for its last line


class WorkerFailure(Exception):
    """A job that failed, or a worker that crashed, timed out or did not start. The message says why."""


class WorkerProcess:
    """A worker of a runtime in a process of its own. As a context manager, it stops the process at the end.

    `entry` is the MODULE:FUNCTION that opens the worker; by default the one that runs parity jobs.
    """

    def __init__(self, options: WorkerOptions, runtime: Runtime, entry: str = ""):
        self.options, self.runtime, self.entry = options, runtime, entry or runtime.worker
        self.process: RunningProcess | None = None
        self.handshake: Job = {}
        self.is_closed = False
        self.busy = threading.Lock()  # held while a job runs
        self.changing = threading.Lock()  # held while `process` changes

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ensure_started(self) -> Job:
        """Start the process unless it runs, and return its handshake.

        Raises WorkerFailure if it does not start.
        """
        if self.process is None:
            with self.changing:
                if self.is_closed:
                    raise WorkerFailure("the process was stopped")
                self.process = RunningProcess(self.entry, self.runtime, self.options)
            self.handshake = self.read_answer(self.process, START_TIMEOUT, "did not start")
        return self.handshake

    def run_job(self, job: Job) -> None:
        """Run a job and wait for it. Jobs from several threads run one by one.

        Raises RefusedJob if the worker does not accept its input, and WorkerFailure if it fails.
        """
        with self.busy:
            self.ensure_started()
            process = self.process
            if process is None:  # closed in the meantime
                raise WorkerFailure("the process was stopped")
            process.send(job)
            answer = self.read_answer(process, self.options.timeout, "gave no answer")
        if "refused" in answer:
            raise RefusedJob(answer["refused"], answer["hint"])
        if "error" in answer:
            if os.environ.get("SPECBUILD_TRACEBACK") == "1":
                sys.stderr.write(answer["traceback"])
            raise WorkerFailure(make_printable(" ".join(answer["error"].split()), 600))

    def read_answer(self, process: RunningProcess, timeout: float, failure: str) -> Job:
        """Return the next answer. `failure` is part of the message after a timeout; a failed process is stopped."""
        try:
            return process.read_answer(timeout)
        except queue.Empty:
            reason = f"the process {failure} within {timeout:g} s and was stopped"
        except EOFError:
            reason = process.describe_end()
        except ValueError:
            reason = (
                "the code that ran in the process wrote where its answers belong; the process was stopped"
            )
        except BaseException:  # a signal: the answer may come later, and would be taken for the next one
            self.stop_process(kill=True)
            raise
        self.stop_process(kill=True)
        raise WorkerFailure(reason)

    def stop_process(self, kill: bool = False) -> None:
        """Stop the process, or `kill` it; the next job starts a new one."""
        with self.changing:
            process, self.process = self.process, None
        if process is not None:
            process.stop(kill)

    def close(self) -> None:
        """Kill the process, whatever it does; no other is started."""
        self.is_closed = True
        self.stop_process(kill=True)


class RunningProcess:
    """One started process: what it answers, and what its framework prints."""

    def __init__(self, entry: str, runtime: Runtime, options: WorkerOptions):
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `stop`
        self.child = subprocess.Popen(
            module_command("specbuild.runtimes.worker_loop", entry, json.dumps(to_builtins(options))),
            env=env_with_import_path(worker_environment(runtime.switches, runtime.variables, options)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self.job_token = FIRST_TOKEN
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.queue_lines, daemon=True).start()

    def queue_lines(self) -> None:
        """Put every line of the output into the queue, and an empty text at its end."""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put("")

    def send(self, job: Job) -> None:
        """Send a job with a token that its answer repeats: code of a user that writes to every open file does not know it."""
        assert self.child.stdin is not None
        self.job_token = secrets.token_hex(8)
        with suppress(BrokenPipeError):  # the process has ended: there will be no answer
            self.child.stdin.write(json.dumps([self.job_token, job]) + "\n")
            self.child.stdin.flush()

    def read_answer(self, timeout: float) -> Job:
        """Return the next message, the handshake or the answer to the last job.

        Raises queue.Empty if there is none in time, EOFError if the process has ended, ValueError for something else.
        """
        line = self.lines.get(timeout=timeout)
        if not line:
            raise EOFError
        token, answer = json.loads(line)
        if token != self.job_token or not isinstance(answer, dict):
            raise ValueError("this is not the answer to the last job")
        return answer

    def describe_end(self) -> str:
        """Return how the process ended: its exit code or signal, and the last line that it printed."""
        code = self.child.wait()
        message = f"the process ended with code {code}"
        if code < 0:
            name = signal.Signals(-code).name
            message = f"the process was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        last_line = self.last_line()
        return f"{message}: {make_printable(last_line, 300)}" if last_line else message

    def last_line(self) -> str:
        """Return the last line that the process printed; empty if there is none."""
        try:
            self.printed.seek(max(0, self.printed.seek(0, os.SEEK_END) - PRINTED_TAIL))
            lines = self.printed.read().decode("utf-8", "replace").splitlines()
        except ValueError:  # stopped by another thread
            return ""
        return next((line for line in reversed(lines) if line.strip()), "")

    def stop(self, kill: bool) -> None:
        """End the process: by the end of its input, or at once."""
        if kill:
            self.child.kill()
        if self.child.stdin is not None:
            with suppress(BrokenPipeError):
                self.child.stdin.close()
        try:
            self.child.wait(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.printed.close()
