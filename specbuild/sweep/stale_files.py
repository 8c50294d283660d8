"""Files of earlier runs in the folder of a sweep, which no manifest lists any more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from specbuild.compiler.output_files import file_state, remove_file

EMITTED = re.compile(r"\w+_[0-9a-f]{10}_\w+\.py")  # the name of a model by its content


def find_stale_files(folder: Path) -> list[Path]:
    """Return the emitted files in a folder that none of its manifests lists, without those edited by hand."""
    listed = {name for manifest in folder.glob("manifest*.jsonl") for name in list_files(manifest)}
    return sorted(
        path
        for path in folder.glob("*.py")
        if EMITTED.fullmatch(path.name) and path.name not in listed and file_state(path) == "outdated"
    )


def list_files(manifest: Path) -> Iterator[str]:
    """Yield the names of the files in a manifest."""
    for line in manifest.read_text(encoding="utf-8").splitlines():
        yield from (json.loads(line).get("files") or {}).values()


def remove_stale_files(paths: list[Path]) -> None:
    for path in paths:
        remove_file(path)
