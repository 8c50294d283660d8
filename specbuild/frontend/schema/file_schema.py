"""The JSON Schema of the parts of a file: its keys, blocks, parameters and shapes."""

from __future__ import annotations

from specbuild.frontend.block_inputs import DTYPES
from specbuild.frontend.document import PARAM_TYPES, STEP_KEYS
from specbuild.frontend.schema.op_schema import REFERENCE, Schema, cache_by_ops, hide_list_form

NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_]{0,63}$"
NUMBER_PATTERN = "^(0|[1-9][0-9]{0,3})$"  # of a step in a `do` or a branch
BLOCK_NAME_PATTERN = "^[A-Z][A-Za-z0-9_]{0,63}$"
AXIS_OR_ELLIPSIS = r"^([A-Za-z][A-Za-z0-9_]{0,63}|\.\.\.)$"

STEPS = {"type": "array", "items": {"$ref": "#/definitions/step"}, "minItems": 1}
SIZES = {"$ref": "#/definitions/sizes"}


@cache_by_ops
def file_key_schemas() -> dict[str, Schema]:
    return {
        "specbuild": {
            "description": "The version of the language: 1. It fixes all defaults.",
            "type": "integer",
            "enum": [1],
        },
        "model": {
            "description": "The name of the emitted class or function.",
            **name_schema(BLOCK_NAME_PATTERN, "A model's name is CamelCase."),
        },
        "doc": {"description": "A description of the model; its docstring.", "type": "string"},
        "about": about_schema("model"),
        "license": {"description": "A line for the start of the emitted files.", "type": "string"},
        "imports": {
            "description": "Blocks and models from other files: {Gate: ./gates.yaml#ChannelGate}.",
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
            "description": "The inputs of the model with their axes and sizes; the batch axis is implicit.",
            "type": "object",
            "patternProperties": {NAME_PATTERN: {"$ref": "#/definitions/shape"}},
            "additionalProperties": False,
            "minProperties": 1,
        },
        "let": let_schema(),
        "blocks": {
            "description": "The blocks of this file; each becomes a class.",
            "type": "object",
            "patternProperties": {BLOCK_NAME_PATTERN: {"$ref": "#/definitions/block"}},
            "additionalProperties": False,
        },
        "steps": {"description": "The steps of the model, in the order of computation.", **STEPS},
        "outputs": outputs_schema("model"),
        "edits": {
            "description": "Changes to the models that this model uses, in their order.",
            "type": "array",
            "items": {"$ref": "#/definitions/edit"},
            "minItems": 1,
        },
        "weights": {
            "description": "Rules that map published weight names to names in this model, by publisher.",
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": weight_rule_schema()},
        },
    }


@cache_by_ops
def weight_rule_schema() -> Schema:
    """Return the schema of a rule for `specbuild.weights.published_names`."""
    return {
        "title": "a rule for weights",
        "description": "The name in this model for the published name on the left.",
        "type": ["string", "object"],
        "properties": {
            "to": {"description": "The name in this model.", "type": "string"},
            "split": {
                "description": "The dimension along which to split the value into equal parts.",
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
                "description": "The new order of the dimensions, such as [1, 0].",
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": 2,
            },
            "reshape": {
                "description": "Whether to reshape the value to the shape of the weight in this model.",
                "type": "boolean",
            },
            "ignore": {
                "description": "This model does not use the value.",
                "type": "boolean",
                "enum": [True],
            },
        },
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {"split": ["into"], "into": ["split"]},
    }


@cache_by_ops
def block_schema() -> Schema:
    return {
        "title": "a block",
        "description": "A block: steps with a name and parameters.",
        "type": "object",
        "properties": {
            "doc": {"description": "A description of the block; its docstring.", "type": "string"},
            "about": about_schema("block"),
            "params": {
                "description": "Parameters of the block: arguments of its constructor.",
                "$ref": "#/definitions/parameters",
            },
            "inputs": {
                "description": "Its inputs with their axes, {x: [C, H, W]}, or only their names. Default: "
                "one input `x`.",
                "type": ["object", "array"],
                "patternProperties": {NAME_PATTERN: block_input_schema()},
                "additionalProperties": False,
                "items": name_schema(),
                "uniqueItems": True,
            },
            "let": let_schema(),
            "steps": {"description": "The steps of the block, in the order of computation.", **STEPS},
            "outputs": outputs_schema("block"),
        },
        "additionalProperties": False,
        "required": ["steps"],
    }


@cache_by_ops
def block_input_schema() -> Schema:
    axes = {
        "items": {"type": "string", "pattern": AXIS_OR_ELLIPSIS},
        "type": ["array", "null"],
        "uniqueItems": True,
    }
    each = "The axes of each of any number of values, which a call gives as a list: {each: [C, H, W]}."
    return {
        "title": "an input of a block",
        "description": "Its axes, such as [C, H, W], or [] for one number; `...` allows further axes. "
        "{each: [C, H, W]} for a list, {axes: [C], optional: true} for an input that a call may leave out, "
        "{axes: [T], dtype: bool} for a mask.",
        **hide_list_form({**axes, "type": ["array", "null", "object"]}),
        "properties": {
            "each": {"description": each, **axes},
            "axes": {"description": "Its axes, for use with `optional` or `dtype`.", **axes},
            "optional": {
                "description": "Whether a call may leave the input out; In a step, `given(mask)` is true if the call gives it.",
                "type": "boolean",
                "enum": [True],
            },
            "dtype": {
                "description": "What its values are; without it, any of them.",
                "type": "string",
                "enum": list(DTYPES),
            },
        },
        "additionalProperties": False,
        "minProperties": 1,
        "dependencies": {
            "optional": ["axes"],
            "each": {"propertyNames": {"enum": ["each", "dtype"]}},
        },
    }


