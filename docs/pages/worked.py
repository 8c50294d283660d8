"""Hand-written pages with their examples worked: specs are checked, commands are run, code is what comes out.

A listing whose language is one of these in braces is replaced:

* `{spec} FILE` a whole spec: written to a file of the page, and checked;
* `{steps} AXES` steps after an input `x` with these axes: checked as a spec of their own;
* `{terminal}` lines of `$ specbuild ...`: run where the page's files are, each with what it prints;
* `{emitted} FILE BACKEND [NAME]` what the file compiles to, or the class or function of this name in it.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from unittest.mock import patch

from docs.pages import markdown
from specbuild import load
from specbuild.cli import main

LISTING = re.compile(r"^```\{(spec|steps|terminal|emitted)\}(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
WIDTH = "96"  # of the terminal


def worked(path: Path) -> str:
    """The page as Markdown that needs nothing but Sphinx."""
    with TemporaryDirectory() as folder, chdir(folder):
        try:
            return LISTING.sub(lambda m: ACTIONS[m[1]](m[2].strip(), m[3]), path.read_text(encoding="utf-8"))
        except Exception as error:
            error.add_note(f"in {path.name}")
            raise


def spec(name: str, text: str) -> str:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    if re.search("^steps:", text, re.MULTILINE):
        load(path)
    return f"~~~~{{code-block}} yaml\n:caption: {name}\n\n{text}~~~~"


def steps(axes: str, text: str) -> str:
    inputs = axes if axes.startswith("x:") or "\n" in axes else f"x: {axes}"
    load(f"specbuild: 1\nmodel: Fragment\ninputs: {{{inputs}}}\nsteps:\n{indent(text, '  ')}")
    return markdown.listing(text, "yaml").rstrip()


def terminal(_: str, text: str) -> str:
    return markdown.listing("".join(session(text)), "console").rstrip()


def session(text: str) -> Iterator[str]:
    """Commands, each followed by what it prints; `# exits N` after one says how it ends, if not with 0."""
    for command in text.splitlines():
        line, _, wanted = command.removeprefix("$ ").partition("  # exits ")
        printed, code = run(shlex.split(line))
        if code != int(wanted or 0):
            raise AssertionError(f"{line} ends with {code}:\n{printed}")
        yield f"$ {line}\n{printed}"


def run(words: list[str]) -> tuple[str, int]:
    """What one command prints, and its exit code. `cat FILE` is the only one that is not specbuild's."""
    if words[0] == "cat":
        return Path(words[1]).read_text(encoding="utf-8"), 0
    heard = StringIO()
    with redirect_stdout(heard), redirect_stderr(heard), patch.dict(os.environ, COLUMNS=WIDTH, NO_COLOR="1"):
        code = main(words[1:])
    return heard.getvalue(), code


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


ACTIONS = {"spec": spec, "steps": steps, "terminal": terminal, "emitted": emitted}
