"""The JSON Schema of edits: each has one verb, and further keys that belong to this verb."""

from __future__ import annotations

from specbuild.frontend.edits import EDIT_VERBS
from specbuild.frontend.schema.file_schema import name_schema
from specbuild.frontend.schema.op_schema import REFERENCE, Schema, cache_by_ops, hide_list_form
from specbuild.frontend.selectors import SELECTOR_PATTERN

EDIT_TITLE = "an edit"
SELECTOR_TITLE = "a selector"
REQUIRED_KEYS = {"replace": ["with"], "rewire": ["from"], "set": ["to"]}  # verb -> keys
CHOICE_REF = {"$ref": "#/definitions/choice"}


@cache_by_ops
def build_edit_schema() -> Schema:
    """Return the schema of an edit. With it, an editor suggests a verb first, then the keys of that verb."""
    keys = {**verb_schemas(), **companion_schemas()}
    return {
        "title": EDIT_TITLE,
        "description": "One change to the steps of a model that this model uses.",
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
    """Return the verb for each key that belongs to only one verb."""
    keys = {key for further_keys in EDIT_VERBS.values() for key in further_keys}
    found = {key: [verb for verb in EDIT_VERBS if key in EDIT_VERBS[verb]] for key in sorted(keys)}
    return {key: verbs for key, verbs in found.items() if len(verbs) == 1}


@cache_by_ops
def verb_schemas() -> dict[str, Schema]:
    return {
        "insert": {
            **CHOICE_REF,
            "description": "A block or an op to insert after or before the selected steps.",
        },
        "replace": {
            **selector_schema(),
            "description": "Steps to replace with another block or op; they keep their names.",
        },
        "remove": {
            **selector_schema(),
            "description": "Steps to remove; their input passes through.",
        },
        "rewire": {**selector_schema(), "description": "Steps to give another input."},
        "set": {**selector_schema(), "description": "Steps to give other attribute values."},
        "freeze": {
            **selector_schema(),
            "description": "Steps to exclude from training: their weights and statistics do not change.",
        },
    }


@cache_by_ops
def companion_schemas() -> dict[str, Schema]:
    """Return the schemas of the keys that are allowed beside a verb."""
    return {
        "after": {
            **selector_schema(),
            "description": "The steps to insert after; later steps then read the inserted step instead.",
        },
        "before": {**selector_schema(), "description": "The steps to insert before, at their first input."},
        "as": {"description": "The name of the inserted step, and of its weights.", **name_schema()},
        "start": {
            "description": "`identity`: before training, the inserted step has no effect. Its result is "
            "multiplied by a learned number that starts at 0, and added to its input.",
            "type": "string",
            "enum": ["identity"],
        },
        "with": {**CHOICE_REF, "description": "The replacement, a block or op with the same inputs."},
        "to": {
            "description": "Attributes or parameters with their values.",
            "type": "object",
            "minProperties": 1,
        },
        "from": {
            "description": "The input, by its name in the block that contains the step; "
            "{query: a, memory: b} for several.",
            **hide_list_form({"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1}),
            "additionalProperties": REFERENCE,
            "minProperties": 1,
        },
        "doc": {"description": "A comment in the emitted code.", "type": "string"},
    }


@cache_by_ops
def selector_schema() -> Schema:
    return {
        "title": SELECTOR_TITLE,
        "type": "string",
        "pattern": SELECTOR_PATTERN,
        "patternErrorMessage": "Names with dots between them, such as backbone.layer[1-3].*.bn3.",
    }
