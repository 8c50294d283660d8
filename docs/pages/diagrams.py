"""Pictures of blocks and models, where `specbuild draw` is there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from specbuild.cli import main


def diagram(*arguments: str) -> bytes | None:
    """What `specbuild draw` makes of these arguments, as SVG; None where it cannot draw that, or is not there."""
    if find_spec("specbuild.draw") is None or find_spec("specbuild.cli.draw") is None:
        return None
    with TemporaryDirectory() as folder:
        target = Path(folder) / "diagram.svg"
        main(["draw", *arguments, "-o", str(target)])
        return target.read_bytes() if target.is_file() else None
