"""Code of a model that fails, ends or fills its process: `import` says so, with exit 3, and writes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from specbuild.cli import main
from specbuild.importing import importer
from specbuild.importing.pytorch.reader import READER
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_process import WorkerProcess

CODE = Path(__file__).with_name("hostile_code.py")
LOOP = 3.0  # seconds that an endless loop may take here; 1,800 otherwise

# Those that end their process come last: the next one needs a new process.
REFUSED = {
    "raise_text": "cannot be made: RuntimeError: boom \\x1b[2J xxx",
    "recurse": "cannot be made: RecursionError: maximum recursion depth exceeded",
    "ask": "cannot be made: EOFError",
    "give_number": "gives a int, not a torch.nn.Module",
    "exit": "cannot be recorded: the process ended with code 0",
    "exit_at_once": "cannot be recorded: the process ended with code 7: the last words",
    "write_answers": "cannot be recorded: the code that ran in the process wrote where its answers belong",
    "answer_first": "cannot be recorded: the code that ran in the process wrote where its answers belong",
    "loop": "cannot be recorded: the process gave no answer within 3 s and was stopped",
}
ACCEPTED = ("print_much", "change_folder", "remove_itself")


@pytest.fixture(scope="module")
def processes() -> Iterator[list[WorkerProcess]]:
    """One process for all, started again only where one has ended."""
    process = importer.start_worker(READER)
    yield [process]
    process.close()


class SharedWorker:
    """The process of all tests, which the command does not close."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process = process

    def __enter__(self) -> WorkerProcess:
        return self.process

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: list[WorkerProcess]) -> Path:
    shutil.copyfile(CODE, tmp_path / "net.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importer, "start_worker", lambda reader: SharedWorker(processes[0]))
    return tmp_path


def import_code(name: str, folder: Path, *more: str) -> int:
    files = ["-o", str(folder / "net.yaml"), "--weights", str(folder / "net.safetensors")]
    return main(["import", f"{folder / 'net.py'}:{name}", "--input", "x=4", "--no-proof", *files, *more])


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_does_no_harm(name: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert import_code(name, folder) == 0
    assert len(capfd.readouterr().err) < 2_000
    assert (folder / "net.yaml").exists() and (folder / "net.safetensors").exists()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(
    name: str,
    folder: Path,
    processes: list[WorkerProcess],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if name == "answer_first":
        processes[0].stop_process(kill=True)  # so that this is the first job
    processes[0].ensure_started()
    if name == "loop":
        monkeypatch.setattr(processes[0], "options", WorkerOptions(timeout=LOOP))
    assert import_code(name, folder) == 3
    said = capfd.readouterr().err
    assert "error[SB961]" in said and REFUSED[name] in said
    assert "Traceback" not in said and "\x1b[2J" not in said and len(said) < 2_000
    assert {path.name for path in folder.iterdir()} <= {"net.py", "__pycache__"}


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.symlink_to("elsewhere")


def write_pickle(path: Path) -> None:
    path.write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize("name", ["net.yaml", "net.safetensors"])
@pytest.mark.parametrize("make", [make_folder, make_link, write_pickle])
def test_targets_are_looked_at_before_code_runs(
    make: Callable[[Path], None],
    name: str,
    is_forced: bool,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What stands where a file is to be written is neither read nor followed, and nothing else is written."""
    make(folder / name)
    is_allowed = is_forced and make is not make_folder
    if is_allowed:
        assert import_code("Model", folder, "--force") == 0
        assert (folder / name).is_file() and not (folder / name).is_symlink()
        assert not (folder / "elsewhere").exists()
    else:
        monkeypatch.setattr(importer, "start_worker", lambda reader: pytest.fail("code would run"))
        assert import_code("Model", folder, *["--force"] * is_forced) == 2
        assert "error[SB702]: cannot write" in capfd.readouterr().err
        assert {path.name for path in folder.iterdir()} == {"net.py", name}
    assert not (folder / "executed").exists()
