"""The faults of a value by a JSON Schema (draft-07): found by `jsonschema_rs`, put into an author's order.

That package, and not `jsonschema`, reads the schema at run time: a command starts in a fifth of a second and a
refused file costs two at most, which the latter's import and its time for a step do not leave room for. Tests
hold that both refuse the same. Where draft-07 is laxer than a spec, this is stricter: 64.0 is not an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

KeyPath = tuple[str | int, ...]
Schema = Mapping[str, Any]

MAX_ERRORS = 1_000  # after which a value is not looked at further
FIRST_BUDGET = 4_000  # values in which faults are looked for first


@dataclass(frozen=True, slots=True)
class SchemaError:
    """A value, at its path from the top, that a keyword of a schema refuses.

    `key` is the one that is too much in it, or missing.
    """

    keyword: str
    schema: Schema
    value: Any
    path: KeyPath
    key: str = ""


# What a rule that no schema can say finds in a value: keywords, each with a key.
Rule = Callable[[Any], Iterator[tuple[str, str]]]

# In the order in which the faults of one value are told: what is unknown before what is missing.
KEYWORDS = (
    *("type", "whole", "false", "enum", "anyOf", "pattern", "minimum", "maximum"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "additionalProperties", "required"),
    *("propertyNames", "dependencies", "uniqueItems", "not", "rule"),
)


class SchemaChecker:
    """Finds the faults of values against one schema; `rules` say more of some of its definitions."""

    def __init__(self, document: Schema, rules: Mapping[str, Rule] | None = None) -> None:
        self.document = forbid_integer_floats(document)
        self.rules = rules or {}
        for name in self.rules:
            self.document["definitions"][name]["rule"] = name
        own: dict[str, Any] = {
            "whole": IntegerKeyword,
            "rule": lambda _parent, name, _path: RuleKeyword(self.rules[name]),
        }
        self.validator = jsonschema_rs.Draft7Validator(self.document, keywords=own)

    def is_valid(self, value: Any) -> bool:
        return self.validator.is_valid(value)

    def find_errors(self, value: Any) -> list[SchemaError]:
        """The faults in the order of the file, and for one value in that of the keywords' table.

        Where there are many, only the first part of the file is looked at: each of them costs memory.
        """
        if self.is_valid(value):
            return []
        budget = FIRST_BUDGET
        while True:
            head = TruncatedCopy(budget)
            part = head.copy_value(value, ())
            found = self.sorted_errors(part, head.truncated)
            if len(found) >= MAX_ERRORS or not head.truncated:
                return found[:MAX_ERRORS]
            budget *= 2

    def sorted_errors(self, value: Any, cut: set[KeyPath]) -> list[SchemaError]:
        found: list[tuple[KeyPath, SchemaError]] = []
        for error in self.validator.iter_errors(value):
            for fault in self.split_error(error, value):
                if fault.path not in cut or fault.keyword not in ("required", "dependencies"):
                    found.append((tuple(error.schema_path[:-1]), fault))
        # a value of another type, or an empty one, is asked nothing else by the same schema
        final = {(at, f.path) for at, f in found if is_final(f)}
        kept = [f for at, f in found if is_final(f) or (at, f.path) not in final]
        order = file_positions(value, {fault.path for fault in kept})
        return sorted(
            kept, key=lambda f: (order[f.path], KEYWORDS.index(RULE_KEYWORDS.get(f.keyword, f.keyword)))
        )

    def split_error(self, error: jsonschema_rs.ValidationError, value: Any) -> Iterator[SchemaError]:
        """One error of the package's as faults, each of one key."""
        path: KeyPath = tuple(error.instance_path)
        keyword = str(error.schema_path[-1])
        schema = self.schema_at(error.schema_path[:-1])
        kind: Any = error.kind
        here = value_at(value, path)
        if kind.name == "falseSchema":
            yield SchemaError("false", {}, here, path)
        elif keyword == "additionalProperties":
            yield from (SchemaError(keyword, schema, here, path, key) for key in kind.unexpected)
        elif keyword == "required":
            yield SchemaError(keyword, schema, here, path, kind.property)
        elif keyword == "dependencies":
            asking = (k for k, needed in schema[keyword].items() if k in here and kind.property in needed)
            yield SchemaError(keyword, schema, here, path, next(asking))
        elif "propertyNames" in error.schema_path:
            yield SchemaError("propertyNames", schema, here, path, kind.error.instance)
        elif keyword == "uniqueItems":
            twice = (i for i, item in enumerate(here) if item in here[:i])
            yield from (SchemaError(keyword, schema, here[i], (*path, i)) for i in twice)
        elif keyword == "rule":
            yield from (
                SchemaError(told, schema, here, path, key) for told, key in self.rules[schema["rule"]](here)
            )
        else:
            yield SchemaError("type" if keyword == "whole" else keyword, schema, here, path)

    def schema_at(self, path: list[str | int]) -> Schema:
        found: Any = self.document
        for key in path:
            found = found[key]
        return found if isinstance(found, Mapping) else {}


RULE_KEYWORDS = dict.fromkeys(
    ("kinds", "no kind", "no block", "no verb", "verbs", "strange", "where"), "rule"
)


def is_final(fault: SchemaError) -> bool:
    return fault.keyword == "type" or (fault.keyword in ("minItems", "minProperties") and not fault.value)


class IntegerKeyword:
    """The keyword beside `type: integer` that refuses 64.0."""

    def __init__(self, _parent: Any, _value: Any, _path: Any) -> None:
        pass

    def validate(self, instance: Any) -> None:
        if isinstance(instance, float):
            raise ValueError("not whole")


@dataclass
class RuleKeyword:
    """A rule as a keyword."""

    rule: Rule

    def validate(self, instance: Any) -> None:
        if any(True for _ in self.rule(instance)):
            raise ValueError("against a rule")


def forbid_integer_floats(schema: Any) -> Any:
    """A copy of a schema in which what is an integer has no point."""
    if isinstance(schema, list):
        return [forbid_integer_floats(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {key: forbid_integer_floats(value) for key, value in schema.items()}
    types = schema.get("type", ())
    if isinstance(types, str | list) and "integer" in types and "number" not in types:
        copy["whole"] = True
    return copy


@dataclass
class TruncatedCopy:
    """Copies a value up to so many values in it, and notes which lists and mappings it cut short."""

    budget: int

    def __post_init__(self) -> None:
        self.truncated: set[KeyPath] = set()

    def copy_value(self, value: Any, path: KeyPath) -> Any:
        self.budget -= 1
        if not isinstance(value, list | dict):
            return value
        pairs = enumerate(value) if isinstance(value, list) else value.items()
        kept: dict[Any, Any] = {}
        for key, inner in pairs:
            if self.budget <= 0:
                self.truncated.add(path)
                break
            kept[key] = self.copy_value(inner, (*path, key))
        return list(kept.values()) if isinstance(value, list) else kept


def value_at(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value[key]
    return value


def file_positions(value: Any, paths: set[KeyPath]) -> dict[KeyPath, tuple[int, ...]]:
    """Where values stand in the file: the places of their keys, outermost first."""
    found: dict[KeyPath, tuple[int, ...]] = {}
    keys: dict[KeyPath, dict[Any, int]] = {}
    for path in paths:
        row = []
        for depth, key in enumerate(path):
            owner = path[:depth]
            if isinstance(key, int):
                row.append(key)
                continue
            if owner not in keys:
                keys[owner] = {k: i for i, k in enumerate(value_at(value, owner))}
            row.append(keys[owner][key])
        found[path] = tuple(row)
    return found
