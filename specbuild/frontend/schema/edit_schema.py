"""Edits as JSON Schema: a verb in each, and what may stand beside it."""

from __future__ import annotations

from functools import cache

from specbuild.frontend.edits import EDITS
from specbuild.frontend.schema.file_schema import name
from specbuild.frontend.schema.op_schema import REFERENCE, Schema, one_or_many
from specbuild.frontend.selectors import PATTERN

EDIT = "an edit"
SELECTOR = "a selector"
COMPANIONS = {"replace": ["with"], "rewire": ["from"], "set": ["to"]}  # what a verb cannot be without
CHOICE = {"$ref": "#/definitions/choice"}


@cache
def edit() -> Schema:
    """An edit: the verb is offered first, then the keys that may stand beside it."""
    keys = {**verbs(), **beside()}
    return {
        "title": EDIT,
        "description": "One change to the steps of a model that this one is made of.",
        "type": "object",
        "properties": dict.fromkeys(keys, True),
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {**COMPANIONS, **owners()},
        "allOf": [
            {
                "if": {"type": "object", "required": [verb]},
                "then": {"properties": {verb: keys[verb], **{key: keys[key] for key in EDITS[verb]}}},
            }
            for verb in EDITS
        ],
        "if": {"type": "object", "not": {"propertyNames": {"not": {"enum": list(EDITS)}}}},
        "then": True,
        "else": {"properties": verbs()},
    }


def owners() -> dict[str, list[str]]:
    """The verb that a key belongs to, where it is one verb's alone."""
    keys = {key for beside in EDITS.values() for key in beside}
    found = {key: [verb for verb in EDITS if key in EDITS[verb]] for key in sorted(keys)}
    return {key: verbs for key, verbs in found.items() if len(verbs) == 1}


@cache
def verbs() -> dict[str, Schema]:
    return {
        "insert": {**CHOICE, "description": "A block or an op to be put after or before the steps selected."},
        "replace": {
            **selector(),
            "description": "Steps in whose place another is put; they keep their names.",
        },
        "remove": {**selector(), "description": "Steps to be left out: what goes into them passes on."},
        "rewire": {**selector(), "description": "Steps that get another input."},
        "set": {**selector(), "description": "Steps whose attributes get other values."},
        "freeze": {**selector(), "description": "Steps that are not trained: weights and statistics stay."},
    }


@cache
def beside() -> dict[str, Schema]:
    return {
        "after": {
            **selector(),
            "description": "The steps to insert after; who reads them, reads what is new.",
        },
        "before": {**selector(), "description": "The steps to insert before: into their first input."},
        "as": {"description": "The name of what is inserted, and of its weights.", **name()},
        "start": {
            "description": "`identity`: at the start, what is inserted changes nothing. It is added to what goes "
            "in, times a number that is learned and begins at 0.",
            "type": "string",
            "enum": ["identity"],
        },
        "with": {**CHOICE, "description": "The block or op that takes the place, with the same inputs."},
        "to": {
            "description": "Attributes or parameters with their values.",
            "type": "object",
            "minProperties": 1,
        },
        "from": {
            "description": "What goes in, by its name in the block where the step stands; "
            "{query: a, memory: b} for several.",
            **one_or_many({"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1}),
            "additionalProperties": REFERENCE,
            "minProperties": 1,
        },
        "doc": {"description": "A comment in the emitted code.", "type": "string"},
    }


@cache
def selector() -> Schema:
    return {
        "title": SELECTOR,
        "type": "string",
        "pattern": PATTERN,
        "patternErrorMessage": "Names with dots between them, such as backbone.layer[1-3].*.bn3.",
    }
