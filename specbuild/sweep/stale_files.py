"""Files of earlier runs in the folder of a sweep, which no manifest lists any more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from specbuild.compiler.output_files import file_state, remove_file
from specbuild.diagnostics.errors import SpecError, make_printable

EMITTED = re.compile(r"\w+_[0-9a-f]{10}_\w+\.py")  # the name of a model by its content


def find_stale_files(folder: Path) -> list[Path]:
    """Return the emitted files in a folder that none of its manifests lists, without those edited by hand.

    Raises SB702 if one of the manifests cannot be read: it may list any of the files.
    """
    listed = {name for manifest in sorted(folder.glob("manifest*.jsonl")) for name in list_files(manifest)}
    return sorted(path for path in folder.glob("*.py") if path.name not in listed and is_emitted(path))


def list_files(manifest: Path) -> Iterator[str]:
    """Yield the names of the files in a manifest. Raises SB702 if it is none."""
    try:
        if not manifest.is_file():  # a pipe would block
            raise ValueError("no regular file")
        with open(manifest, encoding="utf-8") as lines:
            for line in lines:
                yield from (json.loads(line).get("files") or {}).values()
    except (OSError, ValueError, AttributeError, RecursionError):
        message = (
            f"no file counts as one of an earlier run, since `{make_printable(str(manifest))}` is no manifest"
        )
        raise SpecError("SB702", message, hint="move it to another folder") from None


def is_emitted(path: Path) -> bool:
    """Return whether an earlier run wrote a file, and nobody changed it since."""
    is_named_by_content = EMITTED.fullmatch(path.name) is not None
    return is_named_by_content and path.is_file() and file_state(path) == "outdated"


def remove_stale_files(paths: list[Path]) -> None:
    for path in paths:
        remove_file(path)
