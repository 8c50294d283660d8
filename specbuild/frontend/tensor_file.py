"""Read the tensors of a safetensors file beside a spec, without NumPy and without trust in the file.

The format: eight bytes with the length of the header, the header in JSON, then the numbers. Nothing else is read, and
nothing is executed. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import hashlib
import json
import struct
from array import array
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from specbuild.frontend.regular_files import read_regular_file
from specbuild.ops.given_tensor import MAX_GIVEN, GivenTensor, TensorFile

MAX_BYTES = 64 * 2**20
MAX_HEADER = 2**20
MAX_AXES = 16
ITEM_SIZES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
INTEGER_FORMATS = {"I64": "q", "I32": "i", "I16": "h", "I8": "b", "U8": "B"}
INT32 = range(-(2**31), 2**31)


class TensorFileError(Exception):
    """The file cannot be used; the message says why. `is_too_large`: it exceeds a limit."""

    def __init__(self, message: str, hint: str = "", is_too_large: bool = False):
        super().__init__(message)
        self.hint, self.is_too_large = hint, is_too_large


def read_tensor_file(path: Path, name: str) -> TensorFile:
    """Read a regular file, which the spec calls `name`. Raises TensorFileError."""
    try:
        content = read_regular_file(path, MAX_BYTES + 1)
    except OSError as error:
        raise TensorFileError(error.strerror or str(error)) from None
    if len(content) > MAX_BYTES:
        hint = "make large tables a `weight` with `trained: false`, and load its values"
        raise TensorFileError(f"it is larger than {MAX_BYTES // 2**20} MiB", hint, is_too_large=True)
    return TensorFile(name, dict(parse_tensors(content)), hashlib.sha256(content).hexdigest())


def parse_tensors(content: bytes) -> Iterator[tuple[str, GivenTensor]]:
    """Yield the tensors of a safetensors file by name, in the order of the names."""
    header, data = split_content(content)
    for name in sorted(header):
        if name == "__metadata__":
            continue
        yield name, parse_tensor(name, header[name], data)


def split_content(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the header of a safetensors file, and the bytes of its numbers."""
    hint = "save it with `safetensors.torch.save_file` or `safetensors.numpy.save_file`"
    size = int.from_bytes(content[:8], "little")
    if content[8:9] != b"{":
        is_pickle = content[:1] == b"\x80" or content[:2] == b"PK"  # a zip archive of torch.save
        reason = "it is a pickle, which is never opened" if is_pickle else "it is not a safetensors file"
        raise TensorFileError(reason, hint)
    if size > len(content) - 8:
        raise TensorFileError("it is cut off")
    if size > MAX_HEADER:
        raise TensorFileError(f"its header is larger than {MAX_HEADER // 2**20} MiB", is_too_large=True)
    try:
        header = json.loads(content[8 : 8 + size].decode("utf-8"), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        raise TensorFileError("its header is not valid JSON") from None
    if not isinstance(header, dict):
        raise TensorFileError("its header is not a mapping")
    return header, memoryview(content)[8 + size :]


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError if it has a key twice."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key is given twice")
    return mapping


def parse_tensor(name: str, entry: Any, data: memoryview) -> GivenTensor:
    """Return one tensor, by its entry in the header."""
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(end)]}:
            pass
        case _:
            raise TensorFileError(f"the entry of {name!r} in its header is not valid")
    if dtype not in ITEM_SIZES:
        hint = f"use one of {', '.join(ITEM_SIZES)}"
        raise TensorFileError(f"{name!r} has the type {dtype!r}, which is not supported", hint)
    is_shape = len(shape) <= MAX_AXES and all(type(n) is int and 0 < n <= MAX_BYTES for n in shape)
    if not is_shape or not 0 <= start <= end <= len(data) or prod(shape) * ITEM_SIZES[dtype] != end - start:
        raise TensorFileError(f"the shape of {name!r} does not fit the bytes that the file has for it")
    if prod(shape) > MAX_GIVEN:
        message = f"{name!r} has {prod(shape):,} numbers; a table has at most {MAX_GIVEN:,}"
        raise TensorFileError(message, is_too_large=True)
    format, numbers = decode_numbers(name, dtype, bytes(data[start:end]))
    return GivenTensor(format, tuple(shape), numbers)


def decode_numbers(name: str, dtype: str, data: bytes) -> tuple[str, bytes]:
    """Return the format and the bytes of a GivenTensor."""
    if dtype == "BOOL":
        if not set(data) <= {0, 1}:
            raise TensorFileError(f"{name!r} is of type BOOL and has bytes other than 0 and 1")
        return "?", data
    if dtype in INTEGER_FORMATS:
        integers = read_array(INTEGER_FORMATS[dtype], data)
        if integers and (min(integers) not in INT32 or max(integers) not in INT32):
            raise TensorFileError(f"{name!r} has integers of more than 32 bits")
        return "i", array("i", integers).tobytes()
    if dtype == "F16":
        floats = array("f", struct.unpack(f"<{len(data) // 2}e", data))
    elif dtype == "BF16":  # the upper half of a float32
        bits = array("I", (n << 16 for n in read_array("H", data)))
        floats = array("f", bits.tobytes())
    else:
        floats = read_array("f" if dtype == "F32" else "d", data)
    if any(x != x for x in floats):
        raise TensorFileError(f"{name!r} has NaN")
    return floats.typecode, floats.tobytes()


def read_array(typecode: str, data: bytes) -> array[Any]:
    """Return little-endian numbers as an array."""
    numbers: array[Any] = array(typecode, data)
    if struct.pack("=H", 1) != b"\x01\x00":
        numbers.byteswap()
    return numbers
