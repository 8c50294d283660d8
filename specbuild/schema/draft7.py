"""The part of JSON Schema (draft-07) that the schema of a spec is written in, as a table of keywords.

This, and not the package `jsonschema`, checks a spec at run time: a command starts in 200 ms, and importing
that package takes 130. Both read the same schema: tests hold that whatever `jsonschema` refuses is refused
here, and that the schema has no keyword that is not in the table. Where draft-07 is laxer than a spec, this
is stricter: 64.0 is not an integer, and `$` does not match before a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]

MOST_FAULTS = 1_000  # after which a value is not looked at further


@dataclass(frozen=True, slots=True)
class Fault:
    """A value, at its path from the top, that a keyword of a schema refuses.

    `key` is the one that is too much in it, or missing.
    """

    keyword: str
    schema: Schema
    value: Any
    path: Path
    key: str = ""


class Enough(Exception):
    """As many faults are found as were asked for."""


class Checker:
    """Finds the faults of values against the schemas of one document.

    `also` has more rules for some of its definitions. It recurses as deep as the value is nested, which
    the loader bounds.
    """

    def __init__(self, document: Schema, also: Mapping[str, Rule] | None = None) -> None:
        self.document = document
        self._faults: list[Fault] = []
        self._most = MOST_FAULTS
        self._rules: dict[int, tuple[Rule, ...]] = {}
        for name, rule in (also or {}).items():
            definition = document["definitions"][name]
            self._rules[id(definition)] = (*rules(definition), rule)

    def faults(self, schema: Schema | bool, value: Any, most: int = MOST_FAULTS) -> list[Fault]:
        """The faults of a value, in the order of the keywords' table; no more than asked for."""
        kept = self._faults, self._most
        found: list[Fault] = []
        self._faults, self._most = found, most
        try:
            self.check(schema, value, ())
        except Enough:
            pass
        finally:
            self._faults, self._most = kept
        return found

    def fits(self, schema: Schema | bool, value: Any) -> bool:
        return not self.faults(schema, value, most=1)

    def check(self, schema: Schema | bool, value: Any, path: Path) -> None:
        """Ask every keyword of a schema; for rules, which ask on."""
        if isinstance(schema, bool):
            if not schema:
                self.found("false", {}, value, path)
            return
        if "$ref" in schema:
            definition: Schema = self.document["definitions"][schema["$ref"].removeprefix("#/definitions/")]
            schema = definition
        asked = self._rules.get(id(schema))
        if asked is None:
            asked = self._rules[id(schema)] = rules(schema)
        for rule in asked:
            if rule(self, schema, value, path):
                return

    def found(self, keyword: str, schema: Schema, value: Any, path: Path, key: str = "") -> None:
        self._faults.append(Fault(keyword, schema, value, path, key))
        if len(self._faults) >= self._most:
            raise Enough


# A rule is silent on values that its keyword does not speak of. If it returns true, no other is asked.
Rule = Callable[[Checker, Schema, Any, Path], bool | None]

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@cache
def types(*names: str) -> frozenset[type]:
    return frozenset(t for name in names for t in TYPES[name])


@cache
def pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.removesuffix("$") + r"\Z" if text.endswith("$") else text)


def of_type(checker: Checker, schema: Schema, value: Any, path: Path) -> bool:
    names = schema["type"]
    if type(value) in (types(names) if isinstance(names, str) else types(*names)):
        return False
    checker.found("type", schema, value, path)
    return True


def enum(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in schema["enum"]):
        checker.found("enum", schema, value, path)


def matches(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if isinstance(value, str) and not pattern(schema["pattern"]).search(value):
        checker.found("pattern", schema, value, path)


def minimum(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if type(value) in (int, float) and value < schema["minimum"]:
        checker.found("minimum", schema, value, path)


def maximum(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if type(value) in (int, float) and value > schema["maximum"]:
        checker.found("maximum", schema, value, path)


def count(checker: Checker, schema: Schema, value: Any, path: Path) -> bool:
    """How many items or keys there are; where there are none, there is nothing else to ask."""
    of = "Items" if isinstance(value, list) else "Properties" if isinstance(value, dict) else ""
    if of and len(value) < schema.get(f"min{of}", 0):
        checker.found(f"min{of}", schema, value, path)
        return not value
    if of and len(value) > schema.get(f"max{of}", len(value)):
        checker.found(f"max{of}", schema, value, path)
    return False


def keys(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    """The keys of a mapping: unknown ones first, then missing ones, then what stands under them."""
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    rest = schema.get("additionalProperties", True)
    under = {key: [known[key]] if key in known else [] for key in value}
    for text, inner in patterns.items():
        for key in value:
            if pattern(text).search(key):
                under[key].append(inner)
    for key in value:
        if not under[key] and rest is False:
            checker.found("additionalProperties", schema, value, path, key)
        elif not under[key]:
            under[key].append(rest)
    for key in schema.get("required", ()):
        if key not in value:
            checker.found("required", schema, value, path, key)
    for key, schemas in under.items():
        for inner in schemas:
            checker.check(inner, value[key], (*path, key))


def names(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if isinstance(value, dict):
        for key in value:
            if not checker.fits(schema["propertyNames"], key):
                checker.found("propertyNames", schema["propertyNames"], value, path, key)


def dependencies(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if not isinstance(value, dict):
        return
    for key, needed in schema["dependencies"].items():
        if key not in value:
            continue
        if not isinstance(needed, list):
            checker.check(needed, value, path)
        elif any(other not in value for other in needed):
            checker.found("dependencies", schema, value, path, key)


def items(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if isinstance(value, list):
        for i, item in enumerate(value):
            checker.check(schema["items"], item, (*path, i))


def unique(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    """No text twice; the schema asks it only of lists of names."""
    if isinstance(value, list):
        seen: set[str] = set()
        for i, item in enumerate(value):
            if isinstance(item, str) and item in seen:
                checker.found("uniqueItems", schema, item, (*path, i))
            elif isinstance(item, str):
                seen.add(item)


def any_of(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if not any(checker.fits(one, value) for one in schema["anyOf"]):
        checker.found("anyOf", schema, value, path)


def all_of(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    for one in schema["allOf"]:
        checker.check(one, value, path)


def negated(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    if checker.fits(schema["not"], value):
        checker.found("not", schema, value, path)


def conditional(checker: Checker, schema: Schema, value: Any, path: Path) -> None:
    branch = "then" if checker.fits(schema["if"], value) else "else"
    checker.check(schema.get(branch, True), value, path)


# In the order in which they are asked.
KEYWORDS: dict[str, Rule] = {
    "type": of_type,
    "enum": enum,
    "anyOf": any_of,
    "pattern": matches,
    "minimum": minimum,
    "maximum": maximum,
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties"), count),
    **dict.fromkeys(("properties", "patternProperties", "additionalProperties", "required"), keys),
    "propertyNames": names,
    "dependencies": dependencies,
    "uniqueItems": unique,
    "items": items,
    "allOf": all_of,
    "not": negated,
    "if": conditional,
}
ANNOTATIONS = frozenset(
    ["$schema", "title", "description", "examples", "definitions", "patternErrorMessage", "doNotSuggest"]
)


def rules(schema: Schema) -> tuple[Rule, ...]:
    return tuple(dict.fromkeys(rule for keyword, rule in KEYWORDS.items() if keyword in schema))
