"""The package `jsonschema` in the place of `jsonschema_rs`, where that has no wheel: slower, with the same faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft7Validator, ValidationError, validators
from msgspec import Struct

KeyPath = list[str | int]
KeywordFactory = Callable[[Any, Any, Any], Any]  # returns an object whose `validate` raises ValueError


class NamedInstance(Struct, frozen=True):
    """A value that a schema refused."""

    instance: Any


class FaultKind(Struct, frozen=True):
    """What `jsonschema_rs` says beside the place of a fault."""

    name: str
    unexpected: Sequence[str] = ()  # keys that are not allowed
    property: str = ""  # the key that is missing
    error: NamedInstance | None = None  # the name that is not allowed


class Fault(Struct, frozen=True):
    """One fault, with the places of the keyword in the schema and of the value."""

    schema_path: KeyPath
    instance_path: KeyPath
    kind: FaultKind


class PythonValidator:
    """Validates values with the package `jsonschema`."""

    def __init__(self, document: Mapping[str, Any], keywords: Mapping[str, KeywordFactory]) -> None:
        self.document = document
        added = {name: make_keyword(factory) for name, factory in keywords.items()}
        extend: Any = validators.extend  # without types
        self.validator = extend(Draft7Validator, added)(document)

    def is_valid(self, value: Any) -> bool:
        return bool(self.validator.is_valid(value))

    def iter_errors(self, value: Any) -> Iterator[Fault]:
        for error in self.validator.iter_errors(value):
            path, names_at = self.document_path(list(error.absolute_schema_path))
            place = list(error.absolute_path)
            if error.validator is None:
                yield Fault(path, place, FaultKind("falseSchema"))
            elif names_at is not None:
                kind = FaultKind("propertyNames", error=NamedInstance(error.instance))
                yield Fault(path[: names_at + 1], place, kind)
            else:
                yield from (Fault(path, place, kind) for kind in fault_kinds(error))

    def document_path(self, path: KeyPath) -> tuple[KeyPath, int | None]:
        """Return a path without references, as one of the document, and where `propertyNames` stands in it."""
        resolved: KeyPath = []
        schema: Any = self.document
        names_at = None
        for key in path:
            while isinstance(schema, Mapping) and "$ref" in schema and key not in schema:
                resolved = list(schema["$ref"].removeprefix("#/").split("/"))
                schema = self.document
                for part in resolved:
                    schema = schema[part]
            if key == "propertyNames" and names_at is None and is_keyword_place(resolved):
                names_at = len(resolved)
            resolved.append(key)
            schema = schema[key] if isinstance(schema, Mapping | list) else schema  # type: ignore[index]
        return resolved, names_at


def is_keyword_place(path: KeyPath) -> bool:
    """Return whether a key after this path is a keyword of a schema, and not the name of a property."""
    return not path or path[-1] not in ("properties", "patternProperties", "definitions", "dependencies")


def make_keyword(factory: KeywordFactory) -> Callable[..., Iterator[ValidationError]]:
    """Return a keyword in the form of `jsonschema` for one in the form of `jsonschema_rs`."""

    def check(_validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        try:
            factory(schema, value, ()).validate(instance)
        except ValueError as error:
            yield ValidationError(str(error))

    return check


def fault_kinds(error: ValidationError) -> Iterator[FaultKind]:
    """Yield what `jsonschema_rs` says of an error; one for each key that is missing."""
    keyword = str(error.validator)
    instance: Any = error.instance
    value: Any = error.validator_value
    if keyword == "additionalProperties":
        yield FaultKind(keyword, unexpected=list(unexpected_keys(instance, error.schema)))
    elif keyword == "required":
        missing = [key for key in value if key not in instance]
        # one error for each missing key: only its message says which one it is
        yield FaultKind(keyword, property=next(k for k in missing if error.message.startswith(repr(k))))
    elif keyword == "dependencies":
        needed = [key for keys in value.values() if isinstance(keys, list) for key in keys]
        yield FaultKind(keyword, property=next(k for k in needed if error.message.startswith(repr(k))))
    else:
        yield FaultKind(keyword)


def unexpected_keys(instance: Mapping[str, Any], schema: Any) -> Iterator[str]:
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key in instance:
        if key not in properties and not any(re.search(pattern, key) for pattern in patterns):
            yield key
