"""Build plain data and positions from parser events, with limits that are checked before building."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import yaml
from msgspec import Struct

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.frontend.decoding import SpecText, find_refused_character, refused_character_error
from specbuild.frontend.line_hints import suggest_name_for_template
from specbuild.frontend.yaml_scalars import Scalar, is_plain_text, parse_plain_scalar

MAX_NESTING = 64
MAX_VALUES = 100_000
MAX_ALIASES = 100
MAX_CHARACTERS = 4_096
MAX_SHOWN = 40

TAG_MESSAGE = "a word that starts with `!` is a YAML tag; tags are not allowed in a spec"
TAG_HINT = "remove the tag; if you mean text that starts with `!`, quote it"

Position = tuple[int, int]  # line and column, counted from 0


class ValuePosition(Struct):
    """The positions of a value, its key and its children. An anchor and its aliases share the children."""

    start: Position
    key_start: Position | None = None
    children: dict[str, ValuePosition] | list[ValuePosition] | None = None


class _ComposedValue(Struct):
    """A complete value."""

    data: Any
    position: ValuePosition
    size: int  # number of keys and values
    height: int  # levels of nesting


class _OpenCollection(Struct):
    """A list or mapping whose end has not been read yet."""

    data: dict[str, Any] | list[Any]
    position: ValuePosition
    anchor: str | None
    count_before: int  # keys and values of the file before it
    key: str | None = None  # the key whose value comes next
    key_start: Position = (0, 0)
    height: int = 0

    @property
    def needs_key(self) -> bool:
        return self.key is None and isinstance(self.data, dict)


def compose_document(events: Iterable[yaml.Event], text: SpecText) -> tuple[Any, ValuePosition]:
    """Return the data of the one document in `events`, and its positions. Raises SpecError."""
    return _Composer(text).run(events)


class _Composer:
    def __init__(self, text: SpecText) -> None:
        self.text = text
        self.started = False
        self.root: _ComposedValue | None = None  # stays None in a document without content
        self.open_collections: list[_OpenCollection] = []
        self.anchors: dict[str, _ComposedValue | None] = {}  # None while the value is being read
        self.value_count = 0
        self.alias_count = 0

    def run(self, events: Iterable[yaml.Event]) -> tuple[Any, ValuePosition]:
        for event in events:
            self.handle_event(event)
        if self.root is None:
            hint = "`specbuild init` writes a first spec"
            raise self.make_error("SB007", "the file is empty", (0, 0), hint)
        return self.root.data, self.root.position

    def handle_event(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self.add_scalar(event)
            case yaml.CollectionStartEvent():
                self.open_collection(event)
            case yaml.CollectionEndEvent():
                self.close_collection()
            case yaml.AliasEvent():
                self.add_alias(event)
            case yaml.DocumentStartEvent():
                self.start_document(event)
            case yaml.DocumentEndEvent(explicit=True):
                self.refuse_content_after(_start_position(event)[0])

    def make_error(self, code: str, message: str, at: Position, hint: str = "") -> SpecError:
        return SpecError(code, message, self.text.location_at(*at), hint)

    def add_scalar(self, event: yaml.ScalarEvent) -> None:
        at = _start_position(event)
        self.refuse_tag(event, at)
        if len(event.value) > MAX_CHARACTERS:
            message = f"more than {MAX_CHARACTERS:,} characters in one piece of text"
            raise self.make_error("SB006", message, at, "split it, or move it to another file")
        if refused := find_refused_character(event.value):
            raise refused_character_error(refused.group(), self.text.location_at(*at))
        self.count_values(1, at)
        owner = self.open_collections[-1] if self.open_collections else None
        if owner and owner.needs_key:
            key = self.read_key(event, owner, at)
            self.define_anchor(event.anchor, _ComposedValue(key, ValuePosition(at), 1, 0), at)
            owner.key, owner.key_start = key, at
            return
        is_absent = not event.style and not event.value and not event.anchor
        if is_absent and not owner:
            return
        if is_absent and owner and owner.key is not None:
            at = owner.key_start  # an absent value has the position of its key
        data = event.value if event.style else self.plain_value(event, at)
        value = _ComposedValue(data, ValuePosition(at), 1, 0)
        self.define_anchor(event.anchor, value, at)
        self.add_value(value)

    def plain_value(self, event: yaml.ScalarEvent, at: Position) -> Scalar:
        try:
            return parse_plain_scalar(event.value)
        except ValueError as error:
            shown = make_printable(event.value, MAX_SHOWN)
            raise self.make_error("SB012", f"`{shown}`: {error}", at, "if it is text, quote it") from None

    def read_key(self, event: yaml.ScalarEvent, owner: _OpenCollection, at: Position) -> str:
        text = event.value
        if not event.style:
            if text == "<<":
                hint = "write out the keys, or define a block with them"
                raise self.make_error("SB010", "merge keys (`<<`) are not part of YAML 1.2", at, hint)
            if not text:
                raise self.make_error("SB011", "a key is missing here", at, "write a key before the `:`")
            if not is_plain_text(text):
                shown = make_printable(text, MAX_SHOWN)
                message = f"the key `{shown}` is read as a number, a bool or null, but keys are text"
                raise self.make_error(
                    "SB011",
                    message,
                    at,
                    f'quote it: "{shown}"; if it is part of a longer text, quote all of it',
                )
        if text in owner.data:
            first = cast(dict[str, ValuePosition], owner.position.children)[text]
            line, column = first.key_start or first.start
            hint = f"it first appears at line {line + 1}, column {column + 1}; remove one of the two"
            raise self.make_error("SB004", f"the key `{make_printable(text)}` appears twice", at, hint)
        return text

    def open_collection(self, event: yaml.CollectionStartEvent) -> None:
        at = _start_position(event)
        self.refuse_tag(event, at)
        self.refuse_collection_key(at)
        self.check_depth(len(self.open_collections) + 1, at)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        position = ValuePosition(at, children={} if is_mapping else [])
        self.define_anchor(event.anchor, None, at)
        self.open_collections.append(
            _OpenCollection({} if is_mapping else [], position, event.anchor, self.value_count)
        )
        self.count_values(1, at)

    def close_collection(self) -> None:
        closed = self.open_collections.pop()
        size = self.value_count - closed.count_before
        value = _ComposedValue(closed.data, closed.position, size, closed.height + 1)
        if closed.anchor:
            self.anchors[closed.anchor] = value
        self.add_value(value)

    def add_alias(self, event: yaml.AliasEvent) -> None:
        at = _start_position(event)
        anchor = str(event.anchor)
        name = make_printable(anchor, MAX_SHOWN)
        self.refuse_collection_key(at)
        if anchor not in self.anchors:
            message = f"`*{name}` is a YAML alias, but no value before it has the anchor `&{name}`"
            raise self.make_error("SB010", message, at, "if you mean text or an expression, quote it")
        value = self.anchors[anchor]
        if value is None:
            raise self.make_error("SB010", f"`*{name}` is inside the value that it repeats", at)
        self.alias_count += 1
        if self.alias_count > MAX_ALIASES:
            hint = "define a block or a parameter for the values that they repeat"
            raise self.make_error("SB006", f"more than {MAX_ALIASES} aliases", at, hint)
        self.count_values(value.size, at)
        self.check_depth(len(self.open_collections) + value.height, at)
        position = ValuePosition(at, children=value.position.children)
        self.add_value(_ComposedValue(_copy_data(value.data), position, value.size, value.height))

    def add_value(self, value: _ComposedValue) -> None:
        """Add a complete value to the innermost open collection."""
        if not self.open_collections:
            self.root = value
            return
        owner = self.open_collections[-1]
        owner.height = max(owner.height, value.height)
        if isinstance(owner.data, dict):
            key = cast(str, owner.key)
            owner.data[key] = value.data
            value.position.key_start = owner.key_start
            cast(dict[str, ValuePosition], owner.position.children)[key] = value.position
            owner.key = None
        else:
            owner.data.append(value.data)
            cast(list[ValuePosition], owner.position.children).append(value.position)

    def define_anchor(self, name: str | None, value: _ComposedValue | None, at: Position) -> None:
        if name is None:
            return
        if name in self.anchors:
            message = f"the anchor `&{make_printable(name, MAX_SHOWN)}` is defined twice"
            raise self.make_error("SB010", message, at)
        self.anchors[name] = value

    def refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, at: Position) -> None:
        if event.tag is not None:
            raise self.make_error("SB005", TAG_MESSAGE, at, TAG_HINT)

    def refuse_collection_key(self, at: Position) -> None:
        if self.open_collections and self.open_collections[-1].needs_key:
            message = "a list, a mapping or an alias cannot be a key"
            hint = "keys are text; quote text that starts with `{`, `[` or `*`"
            if habit := suggest_name_for_template(self.text.lines[at[0]], at[1]):
                message, hint = habit
            raise self.make_error("SB011", message, at, hint)

    def check_depth(self, levels: int, at: Position) -> None:
        if levels > MAX_NESTING:
            hint = "move the inner part to its own block"
            raise self.make_error("SB006", f"nested more than {MAX_NESTING} levels deep", at, hint)

    def count_values(self, values: int, at: Position) -> None:
        self.value_count += values
        if self.value_count > MAX_VALUES:
            hint = "split the file, and import the parts"
            raise self.make_error("SB006", f"more than {MAX_VALUES:,} keys and values", at, hint)

    def start_document(self, event: yaml.Event) -> None:
        if self.started:
            raise self.second_document_error(_start_position(event))
        self.started = True

    def refuse_content_after(self, line: int) -> None:
        """Refuse content after `...`, which would be a second document."""
        for number, text in enumerate(self.text.lines[line + 1 :], line + 1):
            content = text.lstrip(" \t")
            if content and not content.startswith("#"):
                raise self.second_document_error((number, len(text) - len(content)))

    def second_document_error(self, at: Position) -> SpecError:
        return self.make_error("SB009", "a second YAML document starts here", at, "move it to its own file")


def _start_position(event: yaml.Event) -> Position:
    mark = cast(yaml.Mark, event.start_mark)
    return mark.line, mark.column


def _copy_data(data: Any) -> Any:
    """Copy the data for an alias, so that a change to it does not change the anchored value."""
    if isinstance(data, dict):
        return {key: _copy_data(value) for key, value in data.items()}
    return [_copy_data(item) for item in data] if isinstance(data, list) else data
