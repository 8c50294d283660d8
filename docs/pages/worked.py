"""Hand-written pages with their examples worked: specs are checked, commands are run, code is what comes out.

A listing whose language is one of these in braces is replaced:

* `{spec} FILE` a whole spec: written to a file of the page, and checked;
* `{faulty} FILE` a spec that has a fault, which a command below reports;
* `{mended} FILE` lines of `OLD -> NEW`: what is changed in a file that is there, which is then checked;
* `{steps} AXES` steps after an input `x` with these axes: checked as a spec of their own;
* `{terminal}` lines of `$ specbuild ...`: run where the page's files are, each with what it prints; left out where
  a framework is missing that they need;
* `{pictured} FILE` what the picture shows: a picture that a command before has drawn, if it could;
* `{table} NAME` a table that is read off the code;
* `{emitted} FILE BACKEND [NAME]` what the file compiles to, or the class or function of this name in it.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from unittest.mock import patch

from docs.pages import markdown
from docs.pages.tables import TABLES
from specbuild import load
from specbuild.cli import main
from specbuild.cli.terminal import ExitCode

LISTING = re.compile(
    r"^```\{(spec|faulty|mended|steps|terminal|pictured|table|emitted)\}(.*)\n((?:.*\n)*?)```$", re.MULTILINE
)
WIDTH = "96"  # of the terminal


def worked(path: Path) -> tuple[str, dict[str, bytes]]:
    """The page as Markdown that needs nothing but Sphinx, and the pictures on it by their names."""
    with TemporaryDirectory() as folder, chdir(folder):
        try:
            text = LISTING.sub(lambda m: ACTIONS[m[1]](m[2].strip(), m[3]), path.read_text(encoding="utf-8"))
            return text, {picture.name: picture.read_bytes() for picture in Path().glob("*.svg")}
        except Exception as error:
            error.add_note(f"in {path.name}")
            raise


def spec(name: str, text: str) -> str:
    written = faulty(name, text)
    load(Path(name))
    return written


def faulty(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return f"~~~~{{code-block}} yaml\n:caption: {name}\n\n{text}~~~~"


def mended(name: str, text: str) -> str:
    path = Path(name)
    whole, changes = path.read_text(encoding="utf-8"), []
    for line in text.splitlines():
        old, _, new = line.partition(" -> ")
        assert whole.count(old) == 1, f"{old} is not there once"
        [before] = [row for row in whole.splitlines() if old in row]
        changes += [f"-{before}", f"+{before.replace(old, new)}"]
        whole = whole.replace(old, new)
    spec(name, whole)
    return markdown.listing("\n".join(changes), "diff").rstrip()


def steps(axes: str, text: str) -> str:
    load(f"specbuild: 1\nmodel: Fragment\ninputs: {{x: {axes}}}\nsteps:\n{indent(text, '  ')}")
    return markdown.listing(text, "yaml").rstrip()


def terminal(_: str, text: str) -> str:
    try:
        return markdown.listing("".join(session(text)), "console").rstrip()
    except Lacking:
        return ""


class Lacking(Exception):
    """A command needs a framework that is not installed."""


def session(text: str) -> Iterator[str]:
    """Commands, each followed by what it prints; `# exits N` after one says how it ends, if not with 0."""
    for command in text.splitlines():
        line, _, wanted = command.removeprefix("$ ").partition("  # exits ")
        printed, code = run(shlex.split(line))
        if code == ExitCode.MISSING:
            raise Lacking
        if code != int(wanted or 0):
            raise AssertionError(f"{line} ends with {code}:\n{printed}")
        yield f"$ {line}\n{printed}"


def run(words: list[str]) -> tuple[str, int]:
    """What one command prints, and its exit code."""
    assert words[0] == "specbuild"
    heard = TextIOWrapper(BytesIO(), encoding="utf-8")
    with redirect_stdout(heard), redirect_stderr(heard), patch.dict(os.environ, COLUMNS=WIDTH, NO_COLOR="1"):
        code = main(words[1:])
    heard.seek(0)
    return heard.read(), code


def pictured(name: str, text: str) -> str:
    return f"![{markdown.line(text.strip())}]({name})" if Path(name).exists() else ""


def emitted(words: str, _: str) -> str:
    name, backend, *wanted = words.split()
    text = load(Path(name)).source(backend)
    if wanted:
        lines = text.splitlines(keepends=True)
        [node] = [n for n in ast.parse(text).body if getattr(n, "name", "") == wanted[0]]
        assert isinstance(node, ast.ClassDef | ast.FunctionDef)
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        text = "".join(lines[first - 1 : node.end_lineno])
    return markdown.listing(text, "python").rstrip()


ACTIONS = {
    "spec": spec,
    "faulty": faulty,
    "mended": mended,
    "steps": steps,
    "terminal": terminal,
    "pictured": pictured,
    "table": lambda name, _: TABLES[name]().rstrip(),
    "emitted": emitted,
}
