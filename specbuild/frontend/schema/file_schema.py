"""The frame of a spec as JSON Schema: a file's keys, blocks, parameters, shapes."""

from __future__ import annotations

from functools import cache

from specbuild.frontend.document import PARAM_TYPES, STEP_KEYS
from specbuild.frontend.schema.op_schema import REFERENCE, Schema, hide_list_form

NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_]{0,63}$"
BLOCK_NAME_PATTERN = "^[A-Z][A-Za-z0-9_]{0,63}$"
AXIS_OR_ELLIPSIS = r"^([A-Za-z][A-Za-z0-9_]{0,63}|\.\.\.)$"
DTYPES = ("float", "int32", "bool")

STEPS = {"type": "array", "items": {"$ref": "#/definitions/step"}, "minItems": 1}
SIZES = {"$ref": "#/definitions/sizes"}


@cache
def file_key_schemas() -> dict[str, Schema]:
    return {
        "specbuild": {
            "description": "The version of the language: 1. It pins every default.",
            "type": "integer",
            "enum": [1],
        },
        "model": {
            "description": "The name of the class or function that is emitted.",
            **name_schema(BLOCK_NAME_PATTERN, "A model's name is CamelCase."),
        },
        "doc": {"description": "What the model is; its docstring.", "type": "string"},
        "license": {"description": "A line for the head of the emitted files.", "type": "string"},
        "imports": {
            "description": "Blocks and models of other files: {Gate: ./gates.yaml#ChannelGate}.",
            "type": "object",
            "patternProperties": {
                BLOCK_NAME_PATTERN: {"type": "string", "examples": ["./blocks.yaml#Block"]}
            },
            "additionalProperties": False,
        },
        "params": {
            "description": "Parameters of the model: arguments of its constructor.",
            "$ref": "#/definitions/parameters",
        },
        "variants": {
            "description": "Named sets of values for the parameters: {resnet101: {depths: [3, 4, 23, 3]}}.",
            "type": "object",
            "patternProperties": {NAME_PATTERN: {"type": "object"}},
            "additionalProperties": False,
        },
        "inputs": {
            "description": "What goes into the model, each with its axes and sizes; the batch is implicit.",
            "type": "object",
            "patternProperties": {NAME_PATTERN: {"$ref": "#/definitions/shape"}},
            "additionalProperties": False,
            "minProperties": 1,
        },
        "blocks": {
            "description": "Blocks of this file: each becomes a class.",
            "type": "object",
            "patternProperties": {BLOCK_NAME_PATTERN: {"$ref": "#/definitions/block"}},
            "additionalProperties": False,
        },
        "steps": {"description": "What is computed, one step after another.", **STEPS},
        "outputs": outputs_schema("model"),
        "edits": {
            "description": "Changes to the models that this one is made of, one after another.",
            "type": "array",
            "items": {"$ref": "#/definitions/edit"},
            "minItems": 1,
        },
        "weights": {
            "description": "Names of published weights and the names here, by who published them.",
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": weight_rule_schema()},
        },
    }


@cache
def weight_rule_schema() -> Schema:
    """What `specbuild.weights.published_names` reads."""
    return {
        "title": "a rule for weights",
        "description": "The name here of the weights that are published under the name on the left.",
        "type": ["string", "object"],
        "properties": {
            "to": {"description": "The name here.", "type": "string"},
            "split": {
                "description": "The dimension along which the value is cut into equal parts.",
                "type": "integer",
                "minimum": 0,
            },
            "into": {
                "description": "The names of the parts.",
                "type": "array",
                "items": {"type": "string"},
                "minItems": 2,
                "uniqueItems": True,
            },
            "transpose": {
                "description": "The dimensions in their new order, such as [1, 0].",
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": 2,
            },
            "reshape": {
                "description": "Whether the value takes the shape that the weight has here.",
                "type": "boolean",
            },
            "ignore": {"description": "The value has no place here.", "type": "boolean", "enum": [True]},
        },
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {"split": ["into"], "into": ["split"]},
    }


