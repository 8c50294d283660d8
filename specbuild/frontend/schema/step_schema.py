"""The JSON Schema of steps: the allowed keys, and the keys that an editor suggests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specbuild.frontend.document import STEP_KEYS
from specbuild.frontend.schema.file_schema import (
    BLOCK_NAME_PATTERN,
    NAME_PATTERN,
    NUMBER_PATTERN,
    STEPS,
    name_schema,
)
from specbuild.frontend.schema.op_schema import (
    REFERENCE,
    Schema,
    cache_by_ops,
    hide_list_form,
    unknown_block_schema,
)
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes

CHOICE_TITLE = "a block or an op"


def build_step_schema(operations: Mapping[str, Schema], usable: Mapping[str, Schema]) -> Schema:
    """Return the schema of a step: the name of an op or block, or a mapping with one of them and step keys.

    `usable` has the schemas of these ops, and of blocks. `properties` has all allowed keys. An editor suggests the ops and blocks if the step has none yet, and the
    step keys otherwise.
    """
    kinds = {**schema_references(usable), **structure_schemas()}
    return {
        "title": "a step",
        "description": "An op, a block or a structure, with step keys.",
        "type": ["object", "string"],
        "pattern": names_pattern(ops_without_attributes(operations)),
        "patternErrorMessage": "There is no op with this name, or it needs attributes.",
        "properties": {
            **{kind: {"allOf": [value], "doNotSuggest": True} for kind, value in kinds.items()},
            **dict.fromkeys(STEP_KEYS, True),
        },
        "patternProperties": {BLOCK_NAME_PATTERN: unknown_block_schema()},
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {"merge": ["parallel"], "with": ["use"], "splice": ["repeat"]},
        "if": {
            "type": "object",
            "not": {
                "propertyNames": {"not": {"pattern": names_pattern([*operations, *structure_schemas()])}}
            },
        },
        "then": {"properties": step_key_schemas()},
        "else": {"properties": kinds},
    }


@cache_by_ops
def structure_schemas() -> dict[str, Schema]:
    return {
        "do": {
            "description": "Steps in sequence under one name; unnamed steps get the names 0, 1, 2 ...",
            **STEPS,
        },
        "parallel": {
            "description": "Branches by name, all with the same input; `merge` gives the op that joins them.",
            "type": "object",
            "patternProperties": {NAME_PATTERN: STEPS},
            "additionalProperties": False,
            "minProperties": 1,
        },
        "reuse": {
            "description": "The name of an earlier step, repeat or group: all of it is applied again with the same weights.",
            "type": "string",
        },
        "use": {
            "description": "The name of a parameter of type `block`, whose block or op becomes the step.",
            "type": "string",
        },
    }


def member_key_schemas() -> dict[str, Schema]:
    """Return the schemas of the step keys for several members."""
    return {
        "repeat": {
            "examples": [2],
            "description": "How often to apply the step, each time to the last results; `i` counts from 0.",
            "type": ["integer", "string"],
            "minimum": 0,
        },
        "foreach": {
            "description": "Members side by side, each with its own value of a name: {rate: [6, 12, 18]}, "
            "{level: [c3, c4]} with `from: level`, {k: 3} for the numbers 0 to 2.",
            "type": "object",
            "additionalProperties": {"type": ["array", "integer", "string"]},
            "minProperties": 1,
        },
        "names": {
            "description": "The names of the members, with expressions in braces: layer{i + 1}.",
            "type": "string",
        },
        "splice": {
            "description": "The members of a repeat lie directly in the `do` around it, numbered on.",
            "type": "boolean",
        },
        "collect": {
            "description": "The op or block that joins the values of all members, such as concat or add.",
            "$ref": "#/definitions/merge",
        },
    }


def scan_schema() -> Schema:
    """Return the schema of the step key `scan`: an axis, or a mapping with it."""
    return {
        "description": "The axis of which the block gets one position after another. Outputs named like an input are the "
        "state; the others are stacked. A block without a state gets all positions at once, as samples of the batch.",
        "type": ["string", "object"],
        "properties": {
            "over": {"description": "The axis.", "type": "string"},
            "reverse": {
                "description": "Whether to begin at the last position.",
                "type": ["boolean", "string"],
            },
        },
        "required": ["over"],
        "additionalProperties": False,
    }


def drawing_schema() -> Schema:
    """Return the schema of the step key `draw`, which only pictures read."""
    return {
        "title": "draw",
        "description": "Where a picture has the step: {row: 2} for the second row, {row: new} to begin a row.",
        "type": "object",
        "properties": {
            "row": {
                "description": "The number of the row, counted from the top, or new.",
                "enum": ["new", *range(1, 10)],
            }
        },
        "required": ["row"],
        "additionalProperties": False,
    }


@cache_by_ops
def step_key_schemas() -> dict[str, Schema]:
    return {
        "from": {
            "description": "The input, by name; {query: a, memory: b} for several, {maps: [a, b]} for a list. Default: the previous "
            "step.",
            **hide_list_form({"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1}),
            "additionalProperties": {
                "title": "an input",
                **hide_list_form({"type": ["string", "array"], "items": REFERENCE, "minItems": 1}),
            },
            "minProperties": 1,
        },
        "as": {
            "description": "The name of the result, of the attribute in the code, and of the weights. In a `do` or a "
            "branch, it can be a number.",
            **name_schema(f"{NAME_PATTERN}|{NUMBER_PATTERN}"),
            "type": ["string", "integer"],
            "minimum": 0,
            "maximum": 9999,
        },
        "when": {
            "description": "A condition with parameters and sizes. If it is false, the input passes through; "
            "of several inputs, the value of the step before.",
            "type": ["boolean", "string"],
        },
        **member_key_schemas(),
        "scan": scan_schema(),
        "expect": {
            "description": "The output shape, which the compiler checks: {C: 64, H: 56, W: 56}.",
            "$ref": "#/definitions/shape",
        },
        "doc": {"description": "A comment in the emitted code.", "type": "string"},
        "draw": drawing_schema(),
        "merge": {
            "description": "The op or block that joins the branches of a `parallel`, such as add or concat.",
            "$ref": "#/definitions/merge",
        },
        "with": {
            "description": "Further arguments for the block that `use` names.",
            "type": "object",
            "properties": dict.fromkeys(STEP_KEYS, False),
        },
    }


def block_choice_schema(entries: Mapping[str, Schema], examples: list[str], description: str) -> Schema:
    """Return the schema of one op or block: its name, or a mapping with its arguments."""
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
    """Return a pattern for these names and for all block names."""
    return f"^({'|'.join(names)}|{BLOCK_NAME_PATTERN[1:-1]})$"


def ops_without_attributes(entries: Mapping[str, Any]) -> list[str]:
    """Return the ops without required attributes."""
    return [op for op in entries if not any(a.is_required for a in list_attributes(OPS[op]).values())]


def definition_name(name: str) -> str:
    return f"op.{name}" if name in OPS else f"block.{name}"


def schema_references(names: Iterable[str]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/definitions/{definition_name(name)}"} for name in names}
