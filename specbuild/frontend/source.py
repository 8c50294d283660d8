"""A spec file as plain data, with the place of every key and value kept beside it.

Parsing is PyYAML's, from its events; the rest is done in `specbuild.loader`, so that a spec means the same
everywhere: YAML 1.2 scalars, no tags, no merge keys, no key twice, and limits that hold before anything
is built.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from specbuild.diagnostics.errors import Location, SpecError, make_printable
from specbuild.frontend.decoding import BYTE_LIMIT, SpecText
from specbuild.frontend.yaml_composer import ValuePosition
from specbuild.frontend.yaml_parser import parse_yaml

__all__ = ["KeyPath", "Source", "SourceAddress"]

KeyPath = tuple[str | int, ...]


class Source:
    """A parsed spec file: `data` is plain Python, `place(path)` tells where a value stands."""

    file: str
    text: str
    data: Any

    def __init__(self, text: str | bytes, file: str = "<spec>") -> None:
        self._text = SpecText(text, file)
        self.file = file
        self.text = self._text.text
        self.data, self._root = parse_yaml(self._text)

    def __repr__(self) -> str:
        return f"Source({self.file!r})"

    @classmethod
    def read(cls, path: str | os.PathLike[str], display_name: str | None = None) -> Source:
        """The file at `path`, called `shown` in messages. Regular files only, and no more than the limit."""
        name = os.fspath(path) if display_name is None else display_name
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise _unreadable_error(name, "it is not a regular file")
            with FilePath(path).open("rb") as stream:
                content = stream.read(BYTE_LIMIT + 1)
        except FileNotFoundError:
            raise _unreadable_error(name, "there is no such file") from None
        except (OSError, ValueError) as error:
            raise _unreadable_error(name, getattr(error, "strerror", None) or str(error)) from None
        return cls(content, name)

    def location(self, path: KeyPath = (), offset: int = 0) -> Location:
        """Where the value at `path` stands, or its nearest ancestor that exists.

        `offset` counts characters into a text value, where they stand in the file as they are in the value.
        """
        position, found = self._find_spot(path)
        location = self._text.location_at(*position.start)
        if offset and found:
            location = self._offset_location(location, path, offset)
        return location

    def key_location(self, path: KeyPath) -> Location:
        """Where the key of the last element of `path` stands; for an item of a list, the item."""
        spot, _ = self._find_spot(path)
        return self._text.location_at(*(spot.key_start or spot.start))

    def address_of(self, path: KeyPath = ()) -> SourceAddress:
        return SourceAddress(self, path)

    def _find_spot(self, path: KeyPath) -> tuple[ValuePosition, bool]:
        spot = self._root
        for element in path:
            inside: Any = spot.children
            try:
                spot = inside[element]
            except (KeyError, IndexError, TypeError):
                return spot, False
        return spot, True

    def _offset_location(self, location: Location, path: KeyPath, offset: int) -> Location:
        value = self.data
        for element in path:
            value = value[element]
        if not isinstance(value, str):
            return location
        for quote in (0, 1):
            start = location.column - 1 + quote
            if location.text[start:].startswith(value):
                return replace(location, column=location.column + quote + offset)
        return location


@dataclass(frozen=True)
class SourceAddress:
    """The address of a value in a source, carried by everything made from it."""

    source: Source
    path: KeyPath = ()

    def child(self, *keys: str | int) -> SourceAddress:
        return SourceAddress(self.source, (*self.path, *keys))

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
        """A fault at this value, `offset` characters into its text; with `key`, at its key instead."""
        location = self.key_location if key else self.source.location(self.path, offset)
        return SpecError(code, message, location, hint, trail)


def _unreadable_error(name: str, reason: str) -> SpecError:
    return SpecError(
        "SB001", f"cannot read `{make_printable(name)}`: {make_printable(reason)}", None, "check the path"
    )