def about_schema(owner: str) -> Schema:
    text = {"type": "string", "pattern": r"\S"}
    words = {"type": "array", "items": text, "uniqueItems": True}
    return {
        "title": "what it is about",
        "description": f"Where the {owner} comes from and how it is found: {{title: Deep residual learning, year: 2015}}.",
        "type": "object",
        "properties": {
            "title": {"description": "The title of the paper.", **text},
            "authors": {"description": "The authors of the paper, as text: He et al.", **text},
            "year": {"description": "When it appeared.", "type": "integer", "minimum": 1900, "maximum": 2999},
            "arxiv": {
                "description": "Its number at arXiv, in quotes.",
                "pattern": r"^(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})$",
                "patternErrorMessage": "A number of arXiv is such as '1512.03385', in quotes.",
                **text,
            },
            "doi": {"description": "Its DOI.", **text},
            "names": {
                "description": f"Other names of the {owner}, in papers and other libraries.",
                **words,
            },
            "tags": {"description": f"Words that the {owner} is found by.", **words},
        },
        "additionalProperties": False,
        "minProperties": 1,
    }


@cache_by_ops
def let_schema() -> Schema:
    return {
        "description": "Names for expressions that the steps use more than once: {hidden: x.C // ratio}.",
        "type": "object",
        "patternProperties": {NAME_PATTERN: {"type": ["integer", "number", "boolean", "string", "array"]}},
        "additionalProperties": False,
    }


@cache_by_ops
def parameters_schema() -> Schema:
    number = {"type": "number"}
    parameter = {
        "title": "a parameter",
        "description": "A default (`3`), a type for a required parameter (`int`), or {type, "
        "default, min, max, enum, doc}.",
        "type": ["integer", "number", "boolean", "string", "array", "object"],
        "properties": {
            "type": {
                "description": "The type of its values; `block` for a block or an op.",
                "type": "string",
                "enum": list(PARAM_TYPES),
            },
            "default": {"description": "Its default; a parameter without a default is required."},
            "min": {"description": "The smallest allowed value.", **number},
            "max": {"description": "The largest allowed value.", **number},
            "enum": {"description": "All allowed values.", "type": "array", "minItems": 1},
            "doc": {"description": "Its description in the docstring.", "type": "string"},
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
        "properties": dict.fromkeys(STEP_KEYS, False),  # arguments and step keys are in one mapping
        "patternProperties": {NAME_PATTERN: parameter},
        "additionalProperties": False,
    }


@cache_by_ops
def shape_schema() -> Schema:
    size = {"type": ["integer", "string"], "minimum": 1}
    axis = {
        "description": "A number, or (but for C) `any`: every size; {any: 64} also says the size that examples have.",
        "type": ["integer", "string", "object"],
        "minimum": 1,
        "properties": {"any": {"description": "The size that tables, counts and comparisons have.", **size}},
        "minProperties": 1,
        "additionalProperties": False,
    }
    return {
        "description": "Axes with their sizes: {C: 3, H: 224, W: 224}, or {T: any, C: 8}; or {axes: {T: 64}, dtype: int32}.",
        "type": "object",
        "properties": {
            "axes": {
                "description": "Axes with their sizes, for use with a dtype.",
                "type": "object",
                "additionalProperties": axis,
            },
            "dtype": {
                "description": "The type of its numbers. Default: float.",
                "type": "string",
                "enum": list(DTYPES),
            },
            "each": {
                "description": "The size of an axis; a list is an input of a block, and a model names its inputs.",
                "doNotSuggest": True,
                **size,
            },
            "optional": {
                "description": "The size of an axis; only an input of a block can be optional.",
                "doNotSuggest": True,
                **size,
            },
        },
        "additionalProperties": axis,
        "dependencies": {"axes": {"propertyNames": {"enum": ["axes", "dtype"]}}, "dtype": ["axes"]},
    }


def outputs_schema(owner: str) -> Schema:
    return {
        "description": f"The outputs of the {owner}: a step, a list of steps, or {{name: "
        f"step}}. Default: the last step.",
        **hide_list_form(
            {"type": ["string", "array", "object"], "items": REFERENCE, "minItems": 1, "uniqueItems": True}
        ),
        "patternProperties": {NAME_PATTERN: REFERENCE if owner == "block" else ordered_output_schema()},
        "additionalProperties": False,
        "minProperties": 1,
    }


def ordered_output_schema() -> Schema:
    return {
        "title": "an output",
        "description": "A step, or {of: step, order: [T, C]} for the same order of axes in all frameworks.",
        "type": ["string", "object"],
        "properties": {
            "of": {"description": "The step whose value it is.", **REFERENCE},
            "order": {
                "description": "All axes of the output in the order that emitted code returns, after the batch.",
                "type": "array",
                "items": name_schema(),
                "uniqueItems": True,
            },
        },
        "additionalProperties": False,
        "required": ["of", "order"],
    }


def name_schema(
    pattern: str = NAME_PATTERN, message: str = "A name is a letter followed by letters, digits and _."
) -> Schema:
    return {"type": "string", "pattern": pattern, "patternErrorMessage": message}
