"""Edits as JSON Schema: a verb in each, and what may stand beside it."""

from __future__ import annotations

from functools import cache

from specbuild.frontend.edits import EDIT_VERBS
from specbuild.frontend.schema.file_schema import name_schema
from specbuild.frontend.schema.op_schema import REFERENCE, Schema, hide_list_form
from specbuild.frontend.selectors import SELECTOR_PATTERN

EDIT_TITLE = "an edit"
SELECTOR_TITLE = "a selector"
REQUIRED_KEYS = {"replace": ["with"], "rewire": ["from"], "set": ["to"]}  # what a verb cannot be without
CHOICE_REF = {"$ref": "#/definitions/choice"}


@cache
def build_edit_schema() -> Schema:
    """An edit: the verb is offered first, then the keys that may stand beside it."""
    keys = {**verb_schemas(), **companion_schemas()}
    return {
        "title": EDIT_TITLE,
        "description": "One change to the steps of a model that this one is made of.",
        "type": "object",
        "properties": dict.fromkeys(keys, True),
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {**REQUIRED_KEYS, **key_owners()},
        "allOf": [
            {
                "if": {"type": "object", "required": [verb]},
                "then": {"properties": {verb: keys[verb], **{key: keys[key] for key in EDIT_VERBS[verb]}}},
            }
            for verb in EDIT_VERBS
        ],
        "if": {"type": "object", "not": {"propertyNames": {"not": {"enum": list(EDIT_VERBS)}}}},
        "then": True,
        "else": {"properties": verb_schemas()},
    }


def key_owners() -> dict[str, list[str]]:
    """The verb that a key belongs to, where it is one verb's alone."""
    keys = {key for beside in EDIT_VERBS.values() for key in beside}
    found = {key: [verb for verb in EDIT_VERBS if key in EDIT_VERBS[verb]] for key in sorted(keys)}
    return {key: verbs for key, verbs in found.items() if len(verbs) == 1}


@cache
def verb_schemas() -> dict[str, Schema]:
    return {
        "insert": {
            **CHOICE_REF,
            "description": "A block or an op to be put after or before the steps selected.",
        },
        "replace": {
            **selector_schema(),
            "description": "Steps in whose place another is put; they keep their names.",
        },
        "remove": {
            **selector_schema(),
            "description": "Steps to be left out: what goes into them passes on.",
        },
        "rewire": {**selector_schema(), "description": "Steps that get another input."},
        "set": {**selector_schema(), "description": "Steps whose attributes get other values."},
        "freeze": {
            **selector_schema(),
            "description": "Steps that are not trained: weights and statistics stay.",
        },
    }


@cache
def companion_schemas() -> dict[str, Schema]:
    return {
        "after": {
            **selector_schema(),
            "description": "The steps to insert after; who reads them, reads what is new.",
        },
        "before": {**selector_schema(), "description": "The steps to insert before: into their first input."},
        "as": {"description": "The name of what is inserted, and of its weights.", **name_schema()},
        "start": {
            "description": "`identity`: at the start, what is inserted changes nothing. It is added to what goes "
            "in, times a number that is learned and begins at 0.",
            "type": "string",
            "enum": ["identity"],
        },
        "with": {**CHOICE_REF, "description": "The block or op that takes the place, with the same inputs."},
        "to": {
            "description": "Attributes or parameters with their values.",
            "type": "object",
            "minProperties": 1,
        },
        "from": {
            "description": "What goes in, by its name in the block where the step stands; "
            "{query: a, memory: b} for several.",
            **hide_list_form({"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1}),
            "additionalProperties": REFERENCE,
            "minProperties": 1,
        },
        "doc": {"description": "A comment in the emitted code.", "type": "string"},
    }


@cache
def selector_schema() -> Schema:
    return {
        "title": SELECTOR_TITLE,
        "type": "string",
        "pattern": SELECTOR_PATTERN,
        "patternErrorMessage": "Names with dots between them, such as backbone.layer[1-3].*.bn3.",
    }