@cache
def block_schema() -> Schema:
    axes = {
        "description": "Its axes, such as [C, H, W]; `...` stands for any others.",
        "type": "array",
        "items": {"type": "string", "pattern": AXIS_OR_ELLIPSIS},
    }
    return {
        "title": "a block",
        "description": "A block: steps under a name, with parameters.",
        "type": "object",
        "properties": {
            "doc": {"description": "What the block is; its docstring.", "type": "string"},
            "params": {
                "description": "Parameters of the block: arguments of its constructor.",
                "$ref": "#/definitions/parameters",
            },
            "inputs": {
                "description": "Its inputs with their axes, {x: [C, H, W]}, or their names alone. One "
                "input `x` if not given.",
                "type": ["object", "array"],
                "patternProperties": {
                    NAME_PATTERN: {**axes, "type": ["array", "null"], "minItems": 1, "uniqueItems": True}
                },
                "additionalProperties": False,
                "minProperties": 1,
                "items": name_schema(),
                "minItems": 1,
                "uniqueItems": True,
            },
            "steps": {"description": "What the block computes, one step after another.", **STEPS},
            "outputs": outputs_schema("block"),
        },
        "additionalProperties": False,
        "required": ["steps"],
    }


@cache
def parameters_schema() -> Schema:
    number = {"type": "number"}
    parameter = {
        "title": "a parameter",
        "description": "A default (`3`), a type if it must be given (`int`), or {type, "
        "default, min, max, enum, doc}.",
        "type": ["integer", "number", "boolean", "string", "array", "object"],
        "properties": {
            "type": {
                "description": "What it may hold; `block` for a block or an op.",
                "type": "string",
                "enum": list(PARAM_TYPES),
            },
            "default": {"description": "Its value when it is not given; without one it must be."},
            "min": {"description": "The least value.", **number},
            "max": {"description": "The greatest value.", **number},
            "enum": {"description": "All values that it may have.", "type": "array", "minItems": 1},
            "doc": {"description": "What it is; goes to the docstring.", "type": "string"},
        },
        "additionalProperties": False,
        "minProperties": 1,
        "examples": list(PARAM_TYPES),
        "if": {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["block"]}}},
        "then": {"properties": {"default": {"$ref": "#/definitions/choice"}}},
    }
    return {
        "title": "parameters",
        "type": "object",
        "properties": dict.fromkeys(STEP_KEYS, False),  # a step could not tell them from its own keys
        "patternProperties": {NAME_PATTERN: parameter},
        "additionalProperties": False,
    }


@cache
def shape_schema() -> Schema:
    return {
        "description": "Axes with their sizes: {C: 3, H: 224, W: 224}; or {axes: {T: 64}, dtype: int32}.",
        "type": "object",
        "properties": {
            "axes": {"description": "Axes with their sizes, where a dtype stands beside them.", **SIZES},
            "dtype": {
                "description": "The type of its numbers; float if not given.",
                "type": "string",
                "enum": list(DTYPES),
            },
        },
        "additionalProperties": {"type": ["integer", "string"], "minimum": 1},
        "dependencies": {"axes": {"propertyNames": {"enum": ["axes", "dtype"]}}, "dtype": ["axes"]},
    }


def outputs_schema(owner: str) -> Schema:
    return {
        "description": f"What comes out of the {owner}: a step, a list of them, or {{name: "
        f"step}}. The last if not given.",
        **hide_list_form(
            {"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1, "uniqueItems": True}
        ),
        "patternProperties": {NAME_PATTERN: REFERENCE},
        "additionalProperties": False,
        "minProperties": 1,
    }


def name_schema(
    pattern: str = NAME_PATTERN, message: str = "A name is a letter, then letters, digits and _."
) -> Schema:
    return {"type": "string", "pattern": pattern, "patternErrorMessage": message}
