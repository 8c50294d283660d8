"""Parser events to plain data and places, within limits that are checked before anything is built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import yaml

from specbuild.diagnostics.errors import SpecError, printable
from specbuild.frontend.decoding import REFUSED, SpecText, refused_character
from specbuild.frontend.yaml_scalars import Scalar, read_plain, reads_as_text

MOST_NESTING = 64
MOST_VALUES = 100_000
MOST_ALIASES = 100
MOST_CHARACTERS = 4_096
MOST_SHOWN = 40

TAG_HINT = "remove the tag; to mean text that starts with `!`, quote it"

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
    """A list or mapping that is being read; `before` counts the keys and values of the file before it."""

    data: dict[str, Any] | list[Any]
    spot: Spot
    anchor: str | None
    before: int
    key: str | None = None
    key_at: Position = (0, 0)
    height: int = 0

    @property
    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.data, dict)


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
                self.document(event)
            elif isinstance(event, yaml.DocumentEndEvent) and event.explicit:
                self.nothing_after(_position(event)[0])
        if self.root is None:
            raise self.fault("SB007", "the file is empty", (0, 0), "`specbuild init` writes a first spec")
        return self.root.data, self.root.spot

    def fault(self, code: str, message: str, at: Position, hint: str = "") -> SpecError:
        return SpecError(code, message, self.text.place(*at), hint)

    def scalar(self, event: yaml.ScalarEvent) -> None:
        at = _position(event)
        self.no_tag(event, at)
        if len(event.value) > MOST_CHARACTERS:
            message = f"more than {MOST_CHARACTERS:,} characters in one piece of text"
            raise self.fault("SB006", message, at, "split it, or move it to another file")
        if wrong := REFUSED.search(event.value):
            raise refused_character(wrong.group(), self.text.place(*at))
        self.count(1, at)
        within = self.open[-1] if self.open else None
        if within and within.wants_key:
            key = self.key(event, within, at)
            self.anchor(event.anchor, _Value(key, Spot(at), 1, 0), at)
            within.key, within.key_at = key, at
            return
        absent = not event.style and not event.value and not event.anchor
        if absent and not within:
            return
        if absent and within and within.key is not None:
            at = within.key_at  # a value that is not there stands at its key
        value = _Value(event.value if event.style else self.plain(event, at), Spot(at), 1, 0)
        self.anchor(event.anchor, value, at)
        self.add(value)

    def plain(self, event: yaml.ScalarEvent, at: Position) -> Scalar:
        try:
            return read_plain(event.value)
        except ValueError as error:
            shown = printable(event.value, MOST_SHOWN)
            raise self.fault("SB012", f"`{shown}`: {error}", at, "if it is text, quote it") from None

    def key(self, event: yaml.ScalarEvent, within: _Open, at: Position) -> str:
        text = event.value
        if not event.style:
            if text == "<<":
                hint = "write the keys out, or make a block of them"
                raise self.fault("SB010", "merge keys (`<<`) are not part of YAML 1.2", at, hint)
            if not text:
                raise self.fault("SB011", "a key is missing here", at, "write a key before the `:`")
            if not reads_as_text(text):
                shown = printable(text, MOST_SHOWN)
                message = f"the key `{shown}` reads as a number, a bool or null; keys are text"
                raise self.fault("SB011", message, at, f'quote it: "{shown}"')
        if text in within.data:
            inside = cast(dict[str, Spot], within.spot.inside)
            line, column = inside[text].key or inside[text].at
            hint = f"it is first given at line {line + 1}, column {column + 1}; remove one of the two"
            raise self.fault("SB004", f"`{printable(text)}` is given twice", at, hint)
        return text

    def start(self, event: yaml.CollectionStartEvent) -> None:
        at = _position(event)
        self.no_tag(event, at)
        self.not_a_key(at)
        self.nested(len(self.open) + 1, at)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        spot = Spot(at, inside={} if is_mapping else [])
        self.anchor(event.anchor, None, at)
        self.open.append(_Open({} if is_mapping else [], spot, event.anchor, self.values))
        self.count(1, at)

    def end(self) -> None:
        done = self.open.pop()
        value = _Value(done.data, done.spot, self.values - done.before, done.height + 1)
        if done.anchor:
            self.anchors[done.anchor] = value
        self.add(value)

    def alias(self, event: yaml.AliasEvent) -> None:
        at = _position(event)
        anchor = str(event.anchor)
        name = printable(anchor, MOST_SHOWN)
        self.not_a_key(at)
        if anchor not in self.anchors:
            message = f"`*{name}` is a YAML alias, but nothing before it is marked `&{name}`"
            raise self.fault("SB010", message, at, "to mean text or an expression, quote it")
        value = self.anchors[anchor]
        if value is None:
            raise self.fault("SB010", f"`*{name}` stands inside the value that it repeats", at)
        self.aliases += 1
        if self.aliases > MOST_ALIASES:
            hint = "make a block or a parameter of what they repeat"
            raise self.fault("SB006", f"more than {MOST_ALIASES} aliases", at, hint)
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
            raise self.fault("SB010", f"the anchor `&{printable(name, MOST_SHOWN)}` is given twice", at)
        self.anchors[name] = value

    def no_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, at: Position) -> None:
        if event.tag is not None:
            raise self.fault(
                "SB005", "a word that starts with `!` is a YAML tag; a spec has none", at, TAG_HINT
            )

    def not_a_key(self, at: Position) -> None:
        if self.open and self.open[-1].wants_key:
            hint = "keys are text; quote text that starts with `{`, `[` or `*`"
            raise self.fault("SB011", "a list, a mapping or an alias cannot be a key", at, hint)

    def nested(self, levels: int, at: Position) -> None:
        if levels > MOST_NESTING:
            hint = "move the inner part to a block of its own"
            raise self.fault("SB006", f"nested more than {MOST_NESTING} levels deep", at, hint)

    def count(self, values: int, at: Position) -> None:
        self.values += values
        if self.values > MOST_VALUES:
            hint = "split the file, and import the parts"
            raise self.fault("SB006", f"more than {MOST_VALUES:,} keys and values", at, hint)

    def document(self, event: yaml.Event) -> None:
        if self.started:
            raise self.second_document(_position(event))
        self.started = True

    def nothing_after(self, line: int) -> None:
        """Refuse anything after `...`, which would be a second document."""
        for number, text in enumerate(self.text.lines[line + 1 :], line + 1):
            words = text.lstrip(" \t")
            if words and not words.startswith("#"):
                raise self.second_document((number, len(text) - len(words)))

    def second_document(self, at: Position) -> SpecError:
        return self.fault("SB009", "a second YAML document starts here", at, "put it into a file of its own")


def _position(event: yaml.Event) -> Position:
    mark = cast(yaml.Mark, event.start_mark)
    return mark.line, mark.column


def _copy(data: Any) -> Any:
    """Each use of an alias gets its own data, so that nobody who edits one changes the other."""
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(item) for item in data] if isinstance(data, list) else data
