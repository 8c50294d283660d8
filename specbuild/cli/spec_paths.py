"""Where a spec on the command line is: in a file, or in the library."""

from __future__ import annotations

from pathlib import Path

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagnostics.suggestions import suggest_name
from specbuild.frontend.library import library_files, resolve_library_path

LIBRARY_PREFIX = "library:"  # of a spec that is a file of the library, as in imports


def spec_path(spec: str) -> Path:
    """Return the path of a spec: of `library:backbones/resnet.yaml`, that in the library. Raises SB001."""
    if not spec.startswith(LIBRARY_PREFIX):
        return Path(spec)
    path = resolve_library_path(spec.removeprefix(LIBRARY_PREFIX))
    if path is None:
        files = [f"{LIBRARY_PREFIX}{name}" for name in library_files()]
        found = suggest_name(
            spec, files, otherwise="`specbuild library show NAME` says in which file a block is"
        )
        raise SpecError("SB001", f"the library has no file {make_printable(spec)!r}", None, found)
    return path
