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

from specbuild.diagnostics.errors import Place, SpecError, printable
from specbuild.frontend.decoding import BYTE_LIMIT, SpecText
from specbuild.frontend.yaml_composer import Spot
from specbuild.frontend.yaml_parser import parse

__all__ = ["At", "Path", "Source"]

Path = tuple[str | int, ...]


class Source:
    """A parsed spec file: `data` is plain Python, `place(path)` tells where a value stands."""

    file: str
    text: str
    data: Any

    def __init__(self, text: str | bytes, file: str = "<spec>") -> None:
        self._text = SpecText(text, file)
        self.file = file
        self.text = self._text.text
        self.data, self._root = parse(self._text)

    def __repr__(self) -> str:
        return f"Source({self.file!r})"

    @classmethod
    def read(cls, path: str | os.PathLike[str], shown: str | None = None) -> Source:
        """The file at `path`, called `shown` in messages. Regular files only, and no more than the limit."""
        name = os.fspath(path) if shown is None else shown
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise _unreadable(name, "it is not a regular file")
            with FilePath(path).open("rb") as stream:
                content = stream.read(BYTE_LIMIT + 1)
        except FileNotFoundError:
            raise _unreadable(name, "there is no such file") from None
        except (OSError, ValueError) as error:
            raise _unreadable(name, getattr(error, "strerror", None) or str(error)) from None
        return cls(content, name)

    def place(self, path: Path = (), offset: int = 0) -> Place:
        """Where the value at `path` stands, or its nearest ancestor that exists.

        `offset` counts characters into a text value, where they stand in the file as they are in the value.
        """
        spot, found = self._spot(path)
        place = self._text.place(*spot.at)
        if offset and found:
            place = self._into(place, path, offset)
        return place

    def key_place(self, path: Path) -> Place:
        """Where the key of the last element of `path` stands; for an item of a list, the item."""
        spot, _ = self._spot(path)
        return self._text.place(*(spot.key or spot.at))

    def at(self, path: Path = ()) -> At:
        return At(self, path)

    def _spot(self, path: Path) -> tuple[Spot, bool]:
        spot = self._root
        for element in path:
            inside: Any = spot.inside
            try:
                spot = inside[element]
            except (KeyError, IndexError, TypeError):
                return spot, False
        return spot, True

    def _into(self, place: Place, path: Path, offset: int) -> Place:
        value = self.data
        for element in path:
            value = value[element]
        if not isinstance(value, str):
            return place
        for quote in (0, 1):
            start = place.column - 1 + quote
            if place.text[start:].startswith(value):
                return replace(place, column=place.column + quote + offset)
        return place


@dataclass(frozen=True)
class At:
    """The address of a value in a source, carried by everything made from it."""

    source: Source
    path: Path = ()

    def child(self, *keys: str | int) -> At:
        return At(self.source, (*self.path, *keys))

    @property
    def place(self) -> Place:
        return self.source.place(self.path)

    @property
    def key_place(self) -> Place:
        return self.source.key_place(self.path)

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
        place = self.key_place if key else self.source.place(self.path, offset)
        return SpecError(code, message, place, hint, trail)


def _unreadable(name: str, reason: str) -> SpecError:
    return SpecError("SB001", f"cannot read `{printable(name)}`: {printable(reason)}", None, "check the path")
