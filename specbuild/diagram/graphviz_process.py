"""Graphviz, in a child process with a time limit: pygraphviz, which brings it along, or `dot` on the PATH."""

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
TIME_LIMIT = 20.0
MAX_MESSAGE = 200  # characters of what Graphviz says
SYSTEM_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts")


class LayoutTimeout(Exception):
    """A layout did not end in time."""


def run_graphviz(
    graphs: Sequence[str], program: str, format: str, seconds: float = TIME_LIMIT, other_fonts: bool = False
) -> list[bytes]:
    """Each graph as Graphviz draws it; raises SpecError if there is no Graphviz, TooSlow at the time limit.

    With `other_fonts`, the system's fonts serve for characters that the bundled one lacks.
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
        "Graphviz is not installed, which places the boxes of SVG, PNG and PDF",
        hint="in a checkout of specbuild: pip install '.[draw]'; or install Graphviz, so that `dot` is on the "
        "PATH; `--format dot` and `--format mermaid` need neither",
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
    return SpecError(
        "SB954",
        f"Graphviz is here, but failed: {make_printable(lines[-1], MAX_MESSAGE) if lines else 'it said nothing'}",
        hint="`--format dot` and `--format mermaid` do without it; `specbuild doctor` says which Graphviz is used",
    )


def write_font_config(folder: Path, others: bool) -> Path:
    """A font configuration with the bundled font, and the system's if it lacks characters.

    The fonts are copied: the font library leaves a file in every folder that it looks into.
    """
    own = folder / "fonts"
    own.mkdir()
    for path in FONTS.glob("*.otf"):
        shutil.copyfile(path, own / path.name)
    folders = [str(own), *(name for name in SYSTEM_FONTS if others and Path(name).is_dir())]
    path = folder / "fonts.conf"
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        + "".join(f"<dir>{escape(name)}</dir>" for name in folders)
        + f"<cachedir>{escape(str(folder / 'cache'))}</cachedir></fontconfig>",
        encoding="utf-8",
    )
    return path
