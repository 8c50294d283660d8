"""Run random command lines in random surroundings: `python -m tests.cli.fuzzer --seed 0 --cases 500`.

Every case runs in a child of this process, which has the program loaded already, in a folder of its own. It must end
with an exit code of the program, other than 70, without a traceback, within its limits. Frameworks do not start: where
a worker would, there is no program to run it. `--seconds 3600` runs until the time is over.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from specbuild import compile
from specbuild.backends import BACKEND_NAMES
from specbuild.cli import main
from tests.cli.fuzzer.arguments import list_commands, random_arguments
from tests.cli.fuzzer.surroundings import SPEC, enter_surroundings, fill_folder

CODES = {0, 1, 2, 3, 4, 141}
SECONDS = 600  # for one case, on a busy machine


def run_case(seed: int, number: int) -> tuple[list[str], int, str]:
    """Run one case; return its command line, its exit code, and what it wrote to stderr."""
    pick = random.Random(f"{seed}/{number}")
    arguments = random_arguments(pick)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    log = os.open(folder / "log", os.O_RDWR | os.O_CREAT)
    fill_folder(folder, pick)
    child = os.fork()
    if child == 0:
        run_child(folder, arguments, pick, log)
    deadline = time.monotonic() + SECONDS
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    for name in ("closed", "readonly"):
        (folder / name).chmod(0o700)
    ran = (folder / "ran").exists()
    shutil.rmtree(folder, ignore_errors=True)
    text = os.pread(log, 1 << 20, 0).decode("utf-8", "replace")
    text += "\nTraceback: code of a file ran" if ran else ""
    os.close(log)
    return arguments, os.waitstatus_to_exitcode(done[1]), text


def run_child(folder: Path, arguments: list[str], pick: random.Random, log: int) -> None:
    """Run a command in this process, which ends here."""
    code = 99
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(log, 2)
        sys.executable = "/nowhere/python"
        enter_surroundings(folder, pick)
        code = main(arguments)
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def fuzz(seed: int, cases: int, seconds: float) -> int:
    """Run the cases and report; return the number of those that failed."""
    begin, codes, failed = time.monotonic(), Counter[int](), 0
    load_modules()
    number = 0
    while number < cases and time.monotonic() - begin < seconds:
        arguments, code, text = run_case(seed, number)
        codes[code] += 1
        if code not in CODES or "Traceback" in text:
            failed += 1
            print(f"case {number}: exit {code}: {[a[:60] for a in arguments]}\n{text[-1500:]}", flush=True)
        number += 1
    took = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(f"seed {seed}: {number} cases in {took:.0f} s ({cpu:.0f} s of CPU), {failed} failed")
    print(f"exit codes {dict(sorted(codes.items()))}")
    return failed


def load_modules() -> None:
    """Load what the commands load late, so that no child has to."""
    list_commands()
    for backend in BACKEND_NAMES:
        compile(SPEC, backend)
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())), redirect_stderr(io.TextIOWrapper(io.BytesIO())):
        main(["--help"])
        main(["check", "/nowhere.yaml", "--zq"])
        main(["show", "/nowhere.yaml"])
    gc.freeze()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=10**9)
    given = parser.parse_args()
    sys.exit(fuzz(given.seed, given.cases, given.seconds) > 0)
