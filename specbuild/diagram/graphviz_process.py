"""Runs Graphviz in a child process with a time limit: pygraphviz if it is installed, else `dot` on the PATH."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagram.text_metrics import FONTS

WORKER_FILE = Path(__file__).with_name("graphviz_worker.py")
TIME_LIMIT = 20.0  # seconds
MAX_MESSAGE = 200  # characters of a message of Graphviz
SYSTEM_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts")


class LayoutTimeout(Exception):
    """Graphviz did not finish in time."""


def run_graphviz(
    graphs: Sequence[str], program: str, format: str, seconds: float = TIME_LIMIT, other_fonts: bool = False
) -> list[bytes]:
    """Draw graphs in the DOT language, and return the bytes of each.

    With `other_fonts`, system fonts are used for characters that the bundled font lacks.
    Raises LayoutTimeout at the time limit, SB951 without Graphviz, and SB954 if Graphviz fails.
    """
    if not graphs:
        return []
    with tempfile.TemporaryDirectory(prefix="specbuild-") as folder:
        environment = {**os.environ, "FONTCONFIG_FILE": str(write_font_config(Path(folder), other_fonts))}
        try:
            if find_spec("pygraphviz") is not None:
                return run_pygraphviz(graphs, program, format, seconds, environment)
            if tool := shutil.which("dot"):
                return [run_dot(tool, text, program, format, seconds, environment) for text in graphs]
        except subprocess.TimeoutExpired:
            raise LayoutTimeout from None
    raise SpecError(
        "SB951",
        "SVG, PNG and PDF need Graphviz, which is not installed",
        hint="in a checkout of specbuild: pip install '.[draw]'; or install Graphviz so that `dot` is on the "
        "PATH; `--format dot` and `--format mermaid` do not need it",
    )


def run_pygraphviz(
    graphs: Sequence[str], program: str, format: str, seconds: float, environment: dict[str, str]
) -> list[bytes]:
    request = json.dumps({"graphs": list(graphs), "program": program, "format": format})
    done = subprocess.run(
        [sys.executable, "-P", str(WORKER_FILE)],
        input=request.encode(),
        capture_output=True,
        timeout=seconds,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise graphviz_error(done.stderr)
    return [base64.b64decode(item) for item in json.loads(done.stdout)]


def run_dot(
    tool: str, text: str, program: str, format: str, seconds: float, environment: dict[str, str]
) -> bytes:
    done = subprocess.run(
        [tool, f"-K{program}", f"-T{format}"],
        input=text.encode(),
        capture_output=True,
        timeout=seconds,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise graphviz_error(done.stderr)
    return done.stdout


def graphviz_error(stderr: bytes) -> SpecError:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    reason = make_printable(lines[-1], MAX_MESSAGE) if lines else "it printed no message"
    return SpecError(
        "SB954",
        f"Graphviz is installed, but failed: {reason}",
        hint="`--format dot` and `--format mermaid` do not need it; `specbuild doctor` shows which Graphviz "
        "is used",
    )


def write_font_config(folder: Path, others: bool) -> Path:
    """Write a font configuration with the bundled font, and with the system's fonts if `others`.

    Returns its path. The bundled fonts are copied to `folder`: fontconfig writes a file into each font folder.
    """
    bundled = folder / "fonts"
    bundled.mkdir()
    for path in FONTS.glob("*.otf"):
        shutil.copyfile(path, bundled / path.name)
    folders = [str(bundled), *(name for name in SYSTEM_FONTS if others and Path(name).is_dir())]
    path = folder / "fonts.conf"
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        + "".join(f"<dir>{escape(name)}</dir>" for name in folders)
        + f"<cachedir>{escape(str(folder / 'cache'))}</cachedir></fontconfig>",
        encoding="utf-8",
    )
    return path
