"""Parser events to plain data and places, within limits that are checked before anything is built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import yaml

from specbuild.errors import Place, SpecError, printable
from specbuild.loader.scalars import Scalar, read_plain
from specbuild.loader.text import REFUSED, SpecText, refused_character

MOST_NESTING = 64
MOST_VALUES = 100_000
MOST_ALIASES = 100
MOST_CHARACTERS = 4_096

Position = tuple[int, int]  # line and column, from zero


@dataclass(slots=True)
class Spot:
    """Where a value and its key stand, and the spots of what is in it (shared by anchor and aliases)."""

    at: Position
    key: Position | None = None
    inside: dict[str, Spot] | list[Spot] | None = None


@dataclass(slots=True)
class _Value:
    """A finished value; `size` counts its keys and values, `height` its levels."""

    data: Any
    spot: Spot
    size: int
    height: int


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read; `size` is the count of everything before it."""

    data: dict[str, Any] | list[Any]
    spot: Spot
    anchor: str | None
    size: int
    key: str | None = None
    key_at: Position = (0, 0)
    height: int = 0


def compose(events: Iterable[yaml.Event], text: SpecText) -> tuple[Any, Spot]:
    """The one document in `events`: its data, and where everything in it stands."""
    return _Composer(text).run(events)


class _Composer:
    def __init__(self, text: SpecText) -> None:
        self.text = text
        self.started = False
        self.root: _Value | None = None  # stays None in a document without content
        self.open: list[_Open] = []
        self.anchors: dict[str, _Value | None] = {}  # None while the value is being read
        self.values = 0
        self.aliases = 0

    def run(self, events: Iterable[yaml.Event]) -> tuple[Any, Spot]:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self.scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self.start(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.end()
            elif isinstance(event, yaml.AliasEvent):
                self.alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                if self.started:
                    raise self.second_document(self.position(event))
                self.started = True
            elif isinstance(event, yaml.DocumentEndEvent) and event.explicit:
                self.nothing_after(self.position(event)[0])
        if self.root is None:
            raise SpecError(
                "SB007", "the file is empty", self.text.place(0, 0), "see `specbuild init` for a start"
            )
        return self.root.data, self.root.spot

    def scalar(self, event: yaml.ScalarEvent) -> None:
        at = self.position(event)
        self.plain_data(event, at)
        place = self.text.place(*at)
        if len(event.value) > MOST_CHARACTERS:
            raise SpecError("SB006", f"more than {MOST_CHARACTERS:,} characters in one piece of text", place)
        if wrong := REFUSED.search(event.value):
            raise refused_character(wrong.group(), place)
        self.count(1, at)
        within = self.open[-1] if self.open else None
        if within and isinstance(within.data, dict) and within.key is None:
            key = self.key(event, place)
            self.anchor(event.anchor, _Value(key, Spot(at), 1, 0), at)
            self.take_key(within, key, at)
            return
        data = event.value if event.style else self.plain(event, place)
        absent = not event.style and not event.value and not event.anchor
        if absent and not within:
            return
        if absent and within and within.key is not None:
            at = within.key_at  # a value that is not there stands at its key
        value = _Value(data, Spot(at), 1, 0)
        self.anchor(event.anchor, value, at)
        self.add(value)

    def plain(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        try:
            return read_plain(event.value)
        except ValueError as error:
            shown = printable(event.value, 40)
            raise SpecError("SB012", f"`{shown}`: {error}", place, "if it is text, quote it") from None

    def key(self, event: yaml.ScalarEvent, place: Place) -> str:
        text = event.value
        if event.style:
            return text
        if text == "<<":
            raise SpecError(
                "SB010",
                "merge keys (`<<`) are not used in a spec",
                place,
                "write the keys out, or make a block of them",
            )
        try:
            is_text = isinstance(read_plain(text), str)
        except ValueError:
            is_text = False
        if not is_text:
            shown = printable(text)
            raise SpecError(
                "SB011",
                f"the key `{shown}` reads as a number, a bool or null; keys are text"
                if text
                else "a key is missing here",
                place,
                f'quote it: "{shown}"' if text else "write a key before the `:`",
            )
        return text

    def take_key(self, within: _Open, key: str, at: Position) -> None:
        inside = cast(dict[str, Spot], within.spot.inside)
        if key in within.data:
            before = inside[key].key or inside[key].at
            raise SpecError(
                "SB004",
                f"`{printable(key)}` is given twice",
                self.text.place(*at),
                f"it was first given at line {before[0] + 1}, column {before[1] + 1}; remove one of the two",
            )
        within.key, within.key_at = key, at

    def start(self, event: yaml.CollectionStartEvent) -> None:
        at = self.position(event)
        self.plain_data(event, at)
        self.not_a_key(at)
        self.nested(len(self.open) + 1, at)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        spot = Spot(at, inside={} if is_mapping else [])
        self.anchor(event.anchor, None, at)
        self.open.append(_Open({} if is_mapping else [], spot, event.anchor, self.values))
        self.count(1, at)

    def end(self) -> None:
        done = self.open.pop()
        value = _Value(done.data, done.spot, self.values - done.size, done.height + 1)
        if done.anchor:
            self.anchors[done.anchor] = value
        self.add(value)

    def alias(self, event: yaml.AliasEvent) -> None:
        at = self.position(event)
        place = self.text.place(*at)
        anchor = str(event.anchor)
        name = printable(anchor)
        self.not_a_key(at)
        if anchor not in self.anchors:
            hint = f"to mean text or an expression, quote it; an alias needs `&{name}` before it in this file"
            raise SpecError(
                "SB010", f"`*{name}` is a YAML alias, and nothing is marked `&{name}`", place, hint
            )
        value = self.anchors[anchor]
        if value is None:
            raise SpecError("SB010", f"`*{name}` stands inside the value that it repeats", place)
        self.aliases += 1
        if self.aliases > MOST_ALIASES:
            raise SpecError(
                "SB006", f"more than {MOST_ALIASES} aliases", place, "make a block or a parameter of it"
            )
        self.count(value.size, at)
        self.nested(len(self.open) + value.height, at)
        self.add(_Value(_copy(value.data), Spot(at, inside=value.spot.inside), value.size, value.height))

    def add(self, value: _Value) -> None:
        """Put a finished value where it belongs."""
        if not self.open:
            self.root = value
            return
        within = self.open[-1]
        within.height = max(within.height, value.height)
        if isinstance(within.data, dict):
            key = cast(str, within.key)
            within.data[key] = value.data
            value.spot.key = within.key_at
            cast(dict[str, Spot], within.spot.inside)[key] = value.spot
            within.key = None
        else:
            within.data.append(value.data)
            cast(list[Spot], within.spot.inside).append(value.spot)

    def anchor(self, name: str | None, value: _Value | None, at: Position) -> None:
        if name is None:
            return
        if name in self.anchors:
            raise SpecError("SB010", f"the anchor `&{printable(name)}` is given twice", self.text.place(*at))
        self.anchors[name] = value

    def plain_data(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, at: Position) -> None:
        if event.tag is not None:
            hint = "remove the tag; to mean text that starts with `!`, or a text of digits, quote it"
            raise SpecError(
                "SB005",
                "a word that starts with `!` is a YAML tag; a spec has none",
                self.text.place(*at),
                hint,
            )

    def not_a_key(self, at: Position) -> None:
        if self.open and isinstance(self.open[-1].data, dict) and self.open[-1].key is None:
            hint = "keys are text; in braces or brackets, quote text that starts with `{`, `[` or `*`"
            raise SpecError(
                "SB011", "a list, a mapping or an alias cannot be a key", self.text.place(*at), hint
            )

    def nested(self, levels: int, at: Position) -> None:
        if levels > MOST_NESTING:
            raise SpecError("SB006", f"nested more than {MOST_NESTING} levels deep", self.text.place(*at))

    def count(self, values: int, at: Position) -> None:
        self.values += values
        if self.values > MOST_VALUES:
            hint = "split the file, and import the parts"
            raise SpecError("SB006", f"more than {MOST_VALUES:,} keys and values", self.text.place(*at), hint)

    def nothing_after(self, line: int) -> None:
        """Refuse anything after `...`, which would be a second document."""
        for number, text in enumerate(self.text.lines[line + 1 :], line + 1):
            words = text.strip(" \t")
            if words and not words.startswith("#"):
                raise self.second_document((number, len(text) - len(text.lstrip(" \t"))))

    def second_document(self, at: Position) -> SpecError:
        return SpecError(
            "SB009",
            "a second YAML document starts here",
            self.text.place(*at),
            "put each spec into its own file",
        )

    def position(self, event: yaml.Event) -> Position:
        mark = cast(yaml.Mark, event.start_mark)
        return mark.line, mark.column


def _copy(data: Any) -> Any:
    """Each use of an alias gets its own data, so that nobody who edits one changes the other."""
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(item) for item in data] if isinstance(data, list) else data
