"""Detect the kind of a weight file; read and write safetensors files.

A kind is a `FileKind` of a framework, or None for a safetensors file, which can have the names of any.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.backends.file_kind import FileKind
from specbuild.backends.registry import builtin_file_kinds
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagnostics.suggestions import join_names
from specbuild.runtimes.archive_limits import is_oversized
from specbuild.version import __version__

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

ENDING = ".safetensors"
ORIGIN_KEY = "specbuild"  # the metadata entry of specbuild's own files: version and model


@dataclass(frozen=True)
class WeightFile:
    """The content of a weight file: tensors by name, and the metadata of a safetensors file."""

    values: dict[str, Array]
    metadata: Mapping[str, str]


def detect_file_kind(path: Path) -> FileKind | None:
    """Detect the kind of a file from its first bytes; None is safetensors.

    Raises SpecError: SB803 if the file cannot be read, SB804 if it is not a weight file.
    """
    try:
        if not path.is_file():
            reason = "it is not a regular file" if path.exists() else "there is no such file"
            raise unreadable_error(path, reason)
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise unreadable_error(path, error.strerror or str(error)) from None
    if head.startswith(b"PK"):
        return detect_archive_kind(path)
    if head[8:9] == b"{":
        return None
    kinds = list(builtin_file_kinds())
    for kind in kinds:
        if kind.first_bytes and head.startswith(kind.first_bytes):
            return kind
    hint = f"readable are {join_names(['safetensors', *(kind.description for kind in kinds)])}"
    raise corrupt_error(path, "its format is unknown" if head else "it is empty", hint)


def detect_archive_kind(path: Path) -> FileKind:
    """Detect which framework wrote a zip archive, without unpacking anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise corrupt_error(path, f"its archive cannot be read: {error}") from None
    if any(is_oversized(m.file_size, m.compress_size) for m in members):
        raise corrupt_error(path, "a member is far larger than the data stored for it")
    names = {m.filename for m in members}
    for kind in builtin_file_kinds():
        if kind.is_own_archive is not None and kind.is_own_archive(names):
            return kind
    titles = list(dict.fromkeys(kind.title for kind in builtin_file_kinds()))
    raise corrupt_error(path, f"it is a zip archive, but not from {' or '.join(titles)}")


def kind_from_name(path: Path) -> FileKind | None:
    """The kind of an output file by the ending of its name; None is safetensors.

    Raises SpecError SB806 if the ending is unknown.
    """
    name = path.name.lower()
    if name.endswith(ENDING):
        return None
    kinds = {ending: kind for kind in builtin_file_kinds() for ending in kind.endings}
    for ending, kind in kinds.items():
        if name.endswith(ending):
            return kind
    hint = f"the known endings are {', '.join([ENDING, *kinds])}"
    for ending, kind in kinds.items():
        if path.suffix and ending.endswith(path.suffix.lower()):
            hint = f"name it {path.stem}{ending}: {kind.title} needs that ending"
    message = f"the ending of `{make_printable(str(path))}` is unknown"
    raise SpecError("SB806", message, hint=make_printable(hint))


def read_safetensors(path: Path) -> WeightFile:
    """Read a safetensors file; 16-bit floats become float32. Raises SpecError SB804 if it is invalid."""
    from safetensors import SafetensorError, safe_open  # imported late, like numpy

    values: dict[str, Array] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            for name, dtype in dtypes.items():
                if dtype not in NUMBER_TYPES:
                    reason = f"{name} has the unsupported type {dtype}"
                    raise corrupt_error(path, reason, "use floats of 16, 32 or 64 bits")
                if dtype != "BF16":
                    value = file.get_tensor(name)
                    values[name] = value.astype("float32") if dtype == "F16" else value
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise corrupt_error(path, f"it is not a safetensors file: {error}") from None
    if bfloat16_names := {name for name, dtype in dtypes.items() if dtype == "BF16"}:
        values |= read_bfloat16(path, bfloat16_names)
    return WeightFile(values, metadata)


NUMBER_TYPES = frozenset("F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL".split())


def read_bfloat16(path: Path, names: set[str]) -> dict[str, Array]:
    """Read tensors of bfloat16, which NumPy does not know, as float32; the values are the same."""
    import numpy as np
    from safetensors import deserialize

    return {
        name: (np.frombuffer(entry["data"], "<u2").astype("<u4") << 16).view("<f4").reshape(entry["shape"])
        for name, entry in deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
        if name in names
    }


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
    """The metadata of a canonical file; a single entry, because safetensors does not sort several."""
    return {ORIGIN_KEY: f"{__version__} {model}"}


def unreadable_error(path: Path, reason: str) -> SpecError:
    return SpecError("SB803", f"cannot read `{make_printable(str(path))}`: {make_printable(reason)}")


def corrupt_error(path: Path, reason: str, hint: str = "") -> SpecError:
    return SpecError(
        "SB804",
        f"`{make_printable(str(path))}` is not a valid weight file: {make_printable(reason, 400)}",
        hint=hint,
    )
