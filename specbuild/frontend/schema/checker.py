"""Check a value against a JSON Schema (draft-07) with `jsonschema_rs`, and order the errors for the author.

The package `jsonschema` is used only where `jsonschema_rs` is missing, because it is slow: with it, a command needs
more than a fifth of a second to start, and more than two seconds to check an invalid file. Tests check that both
packages find the same errors. One rule is stricter than draft-07: 64.0 is not an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

try:
    from jsonschema_rs import Draft7Validator
except ImportError:  # it has no wheel for this machine
    Draft7Validator = None  # type: ignore[assignment, misc]

from specbuild.frontend.source import KeyPath

Schema = Mapping[str, Any]

MAX_ERRORS = 1_000  # the check of a value stops at this number
# Stands for an empty key, which the validator leaves out of its paths; no name matches it.
EMPTY_KEY = "\n\n\n"
FIRST_BUDGET = 4_000  # how many values of an invalid file are checked at first


class SchemaError(Struct, frozen=True):
    """A value that a keyword of a schema refuses."""

    keyword: str
    schema: Schema
    value: Any
    path: KeyPath
    key: str = ""  # the key in the value that is unknown, missing or not allowed


# A rule beyond JSON Schema: the errors in a value, each as a keyword and a key.
Rule = Callable[[Any], Iterator[tuple[str, str]]]

# The order of the errors of one value: an unknown key comes before a missing key.
KEYWORDS = (
    *("type", "whole", "false", "enum", "anyOf", "pattern", "minimum", "maximum"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "additionalProperties", "required"),
    *("propertyNames", "dependencies", "uniqueItems", "not", "rule"),
)


class SchemaChecker:
    """Finds the errors of values against one schema; `rules` adds rules to some of its definitions."""

    def __init__(self, document: Schema, rules: Mapping[str, Rule] | None = None) -> None:
        self.document = forbid_integer_floats(document)
        self.rules = rules or {}
        for name in self.rules:
            self.document["definitions"][name]["rule"] = name
        keywords: dict[str, Any] = {
            "whole": IntegerKeyword,
            "rule": lambda _parent, name, _path: RuleKeyword(self.rules[name]),
        }
        self.validator = create_validator(self.document, keywords)

    def is_valid(self, value: Any) -> bool:
        return bool(self.validator.is_valid(value))

    def find_errors(self, value: Any) -> list[SchemaError]:
        """Return the errors in the order of the file; errors of the same value in the order of KEYWORDS.

        Each error costs memory. So at first only the beginning of the file is checked, and more of it only if
        the beginning has fewer than MAX_ERRORS errors.
        """
        if self.is_valid(value):
            return []
        budget = FIRST_BUDGET
        while True:
            head = TruncatedCopy(budget)
            part = head.copy_value(value, ())
            errors = self.sorted_errors(part, head.truncated)
            if len(errors) >= MAX_ERRORS or not head.truncated:
                errors = errors[:MAX_ERRORS]
                return list(map(restore_empty_keys, errors)) if head.has_empty_key else errors
            budget *= 2

    def sorted_errors(self, value: Any, truncated: set[KeyPath]) -> list[SchemaError]:
        found: list[tuple[KeyPath, SchemaError]] = []  # each with the path of its schema
        for validation_error in self.validator.iter_errors(value):
            for error in self.split_error(validation_error, value):
                if error.path not in truncated or error.keyword not in ("required", "dependencies"):
                    found.append((tuple(validation_error.schema_path[:-1]), error))
        # If a value has the wrong type, or is empty, its other errors with the same schema add nothing.
        final = {(schema_path, e.path) for schema_path, e in found if is_final(e)}
        errors = [e for schema_path, e in found if is_final(e) or (schema_path, e.path) not in final]
        order = file_positions(value, {e.path for e in errors})
        return sorted(errors, key=lambda e: (order[e.path], keyword_rank(e.keyword)))

    def split_error(self, error: Any, value: Any) -> Iterator[SchemaError]:
        """Yield one error of the validator as errors that have at most one key each."""
        path = restore_digit_keys(value, error.instance_path)
        keyword = str(error.schema_path[-1])
        schema = self.schema_at(error.schema_path[:-1])
        inner = value_at(value, path)
        kind: Any = error.kind
        if kind.name == "falseSchema":
            yield SchemaError("false", {}, inner, path)
        elif "propertyNames" in error.schema_path:
            yield SchemaError("propertyNames", schema, inner, path, kind.error.instance)
        elif keyword == "uniqueItems":
            repeated = (i for i, item in enumerate(inner) if item in inner[:i])
            yield from (SchemaError(keyword, schema, inner[i], (*path, i)) for i in repeated)
        elif keyword == "rule":
            for rule_keyword, key in self.rules[schema["rule"]](inner):
                yield SchemaError(rule_keyword, schema, inner, path, key)
        else:
            for key in error_keys(keyword, kind, schema, inner):
                yield SchemaError("type" if keyword == "whole" else keyword, schema, inner, path, key)

    def schema_at(self, path: list[str | int]) -> Schema:
        schema = value_at(self.document, tuple(path))
        return schema if isinstance(schema, Mapping) else {}


def create_validator(document: Schema, keywords: Mapping[str, Any]) -> Any:
    """Return a validator of `jsonschema_rs`, or of `jsonschema` where that is missing."""
    if Draft7Validator is not None:
        return Draft7Validator(dict(document), keywords=dict(keywords))
    from specbuild.frontend.schema.python_validator import PythonValidator  # imported late: slow

    return PythonValidator(document, keywords)


def error_keys(keyword: str, kind: Any, schema: Schema, value: Any) -> list[str]:
    """Return the keys that an error of the validator refers to; one empty key for other errors."""
    if keyword == "additionalProperties":
        return list(kind.unexpected)
    if keyword == "required":
        return [kind.property]
    if keyword == "dependencies":
        dependencies = schema[keyword].items()
        return [next(key for key, needed in dependencies if key in value and kind.property in needed)]
    return [""]


def keyword_rank(keyword: str) -> int:
    """Return the position of a keyword in KEYWORDS; the keywords of rules come last."""
    return KEYWORDS.index(keyword) if keyword in KEYWORDS else KEYWORDS.index("rule")


def is_final(error: SchemaError) -> bool:
    return error.keyword == "type" or (error.keyword in ("minItems", "minProperties") and not error.value)


class IntegerKeyword:
    """The keyword `whole`, which is added to `type: integer` and refuses 64.0."""

    def __init__(self, _parent: Any, _value: Any, _path: Any) -> None:
        pass

    def validate(self, instance: Any) -> None:
        if isinstance(instance, float):
            raise ValueError("not an integer")


class RuleKeyword(Struct):
    """The keyword `rule`, which refuses a value in which a rule finds an error."""

    rule: Rule

    def validate(self, instance: Any) -> None:
        if any(True for _ in self.rule(instance)):
            raise ValueError("violates a rule")


def forbid_integer_floats(schema: Any) -> Any:
    """Return a copy of a schema with the keyword `whole` wherever the type is an integer and not a number."""
    if type(schema) is list:
        return [forbid_integer_floats(item) for item in schema]
    if type(schema) is not dict:
        return schema
    copy = {key: forbid_integer_floats(value) for key, value in schema.items()}
    types = schema.get("type", ())
    if isinstance(types, str | list) and "integer" in types and "number" not in types:
        copy["whole"] = True
    return copy


class TruncatedCopy(Struct):
    """Copies the first `budget` values of a value, and records the lists and mappings that it truncates."""

    budget: int
    truncated: set[KeyPath] = field(default_factory=set)
    has_empty_key: bool = False

    def copy_value(self, value: Any, path: KeyPath) -> Any:
        self.budget -= 1
        if not isinstance(value, list | dict):
            return value
        pairs = enumerate(value) if isinstance(value, list) else value.items()
        copies: dict[Any, Any] = {}
        for key, inner in pairs:
            if self.budget <= 0:
                self.truncated.add(path)
                break
            if key == "":
                key, self.has_empty_key = EMPTY_KEY, True
            copies[key] = self.copy_value(inner, (*path, key))
        return list(copies.values()) if isinstance(value, list) else copies


def restore_empty_keys(error: SchemaError) -> SchemaError:
    """Return an error in a copy with the empty keys of the file."""
    path = tuple("" if key == EMPTY_KEY else key for key in error.path)
    key = "" if error.key == EMPTY_KEY else error.key
    return replace(error, value=with_empty_keys(error.value), path=path, key=key)


def with_empty_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [with_empty_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {"" if key == EMPTY_KEY else key: with_empty_keys(inner) for key, inner in value.items()}


def restore_digit_keys(value: Any, path: Iterable[str | int]) -> KeyPath:
    """Return a path of the validator with the keys of the file: the validator turns a key "1" into the number 1."""
    keys: list[str | int] = []
    for key in path:
        if isinstance(value, dict) and key not in value:
            key = next(own for own in value if own.removeprefix("+").isdigit() and int(own) == key)
        keys.append(key)
        value = value[key]
    return tuple(keys)


def value_at(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value[key]
    return value


def file_positions(value: Any, paths: set[KeyPath]) -> dict[KeyPath, tuple[int, ...]]:
    """Return a sort key for each path: the index of each of its keys in its mapping or list."""
    positions: dict[KeyPath, tuple[int, ...]] = {}
    key_indices: dict[KeyPath, dict[Any, int]] = {}  # path of a mapping -> index of each key
    for path in paths:
        indices = []
        for depth, key in enumerate(path):
            owner = path[:depth]
            if isinstance(key, int):
                indices.append(key)
                continue
            if owner not in key_indices:
                key_indices[owner] = {k: i for i, k in enumerate(value_at(value, owner))}
            indices.append(key_indices[owner][key])
        positions[path] = tuple(indices)
    return positions
