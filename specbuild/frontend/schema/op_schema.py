"""What an op, a block or a parameter takes, as JSON Schema: read off the op table and the declarations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from specbuild.frontend.document import STEP_KEYS, BlockDef, ParamDef
from specbuild.ops import OPS, Op
from specbuild.ops.attribute_kinds import INTERPOLATION, Init
from specbuild.ops.base import Attribute, attributes

Schema = dict[str, Any]

REFERENCE = {"$ref": "#/definitions/reference"}
REFERENCES = {"type": "array", "items": REFERENCE, "minItems": 1}
OF_LISTS = ("items", "minItems", "maxItems", "uniqueItems")
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "number": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "block": "a block or an op",
}


@cache
def ops() -> dict[str, Schema]:
    """The value of each op's key in a step."""
    return {name: op_value(cls) for name, cls in OPS.items()}


@cache
def merges() -> dict[str, Schema]:
    """The value of each op that can join the branches of a `parallel`, which are its inputs."""
    return {name: op_value(cls, merging=True) for name, cls in OPS.items() if takes_many(cls)}


def takes_many(cls: type[Op]) -> bool:
    return bool(cls.takes) and cls.takes[0].many


def op_value(cls: type[Op], merging: bool = False) -> Schema:
    """The mapping of an op's attributes; nothing, where it needs none; a list, where it takes many inputs."""
    declared = attributes(cls)
    required = [name for name, attribute in declared.items() if attribute.required]
    properties = {} if merging else inputs(cls)
    properties |= {name: attribute_value(attribute) for name, attribute in declared.items()}
    listed = takes_many(cls) and not merging and not required
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


def inputs(cls: type[Op]) -> dict[str, Schema]:
    """The inputs that can be named among the attributes: all but the usual `x`, which is `from`'s."""
    return {
        take.name: {
            **(REFERENCES if take.many else {"type": "string"}),
            "description": sentence(take.doc or "an input"),
        }
        for take in cls.takes
        if take.name != "x"
    }


def attribute_value(attribute: Attribute) -> Schema:
    default = None if attribute.required else in_yaml(attribute.default)
    return described(
        f"{sentence(attribute.doc)} {sentence(str(attribute.kind))}",
        one_or_many(attribute.kind.schema()),
        default,
    )


def described(text: str, value: Schema, default: Any) -> Schema:
    """With its default told and offered. The keyword `default` would have editors write out all of them."""
    if default is None:
        return {"description": text, **value}
    shown = default if isinstance(default, str) else json.dumps(default)
    offered = {} if {"examples", "anyOf", "$ref"} & set(value) else {"examples": [default]}
    return {"description": f"{text} Default: {shown}.", **value, **offered}


def one_or_many(value: Schema) -> Schema:
    """Hide `items` where a list is but one of the forms: editors that see it write a list."""
    if not isinstance(value.get("type"), list) or "items" not in value:
        return value
    return {
        **{k: v for k, v in value.items() if k not in OF_LISTS},
        "allOf": [{k: v for k, v in value.items() if k in OF_LISTS}],
    }


def in_yaml(default: Any) -> Any:
    """The default of an attribute as an author would write it; None if it cannot be written."""
    if isinstance(default, Init):
        return f"{default.kind}({', '.join(map(str, default.args))})" if default.args else default.kind
    if isinstance(default, tuple):
        return default[0] if len(default) == 1 else list(default)
    return dict(default) if isinstance(default, Mapping) else default


def block_value(definition: BlockDef) -> Schema:
    """The mapping of a block's arguments."""
    required = [name for name, param in definition.params.items() if param.required]
    properties = {name: argument(param) for name, param in definition.params.items()}
    variants = definition.model.variants if definition.model is not None else {}
    if variants:
        properties = {
            "variant": {"description": "A set of values for the parameters, by name.", **choice(variants)}
        } | properties
    text = sentence(definition.doc) if definition.doc else f"The block {definition.name}."
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


def argument(param: ParamDef) -> Schema:
    """What may be given for a parameter: a value of its type, or an expression."""
    limits = {"minimum": param.minimum, "maximum": param.maximum}
    text = sentence(param.doc or TYPES[param.type])
    types = {"int": "integer", "float": "number", "number": "number", "bool": "boolean", "list": "array"}
    found: Schema
    if param.type == "block":
        found = {"$ref": "#/definitions/choice"}
    elif param.type == "str":
        found = choice(param.choices) if param.choices else {"type": "string"}
    elif param.choices:
        found = {
            "type": [types[param.type], "string"],
            "anyOf": [{"enum": list(param.choices)}, {"type": "string"}],
        }
    else:
        found = {"type": [types[param.type], "string"], **{k: v for k, v in limits.items() if v is not None}}
    return described(text, found, param.default)


def choice(words: Any) -> Schema:
    return {"type": "string", "anyOf": [{"enum": list(words)}, {"pattern": INTERPOLATION}]}


def any_block() -> Schema:
    """The arguments of a block that the schema does not know; only the keys of steps are none of them."""
    return {"type": ["object", "null"], "properties": dict.fromkeys(STEP_KEYS, False)}


def sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?", ":")) else ".")
