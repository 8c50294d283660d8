"""Steps as JSON Schema: what may stand in one, and what an editor offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from specbuild.frontend.document import STEP_KEYS
from specbuild.frontend.schema.file_schema import BLOCK_NAME, NAME, STEPS, name
from specbuild.frontend.schema.op_schema import REFERENCE, Schema, any_block, one_or_many, ops
from specbuild.ops import OPS
from specbuild.ops.base import attributes

CHOICE = "a block or an op"


def step(usable: Mapping[str, Schema]) -> Schema:
    """A step: the name of an op or block, or a mapping with one of them and the keys of steps.

    What may stand is in `properties`; what an editor offers depends on what is there already: the ops and
    blocks where there is none yet, then the keys of steps.
    """
    kinds = {**references(usable), **structures()}
    return {
        "title": "a step",
        "description": "An op, a block or a structure, with the keys of steps beside it.",
        "type": ["object", "string"],
        "pattern": one_of(bare(ops())),
        "patternErrorMessage": "There is no such op, or it needs attributes.",
        "properties": {
            **{kind: {"allOf": [value], "doNotSuggest": True} for kind, value in kinds.items()},
            **dict.fromkeys(STEP_KEYS, True),
        },
        "patternProperties": {BLOCK_NAME: any_block()},
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {"merge": ["parallel"], "with": ["use"]},
        "if": {
            "type": "object",
            "not": {"propertyNames": {"not": {"pattern": one_of([*ops(), *structures()])}}},
        },
        "then": {"properties": step_keys()},
        "else": {
            "properties": kinds,
            "examples": [kind for kind, value in usable.items() if "null" in value["type"]],
        },
    }


@cache
def structures() -> dict[str, Schema]:
    return {
        "do": {
            "description": "Steps in a row under one name; without names of their own they are 0, 1, 2 ...",
            **STEPS,
        },
        "parallel": {
            "description": "Branches by name, each from the value that comes in; `merge` says how "
            "they are joined.",
            "type": "object",
            "patternProperties": {NAME: STEPS},
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
def step_keys() -> dict[str, Schema]:
    return {
        "from": {
            "description": "What goes in, by name; {query: a, memory: b} for several. The step "
            "before if not given.",
            **one_or_many({"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1}),
            "additionalProperties": REFERENCE,
            "minProperties": 1,
        },
        "as": {
            "description": "The name of the result, of the attribute in the code, and of the weights.",
            **name(),
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


def chosen(entries: Mapping[str, Schema], examples: list[str], description: str) -> Schema:
    """One op or block by name, or with its arguments."""
    return {
        "title": CHOICE,
        "description": description,
        "type": ["string", "object"],
        "examples": examples,
        "properties": dict(entries),
        "patternProperties": {BLOCK_NAME: any_block()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def one_of(names: list[str]) -> str:
    """The pattern of these names, and of any block's."""
    return f"^({'|'.join(names)}|{BLOCK_NAME[1:-1]})$"


def bare(entries: Mapping[str, Any]) -> list[str]:
    """Those ops that can stand without attributes."""
    return [op for op in entries if not any(a.required for a in attributes(OPS[op]).values())]


def definition(name: str) -> str:
    return f"op.{name}" if name in OPS else f"block.{name}"


def references(names: Iterable[str]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/definitions/{definition(name)}"} for name in names}
