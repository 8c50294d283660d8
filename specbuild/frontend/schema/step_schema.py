"""Steps as JSON Schema: what may stand in one, and what an editor offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from specbuild.frontend.document import STEP_KEYS
from specbuild.frontend.schema.file_schema import BLOCK_NAME_PATTERN, NAME_PATTERN, STEPS, name_schema
from specbuild.frontend.schema.op_schema import (
    REFERENCE,
    Schema,
    hide_list_form,
    op_schemas,
    unknown_block_schema,
)
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes

CHOICE_TITLE = "a block or an op"


def build_step_schema(usable: Mapping[str, Schema]) -> Schema:
    """A step: the name of an op or block, or a mapping with one of them and the keys of steps.

    What may stand is in `properties`; what an editor offers depends on what is there already: the ops and
    blocks where there is none yet, then the keys of steps.
    """
    kinds = {**schema_references(usable), **structure_schemas()}
    return {
        "title": "a step",
        "description": "An op, a block or a structure, with the keys of steps beside it.",
        "type": ["object", "string"],
        "pattern": names_pattern(ops_without_attributes(op_schemas())),
        "patternErrorMessage": "There is no such op, or it needs attributes.",
        "properties": {
            **{kind: {"allOf": [value], "doNotSuggest": True} for kind, value in kinds.items()},
            **dict.fromkeys(STEP_KEYS, True),
        },
        "patternProperties": {BLOCK_NAME_PATTERN: unknown_block_schema()},
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {"merge": ["parallel"], "with": ["use"]},
        "if": {
            "type": "object",
            "not": {
                "propertyNames": {"not": {"pattern": names_pattern([*op_schemas(), *structure_schemas()])}}
            },
        },
        "then": {"properties": step_key_schemas()},
        "else": {
            "properties": kinds,
            "examples": [kind for kind, value in usable.items() if "null" in value["type"]],
        },
    }


@cache
def structure_schemas() -> dict[str, Schema]:
    return {
        "do": {
            "description": "Steps in a row under one name; without names of their own they are 0, 1, 2 ...",
            **STEPS,
        },
        "parallel": {
            "description": "Branches by name, each from the value that comes in; `merge` says how "
            "they are joined.",
            "type": "object",
            "patternProperties": {NAME_PATTERN: STEPS},
            "additionalProperties": False,
            "minProperties": 1,
        },
        "reuse": {
            "description": "A step above, by name: the same op with the same weights, applied once more.",
            "type": "string",
        },
        "use": {
            "description": "A parameter of type `block`, by name, in the place of a step.",
            "type": "string",
        },
    }


@cache
def step_key_schemas() -> dict[str, Schema]:
    return {
        "from": {
            "description": "What goes in, by name; {query: a, memory: b} for several. The step "
            "before if not given.",
            **hide_list_form({"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1}),
            "additionalProperties": REFERENCE,
            "minProperties": 1,
        },
        "as": {
            "description": "The name of the result, of the attribute in the code, and of the weights.",
            **name_schema(),
        },
        "when": {
            "description": "A condition on parameters and sizes. If it is false, the input passes through.",
            "type": ["boolean", "string"],
        },
        "repeat": {
            "description": "How often, each fed by the one before; `i` counts from 0.",
            "type": ["integer", "string"],
            "minimum": 0,
        },
        "expect": {
            "description": "The shape that comes out, for the compiler to check: {C: 64, H: 56, W: 56}.",
            "$ref": "#/definitions/shape",
        },
        "doc": {"description": "A comment in the emitted code.", "type": "string"},
        "merge": {
            "description": "How the branches of a `parallel` are joined: add, concat, or a block.",
            "$ref": "#/definitions/merge",
        },
        "with": {
            "description": "Arguments for the block that `use` names, beside those that came with it.",
            "type": "object",
            "properties": dict.fromkeys(STEP_KEYS, False),
        },
    }


def block_choice_schema(entries: Mapping[str, Schema], examples: list[str], description: str) -> Schema:
    """One op or block by name, or with its arguments."""
    return {
        "title": CHOICE_TITLE,
        "description": description,
        "type": ["string", "object"],
        "examples": examples,
        "properties": dict(entries),
        "patternProperties": {BLOCK_NAME_PATTERN: unknown_block_schema()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def names_pattern(names: list[str]) -> str:
    """The pattern of these names, and of any block's."""
    return f"^({'|'.join(names)}|{BLOCK_NAME_PATTERN[1:-1]})$"


def ops_without_attributes(entries: Mapping[str, Any]) -> list[str]:
    """Those ops that can stand without attributes."""
    return [op for op in entries if not any(a.is_required for a in list_attributes(OPS[op]).values())]


def definition_name(name: str) -> str:
    return f"op.{name}" if name in OPS else f"block.{name}"


def schema_references(names: Iterable[str]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/definitions/{definition_name(name)}"} for name in names}
