"""Where a spec is that a path names: in a file, or in the library (`library:backbones/resnet.yaml`)."""

from __future__ import annotations

import re
from pathlib import Path

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagnostics.suggestions import suggest_name
from specbuild.frontend.library import (
    LIBRARY,
    find_library_file,
    full_library_names,
    library_files,
    library_index,
    library_reference,
    library_variants,
    model_name,
    resolve_library_path,
)

LIBRARY_PREFIX = "library:"  # of a spec that is a file of the library, as in imports
SHOW_HINT = "`specbuild library show NAME` says in which file a block is"


def spec_path(spec: str) -> Path:
    """Return the path of a spec: of `library:backbones/resnet.yaml`, that in the library. Raises SB001."""
    if not spec.startswith(LIBRARY_PREFIX):
        path = Path(spec)
        if re.fullmatch(r"\w+", spec) and not path.exists() and (hint := suggest_library_file(spec)):
            raise SpecError("SB001", f"there is no file {make_printable(spec)!r}", None, hint)
        return path
    name = spec.removeprefix(LIBRARY_PREFIX)
    library_path = resolve_library_path(name)
    if library_path is None:
        files = [f"{LIBRARY_PREFIX}{file}" for file in library_files()]
        found = suggest_library_file(name) or suggest_name(spec, files, otherwise=SHOW_HINT)
        raise SpecError("SB001", f"the library has no file {make_printable(spec)!r}", None, found)
    return library_path


def suggest_library_file(word: str) -> str:
    """Return a hint for the name of a block, a model or a variant of the library; "" for other names."""
    block = word if find_library_file(word) else full_library_names().get(word, "")
    block = block or next((model for model in library_index() if word in library_variants(model)), "")
    path = find_library_file(block) if block else None
    if path is None:
        return ""
    if model_name(path) != block:
        return (
            f"it is a block of the library: `specbuild library show {block}` describes it, and prints its code with "
            f"`--backend torch`; `specbuild draw --block {block}` draws it"
        )
    options = f" --variant {word}" if word in library_variants(block) else ""
    return f"the library has it: write `{library_reference(path, LIBRARY.parent)}{options}`"
