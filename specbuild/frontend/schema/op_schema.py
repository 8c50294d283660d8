"""What an op, a block or a parameter takes, as JSON Schema: read off the op table and the declarations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from specbuild.frontend.document import STEP_KEYS, BlockDef, ParamDef
from specbuild.ops import OPS, Op
from specbuild.ops.attribute_kinds import INTERPOLATION, Init
from specbuild.ops.base import OpAttribute, list_attributes

Schema = dict[str, Any]

REFERENCE = {"$ref": "#/definitions/reference"}
REFERENCES = {"type": "array", "items": REFERENCE, "minItems": 1}
LIST_KEYWORDS = ("items", "minItems", "maxItems", "uniqueItems")
PARAM_DESCRIPTIONS = {
    "int": "a whole number",
    "float": "a number",
    "number": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "block": "a block or an op",
}


@cache
def op_schemas() -> dict[str, Schema]:
    """The value of each op's key in a step."""
    return {name: op_value_schema(cls) for name, cls in OPS.items()}


@cache
def merge_schemas() -> dict[str, Schema]:
    """The value of each op that can join the branches of a `parallel`, which are its inputs."""
    return {name: op_value_schema(cls, merging=True) for name, cls in OPS.items() if has_many_inputs(cls)}


def has_many_inputs(cls: type[Op]) -> bool:
    return bool(cls.input_specs) and cls.input_specs[0].variadic


def op_value_schema(cls: type[Op], merging: bool = False) -> Schema:
    """The mapping of an op's attributes; nothing, where it needs none; a list, where it takes many inputs."""
    declared = list_attributes(cls)
    required = [name for name, attribute in declared.items() if attribute.is_required]
    properties = {} if merging else input_schemas(cls)
    properties |= {name: attribute_schema(attribute) for name, attribute in declared.items()}
    listed = has_many_inputs(cls) and not merging and not required
    types = ["object"] + ["array"] * listed + ["null"] * (not required)
    return {
        "title": cls.name,
        "description": cls.summary,
        "type": types if len(types) > 1 else "object",
        **({"items": REFERENCE, "minItems": 1} if listed else {}),
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def input_schemas(cls: type[Op]) -> dict[str, Schema]:
    """The inputs that can be named among the attributes: all but the usual `x`, which is `from`'s."""
    return {
        take.name: {
            **(REFERENCES if take.variadic else {"type": "string"}),
            "description": complete_sentence(take.doc or "an input"),
        }
        for take in cls.input_specs
        if take.name != "x"
    }


def attribute_schema(attribute: OpAttribute) -> Schema:
    default = None if attribute.is_required else default_as_yaml(attribute.default)
    return add_description(
        f"{complete_sentence(attribute.doc)} {complete_sentence(str(attribute.kind))}",
        hide_list_form(attribute.kind.json_schema()),
        default,
    )


def add_description(text: str, value: Schema, default: Any) -> Schema:
    """With its default told and offered. The keyword `default` would have editors write out all of them."""
    if default is None:
        return {"description": text, **value}
    shown = default if isinstance(default, str) else json.dumps(default)
    offered = {} if {"examples", "anyOf", "$ref"} & set(value) else {"examples": [default]}
    return {"description": f"{text} Default: {shown}.", **value, **offered}


def hide_list_form(value: Schema) -> Schema:
    """Hide `items` where a list is but one of the forms: editors that see it write a list."""
    if not isinstance(value.get("type"), list) or "items" not in value:
        return value
    return {
        **{k: v for k, v in value.items() if k not in LIST_KEYWORDS},
        "allOf": [{k: v for k, v in value.items() if k in LIST_KEYWORDS}],
    }


def default_as_yaml(default: Any) -> Any:
    """The default of an attribute as an author would write it; None if it cannot be written."""
    if isinstance(default, Init):
        return f"{default.kind}({', '.join(map(str, default.args))})" if default.args else default.kind
    if isinstance(default, tuple):
        return default[0] if len(default) == 1 else list(default)
    return dict(default) if isinstance(default, Mapping) else default


def block_value_schema(definition: BlockDef) -> Schema:
    """The mapping of a block's arguments."""
    required = [name for name, param in definition.params.items() if param.required]
    properties = {name: argument_schema(param) for name, param in definition.params.items()}
    variants = definition.model.variants if definition.model is not None else {}
    if variants:
        properties = {
            "variant": {
                "description": "A set of values for the parameters, by name.",
                **choice_schema(variants),
            }
        } | properties
    text = complete_sentence(definition.doc) if definition.doc else f"The block {definition.name}."
    if len(definition.inputs) > 1:
        text += f" Inputs, given by `from`: {', '.join(definition.inputs)}."
    return {
        "title": definition.name,
        "description": text,
        "type": "object" if required and not variants else ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required and not variants else {}),
    }


def argument_schema(param: ParamDef) -> Schema:
    """What may be given for a parameter: a value of its type, or an expression."""
    limits = {"minimum": param.minimum, "maximum": param.maximum}
    text = complete_sentence(param.doc or PARAM_DESCRIPTIONS[param.type])
    types = {"int": "integer", "float": "number", "number": "number", "bool": "boolean", "list": "array"}
    found: Schema
    if param.type == "block":
        found = {"$ref": "#/definitions/choice"}
    elif param.type == "str":
        found = choice_schema(param.choices) if param.choices else {"type": "string"}
    elif param.choices:
        found = {
            "type": [types[param.type], "string"],
            "anyOf": [{"enum": list(param.choices)}, {"type": "string"}],
        }
    else:
        found = {"type": [types[param.type], "string"], **{k: v for k, v in limits.items() if v is not None}}
    return add_description(text, found, param.default)


def choice_schema(words: Any) -> Schema:
    return {"type": "string", "anyOf": [{"enum": list(words)}, {"pattern": INTERPOLATION}]}


def unknown_block_schema() -> Schema:
    """The arguments of a block that the schema does not know; only the keys of steps are none of them."""
    return {"type": ["object", "null"], "properties": dict.fromkeys(STEP_KEYS, False)}


def complete_sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?", ":")) else ".")
