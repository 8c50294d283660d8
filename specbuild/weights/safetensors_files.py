"""Files of weights: what kind each is, and safetensors read and written."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.runtimes.archive_limits import is_oversized
from specbuild.version import __version__

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

FileKind: TypeAlias = Literal["safetensors", "torch", "h5", "keras"]

# By ending: what a file that is written will be.
KIND_BY_ENDING: dict[str, FileKind] = {
    ".safetensors": "safetensors",
    ".pt": "torch",
    ".pth": "torch",
    ".weights.h5": "h5",
    ".keras": "keras",
}
ORIGIN_KEY = "specbuild"  # under which our own files say who wrote them, and for which model

# What a pickle begins with, from protocol 2 on: a file of torch.save before PyTorch 1.6.
PICKLE_START = b"\x80"


@dataclass(frozen=True)
class WeightFile:
    """What a file holds: tensors by name, and what it says of itself."""

    values: dict[str, Array]
    metadata: Mapping[str, str]


def detect_file_kind(path: Path) -> FileKind:
    """What a file is, by what it holds; SB803 and SB804 where it is nothing that holds weights."""
    try:
        if not path.is_file():
            raise unreadable_error(
                path, "it is no regular file" if path.exists() else "there is no such file"
            )
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise unreadable_error(path, error.strerror or str(error)) from None
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "h5"
    if head.startswith(b"PK"):
        return detect_archive_kind(path)
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(PICKLE_START):
        return "torch"
    hint = "there are safetensors, state_dicts of torch.save (.pt, .pth), .weights.h5 and .keras"
    raise corrupt_error(path, "it is no file of weights" if head else "it is empty", hint)


def detect_archive_kind(path: Path) -> FileKind:
    """What a zip archive is: one of Keras, or one of torch.save. Nothing in it is run or unpacked."""
    try:
        with zipfile.ZipFile(path) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise corrupt_error(path, f"its archive cannot be read: {error}") from None
    if any(is_oversized(m.file_size, m.compress_size) for m in members):
        raise corrupt_error(path, "what it holds is far larger than what is stored of it")
    names = {m.filename for m in members}
    if "config.json" in names:
        return "keras"
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return "torch"
    raise corrupt_error(path, "it is a zip archive, but neither Keras nor PyTorch wrote it")


def kind_from_name(path: Path) -> FileKind:
    """What a file of this name is to be; SB806 if the name does not tell."""
    for end, kind in KIND_BY_ENDING.items():
        if path.name.lower().endswith(end):
            return kind
    known = ", ".join(KIND_BY_ENDING)
    hint = f"the endings are {known}"
    if path.name.lower().endswith(".h5"):
        hint = f"call it {path.name[:-3]}.weights.h5: Keras wants that ending"
    raise SpecError(
        "SB806",
        f"the ending of `{make_printable(str(path))}` does not say what to write",
        hint=make_printable(hint),
    )


def read_safetensors(path: Path) -> WeightFile:
    """The tensors of a safetensors file; floats of 16 bits become float32. SB804 for a bad one."""
    from safetensors import SafetensorError, safe_open  # only here, as numpy

    values: dict[str, Array] = {}
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            stored = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
            halves = [name for name, dtype in stored.items() if dtype == "BF16"]
            for name, dtype in stored.items():
                if dtype not in NUMBER_TYPES:
                    raise corrupt_error(
                        path, f"{name} is of type {dtype}", "give floats of 16, 32 or 64 bits"
                    )
                if dtype != "BF16":
                    value = opened.get_tensor(name)
                    values[name] = value.astype("float32") if dtype == "F16" else value
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise corrupt_error(path, f"it is no safetensors file: {error}") from None
    if halves:
        values |= read_bfloat16(path, set(halves))
    return WeightFile(values, metadata)


NUMBER_TYPES = frozenset("F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL".split())


def read_bfloat16(path: Path, names: set[str]) -> dict[str, Array]:
    """Tensors of bfloat16, which numpy does not know, as float32: the same numbers with more zeros."""
    import numpy as np
    from safetensors import deserialize

    return {
        name: (np.frombuffer(entry["data"], "<u2").astype("<u4") << 16).view("<f4").reshape(entry["shape"])
        for name, entry in deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
        if name in names
    }


def write_safetensors(path: Path, values: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """A safetensors file: names in order, so that equal weights are equal bytes."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    ordered = {name: np.array(values[name], order="C", copy=None) for name in sorted(values)}
    try:
        save_file(ordered, path, dict(metadata) or None)
    except SafetensorError as error:
        raise OSError(str(error)) from None


def origin_metadata(model: str) -> dict[str, str]:
    """What our own canonical file says of itself: in one entry, for safetensors has no order of several."""
    return {ORIGIN_KEY: f"{__version__} {model}"}


def unreadable_error(path: Path, reason: str) -> SpecError:
    return SpecError("SB803", f"cannot read `{make_printable(str(path))}`: {make_printable(reason)}")


def corrupt_error(path: Path, reason: str, hint: str = "") -> SpecError:
    return SpecError(
        "SB804", f"`{make_printable(str(path))}` holds no weights: {make_printable(reason, 400)}", hint=hint
    )
