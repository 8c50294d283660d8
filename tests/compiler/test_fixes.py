"""`check --fix`: certain hints are applied, and nothing else in the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.cli import main
from specbuild.cli.terminal import ExitCode
from specbuild.compiler.fixes import fix_text
from specbuild.diagnostics.errors import Location, SpecError

HEAD = "specbuild: 1\nmodel: Net  # a comment\ninputs: {image: {C: 3, H: 32, W: 32}}\nsteps:\n"


def fix(tmp_path: Path, steps: str) -> tuple[str, int]:
    path = tmp_path / "net.yaml"
    path.write_text(HEAD + steps)
    code = main(["check", "--fix", str(path)])
    text = path.read_text()
    assert text.startswith(HEAD)
    return text[len(HEAD) :], code


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "  - Conv2d: {out_channels: 8, kernel_size: 3}  # first\n",
            "  - conv: {channels: 8, kernel: 3, padding: 0}  # first\n",
        ),
        ("  - ReLU  # keep\n", "  - relu  # keep\n"),
        (
            "  - conv: {filters: 16, kernal: 3}  # two\n    as: a\n",
            "  - conv: {channels: 16, kernel: 3}  # two\n    as: a\n",
        ),
        ("  - batch_norm: {eps: 1e-5}\n", "  - batch_norm: {epsilon: 1e-5}\n"),
        (
            "  - conv:\n      chanels: 8  # typo\n      # a line\n",
            "  - conv:\n      channels: 8  # typo\n      # a line\n",
        ),
        ("  - relu: {}\n    as: a\n  - add: [a, imege]\n", "  - relu: {}\n    as: a\n  - add: [a, image]\n"),
        (
            "  - relu\n  - linear: {features: 4, biass: false}\n",
            "  - relu\n  - linear: {features: 4, bias: false}\n",
        ),
        ("  - conv: {channels: 8}, as: a  # b\n", "  - {conv: {channels: 8}, as: a}  # b\n"),
        ("  - dropout: 0.5  # b\n", "  - dropout: {rate: 0.5}  # b\n"),
        ("  - conv {channels: 8}\n", "  - conv: {channels: 8}\n"),
        ("  - conv: {channels 8}", "  - conv: {channels: 8}"),
        (
            "  - conv:\n    channels: 8  # b\n    kernel: 1\n",
            "  - conv:\n      channels: 8  # b\n      kernel: 1\n",
        ),
        ("  - conv: {channels: max(4, 8), kernel: 1}\n", '  - conv: {channels: "max(4, 8)", kernel: 1}\n'),
    ],
)
def test_certain_hints(tmp_path: Path, before: str, after: str) -> None:
    assert fix(tmp_path, before) == (after, 0)


@pytest.mark.parametrize(
    "steps",
    [
        "  - relu5\n",  # another number may be meant
        "  - convolve_twice: {channels: 8}\n",
        "  - conv:\n      filters: max(1, 2)  # a comment\n      dummy: 1\n",
        "  - Dense:\n      units: 10  # a comment would be lost\n",
        "  - conv: {channels: 8\n",  # no YAML
        "  - conv\n",  # 64 is only an example
        "  - Dense: {units: 10, activation: tanh}\n",  # these are two steps
        "  - Dense: {units: 10, kernel_regularizer: l2}\n",  # it would be lost
    ],
)
def test_what_is_not_certain_stays(tmp_path: Path, steps: str) -> None:
    text, code = fix(tmp_path, steps)
    assert code == ExitCode.INVALID
    assert [line for line in steps.splitlines() if line not in text.splitlines()] in (
        [],
        ["      filters: max(1, 2)  # a comment"],
    )


def test_a_valid_file_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(HEAD + "  - relu\n")
    before = path.stat().st_mtime_ns
    assert main(["check", "--fix", str(path)]) == 0
    assert path.stat().st_mtime_ns == before
    assert main(["check", "--fix", "-"]) == ExitCode.USAGE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_the_encoding_stay(encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_bytes((HEAD + "  - ReLU\n").replace("\n", end).encode(encoding))
    code = main(["check", "--fix", str(path)])
    fixed = (HEAD + "  - relu\n").replace("\n", end).encode(encoding)
    assert (code, path.read_bytes()) == (0, fixed)


def test_many_hints_are_applied_together(tmp_path: Path) -> None:
    """A check reports fifty errors; their hints need one more check, not fifty."""
    wrong = "  - linear: {featurs: 4, over: W}\n  - relu\n" * 120
    right = wrong.replace("featurs", "features")
    assert fix(tmp_path, wrong) == (right, 0)
    checks: list[str] = []
    text = "a: wrng\n" * 120

    def check(text: str) -> list[SpecError]:
        checks.append(text)
        lines = enumerate(text.splitlines(), 1)
        return [
            SpecError("SB101", f"{n}: no 'wrng'", Location("f", n, 4, line), "did you mean 'wrong'?")
            for n, line in lines
            if "wrng" in line
        ][:50]

    fixed = fix_text(text, check)
    assert (fixed.text, len(fixed.fixes), len(checks)) == ("a: wrong\n" * 120, 120, 4)


def test_a_hint_that_does_not_help_keeps_no_other_back(tmp_path: Path) -> None:
    """The second key exists already: its hint makes no valid step, the others do."""
    right = "  - relu  # a\n  - conv: {chanels: 4, channels: 4}\n  - relu  # b\n"
    text, code = fix(tmp_path, right.replace("relu", "ReLU"))
    assert (text, code) == (right, ExitCode.INVALID)
