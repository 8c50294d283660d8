"""Detect the kind of a weight file; read and write safetensors files.

A kind is a `FileKind` of a framework, or None for a safetensors file, which can have the names of any.
"""

from __future__ import annotations

import json
import mmap
import os
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from specbuild.backends.file_kind import FileKind
from specbuild.backends.registry import all_file_kinds
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagnostics.suggestions import join_names
from specbuild.frontend.regular_files import read_regular_file
from specbuild.runtimes.archive_limits import (
    ARCHIVE_ERRORS,
    MAX_INDEX,
    MAX_TENSORS,
    TOO_LONG,
    TOO_MANY,
    is_oversized,
)
from specbuild.version import __version__

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

ENDING = ".safetensors"
ORIGIN_KEY = "specbuild"  # the metadata entry of specbuild's own files: version and model


class WeightFile(Struct, frozen=True):
    """The content of a weight file: tensors by name, and the metadata of a safetensors file."""

    values: dict[str, Array]
    metadata: Mapping[str, str]


def detect_file_kind(path: Path) -> FileKind | None:
    """Detect the kind of a file from its first bytes; None is safetensors.

    Raises SpecError: SB803 if the file cannot be read, SB804 if it is not a weight file.
    """
    try:
        head = read_regular_file(path, 16)
    except FileNotFoundError:
        raise unreadable_error(path, "there is no such file") from None
    except OSError as error:
        raise unreadable_error(path, error.strerror or str(error)) from None
    if head[8:9] == b"{" and not head.startswith(b"PK"):
        return None
    if path.name.lower().endswith(ENDING) and head:
        hint = "name it as what it is, such as .pt, .weights.h5 or .keras"
        raise corrupt_error(path, "its name says safetensors, and its content is something else", hint)
    if head.startswith(b"PK"):
        return detect_archive_kind(path)
    for kind in all_file_kinds():
        if kind.first_bytes and head.startswith(kind.first_bytes):
            return kind
    hint = f"readable are {join_names(['safetensors', *(kind.description for kind in all_file_kinds())])}"
    raise corrupt_error(path, "its format is unknown" if head else "it is empty", hint)


def detect_archive_kind(path: Path) -> FileKind:
    """Detect which framework wrote a zip archive, without unpacking anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except ARCHIVE_ERRORS as error:
        raise corrupt_error(path, f"its archive cannot be read: {error}") from None
    if any(is_oversized(m.file_size, m.compress_size) for m in members):
        raise corrupt_error(path, "a member is far larger than the data stored for it")
    if len(members) > 2 * MAX_TENSORS:  # a framework has one for each tensor, and few others
        raise corrupt_error(path, TOO_MANY)
    if any(m.file_size > MAX_INDEX for m in members if m.filename.endswith("data.pkl")):
        raise corrupt_error(path, TOO_LONG)
    names = {m.filename for m in members}
    for kind in all_file_kinds():
        if kind.is_own_archive is not None and kind.is_own_archive(names):
            return kind
    titles = list(dict.fromkeys(k.title for k in all_file_kinds() if k.is_own_archive is not None))
    raise corrupt_error(path, f"it is a zip archive, but not from {' or '.join(titles)}")


def kind_from_name(path: Path) -> FileKind | None:
    """Return the kind of an output file by the ending of its name; None is safetensors.

    Raises SpecError SB806 if the ending is unknown.
    """
    name = path.name.lower()
    if name.endswith(ENDING):
        return None
    for kind in all_file_kinds():
        if name.endswith(kind.endings):
            return kind
    kinds = {ending: kind for kind in all_file_kinds() for ending in kind.endings}
    hint = f"the known endings are {', '.join([ENDING, *kinds])}"
    for ending, kind in kinds.items():
        if path.suffix and ending.endswith(path.suffix.lower()):
            hint = f"name it {path.stem}{ending}: {kind.title} needs that ending"
    message = f"the ending of `{make_printable(str(path))}` is unknown"
    raise SpecError("SB806", message, hint=make_printable(hint))


def read_safetensors(path: Path) -> WeightFile:
    """Read a safetensors file; 16-bit floats become float32. Raises SpecError SB804 if it is invalid.

    The tensors are views of the file, which is mapped into memory: a conversion copies them once, into its output.
    """
    from safetensors import SafetensorError, safe_open  # imported late, like numpy

    try:
        with path.open("rb") as stream:
            if int.from_bytes(stream.read(8), "little") > min(MAX_INDEX, path.stat().st_size):
                raise corrupt_error(path, f"it is not a safetensors file, or {TOO_LONG}")
        with safe_open(path, framework="numpy") as file:  # checks the whole header
            metadata, names = file.metadata() or {}, list(file.keys())
        if len(names) > MAX_TENSORS:
            raise corrupt_error(path, TOO_MANY)
        content = map_file(path)
        header_end = 8 + int.from_bytes(content[:8], "little")
        entries = json.loads(content[8:header_end])
        values = {name: view_tensor(path, name, entries[name], content, header_end) for name in names}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise corrupt_error(path, f"it is not a safetensors file: {error}") from None
    return WeightFile(values, metadata)


def map_file(path: Path) -> mmap.mmap | bytes:
    """Return the content of a file: mapped into memory, except on Windows, where a mapped file cannot be replaced."""
    if os.name != "posix":
        return path.read_bytes()
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


NUMPY_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "BOOL": "?",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
}


def view_tensor(
    path: Path, name: str, entry: Mapping[str, Any], content: mmap.mmap | bytes, header_end: int
) -> Array:
    """Return a tensor of a safetensors file, by its entry in the header. Raises SpecError SB804 for its type."""
    import numpy as np

    dtype, shape = entry["dtype"], entry["shape"]
    if dtype not in NUMPY_TYPES:
        reason = f"{name} has the unsupported type {dtype}"
        raise corrupt_error(path, reason, "use floats of 16, 32 or 64 bits")
    offset = header_end + entry["data_offsets"][0]
    value = np.frombuffer(content, NUMPY_TYPES[dtype], prod(shape), offset).reshape(shape)
    if dtype == "F16":
        return value.astype("float32")
    # NumPy has no bfloat16: it is the upper half of a float32
    return (value.astype("<u4") << 16).view("<f4") if dtype == "BF16" else value


def write_safetensors(path: Path, values: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file. The names are sorted, so that equal weights give equal bytes."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    ordered = {name: np.array(values[name], order="C", copy=None) for name in sorted(values)}
    try:
        save_file(ordered, path, dict(metadata) or None)
    except SafetensorError as error:
        raise OSError(str(error)) from None


def origin_metadata(model: str) -> dict[str, str]:
    """Return the metadata of a canonical file; a single entry, because safetensors does not sort several."""
    return {ORIGIN_KEY: f"{__version__} {model}"}


def unreadable_error(path: Path, reason: str) -> SpecError:
    return SpecError("SB803", f"cannot read `{make_printable(str(path))}`: {make_printable(reason)}")


def corrupt_error(path: Path, reason: str, hint: str = "") -> SpecError:
    return SpecError(
        "SB804",
        f"`{make_printable(str(path))}` is not a valid weight file: {make_printable(reason, 400)}",
        hint=hint,
    )
