"""A spec file as plain data, with the location of every key and value.

PyYAML produces the parser events, and `yaml_composer` builds the data from them, so that a spec means the
same with every version of PyYAML: YAML 1.2 scalars, no tags, no merge keys, no duplicate keys, and limits
that are checked before the data is built.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path as FilePath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagnostics.errors import Location, SpecError, make_printable
from specbuild.frontend.decoding import BYTE_LIMIT, SpecText
from specbuild.frontend.regular_files import is_own_pipe, read_regular_file
from specbuild.frontend.yaml_composer import ValuePosition
from specbuild.frontend.yaml_parser import parse_yaml

__all__ = ["KeyPath", "Source", "SourceAddress", "resolve_path"]

KeyPath = tuple[str | int, ...]


SOURCE_NUMBERS = count()


class Source:
    """A parsed spec file: its `data`, and the location of each value by its path."""

    file: str
    text: str
    data: Any
    number: int  # of this object; unlike its `id`, no other object ever gets it

    def __init__(self, text: str | bytes, file: str = "<spec>") -> None:
        self.number = next(SOURCE_NUMBERS)
        self._text = SpecText(text, file)
        self.file = file
        self.text = self._text.text
        self.data, self._root = parse_yaml(self._text)
        self.other_words: dict[
            KeyPath, str
        ] = {}  # the keys that have another spelling in the file, and the spelling

    def __repr__(self) -> str:
        return f"Source({self.file!r})"

    @classmethod
    def read(cls, path: str | os.PathLike[str], display_name: str | None = None) -> Source:
        """Read and parse the file at `path`; errors call it `display_name`.

        Raises SB001 if it is not a readable regular file, and SB006 if it exceeds the size limit.
        """
        name = os.fspath(path) if display_name is None else display_name
        return cls(read_content(path, name), name)

    def location(self, path: KeyPath = (), offset: int = 0) -> Location:
        """Return the location of the value at `path`, or of its nearest existing ancestor.

        `offset` is an index into a text value. It is ignored if the file writes the value with escapes.
        """
        position, exists = self._find_position(path)
        location = self._text.location_at(*position.start)
        if offset and exists:
            location = self._offset_location(location, path, offset)
        return location

    def key_location(self, path: KeyPath) -> Location:
        """Return the location of the last key of `path`; for an item of a list, of the item."""
        position, _ = self._find_position(path)
        return self._text.location_at(*(position.key_start or position.start))

    def rename_key(self, path: KeyPath, name: str) -> None:
        """Give the last key of a path another name, in its place. A mapping that YAML repeats has it afterwards."""
        mapping: Any = self.address_of(path[:-1]).read_value()
        children: Any = self._find_position(path[:-1])[0].children
        for items in (mapping, children):
            renamed = {name if key == path[-1] else key: value for key, value in items.items()}
            items.clear()
            items.update(renamed)

    def address_of(self, path: KeyPath = ()) -> SourceAddress:
        return SourceAddress(self, path)

    def _find_position(self, path: KeyPath) -> tuple[ValuePosition, bool]:
        """Return the position of the value at `path` or of its nearest ancestor, and whether it exists."""
        position = self._root
        for key in path:
            children: Any = position.children
            try:
                position = children[key]
            except (KeyError, IndexError, TypeError):
                return position, False
        return position, True

    def _offset_location(self, location: Location, path: KeyPath, offset: int) -> Location:
        value = self.data
        for key in path:
            value = value[key]
        if not isinstance(value, str):
            return location
        for quote in (0, 1):
            start = location.column - 1 + quote
            if location.text[start:].startswith(value):
                return replace(location, column=location.column + quote + offset)
        return location


def read_content(path: str | os.PathLike[str], name: str) -> bytes:
    """Return the bytes of a file that errors call `name`; raises SB001 if it cannot be read.

    It is a regular file, or a pipe of this process: what waits for others is refused.
    """
    try:
        if is_own_pipe(path):
            with FilePath(path).open("rb") as stream:
                return stream.read(BYTE_LIMIT + 1)
        return read_regular_file(path, BYTE_LIMIT + 1)
    except FileNotFoundError:
        raise _unreadable_error(name, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise _unreadable_error(name, getattr(error, "strerror", None) or str(error)) from None


class SourceAddress(Struct, frozen=True):
    """The address of a value: a source and a path in its data."""

    source: Source
    path: KeyPath = ()

    def child(self, *keys: str | int) -> SourceAddress:
        return SourceAddress(self.source, (*self.path, *keys))

    def read_value(self) -> Any:
        """Return the value in the file; None where it has none, as for an argument that the caller gives."""
        value = self.source.data
        try:
            for key in self.path:
                value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
        return value

    @property
    def location(self) -> Location:
        return self.source.location(self.path)

    @property
    def key_location(self) -> Location:
        return self.source.key_location(self.path)

    def error(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        key: bool = False,
        offset: int = 0,
        trail: tuple[str, ...] = (),
    ) -> SpecError:
        """Return an error at this value, at index `offset` of its text; with `key`, at its key instead."""
        location = self.key_location if key else self.source.location(self.path, offset)
        return SpecError(code, message, location, hint, trail)


def resolve_path(path: FilePath) -> FilePath:
    """Return the absolute path without symbolic links.

    Raises SB001 if that is impossible: for links in a circle, names that are too long, or closed folders.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or "it cannot be resolved"
        raise _unreadable_error(os.fspath(path), reason) from None


def _unreadable_error(name: str, reason: str) -> SpecError:
    return SpecError(
        "SB001", f"cannot read `{make_printable(name)}`: {make_printable(reason)}", None, "check the path"
    )
