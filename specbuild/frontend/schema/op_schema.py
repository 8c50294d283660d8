"""The JSON Schema for the values of ops, blocks and parameters, derived from their definitions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, TypeVar

from specbuild.frontend.block_inputs import is_list_input
from specbuild.frontend.document import STEP_KEYS, BlockDef, ParamDef
from specbuild.ops import OPS, Op
from specbuild.ops.attribute_kinds import INTERPOLATION
from specbuild.ops.base import OpAttribute, list_attributes
from specbuild.ops.initializers import Init

Schema = dict[str, Any]

T = TypeVar("T")


def cache_by_ops(function: Callable[[], T]) -> Callable[[], T]:
    """Decorator: cache the result of a function without arguments until an extension adds ops."""
    results: dict[int, T] = {}

    @wraps(function)
    def run_once() -> T:
        if len(OPS) not in results:
            results[len(OPS)] = function()
        return results[len(OPS)]

    return run_once


REFERENCE = {"$ref": "#/definitions/reference"}
REFERENCES = {"type": "array", "items": REFERENCE, "minItems": 1}
LIST_KEYWORDS = ("items", "minItems", "maxItems", "uniqueItems")
WRITTEN_NUMBERS = {"channels": 64, "features": 64, "units": 64, "kernel": 3}
PARAM_DESCRIPTIONS = {
    "int": "a whole number",
    "float": "a number",
    "number": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "block": "a block or an op",
}


def op_schemas(names: Collection[str] | None = None) -> dict[str, Schema]:
    """Return the schema of each op's value in a step; with `names`, only of these ops."""
    return {name: op_step_schema(cls) for name, cls in OPS.items() if names is None or name in names}


def op_step_schema(cls: type[Op]) -> Schema:
    """Return the schema of an op's value in a step; with `weight` among the attributes, that of its other form."""
    own = op_value_schema(cls)
    if not cls.given_form:
        return own
    form = {**op_value_schema(OPS[cls.given_form]), "title": cls.name}
    return {
        **{key: own[key] for key in ("title", "description")},
        "if": {"type": "object", "required": ["weight"]},
        "then": form,
        "else": own,
    }


def merge_schemas(names: Collection[str] | None = None) -> dict[str, Schema]:
    """Return the schema of each op's value in a `merge`, where the branches are the inputs; see `op_schemas`."""
    return {
        name: op_value_schema(cls, merging=True)
        for name, cls in OPS.items()
        if has_many_inputs(cls) and (names is None or name in names)
    }


def has_many_inputs(cls: type[Op]) -> bool:
    return bool(cls.input_specs) and cls.input_specs[0].variadic


def op_value_schema(cls: type[Op], merging: bool = False) -> Schema:
    """Return the schema of an op's value: a mapping of its attributes, and where possible null or a list.

    The value may be null if no attribute is required, and a list if the op takes any number of inputs.
    """
    attributes = list_attributes(cls)
    required = [name for name, attribute in attributes.items() if attribute.is_required]
    properties = {} if merging else input_schemas(cls)
    properties |= {name: attribute_schema(attribute) for name, attribute in attributes.items()}
    allows_list = has_many_inputs(cls) and not merging and not required
    types = ["object"] + ["array"] * allows_list + ["null"] * (not required)
    return {
        "title": cls.name,
        "description": cls.summary,
        "type": types if len(types) > 1 else "object",
        **({"items": REFERENCE, "minItems": 1} if allows_list else {}),
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def input_schemas(cls: type[Op]) -> dict[str, Schema]:
    """Return the inputs that can be given among the attributes: all, if there are several."""
    return {
        spec.name: {
            **(REFERENCES if spec.variadic else {"type": "string"}),
            "description": complete_sentence(spec.doc or "an input"),
        }
        for spec in cls.input_specs
        if len(cls.input_specs) > 1 or spec.variadic or spec.name != "x"
    }


def attribute_schema(attribute: OpAttribute) -> Schema:
    default = None if attribute.is_required else default_as_yaml(attribute.default)
    schema = hide_list_form(attribute.kind.json_schema())
    if attribute.is_required and schema.get("minimum", 0) >= 1:
        # what an editor writes into a new step: its own choice would be 0, which is not allowed
        schema |= {"default": WRITTEN_NUMBERS.get(attribute.name, schema["minimum"])}
    return add_description(
        f"{complete_sentence(attribute.doc)} {complete_sentence(str(attribute.kind))}", schema, default
    )


def add_description(text: str, value: Schema, default: Any) -> Schema:
    """Add a description, and show the default in it and as an example.

    The keyword `default` is not used, because editors would insert all defaults into a new step.
    """
    if default is None:
        return {"description": text, **value}
    default_text = default if isinstance(default, str) else json.dumps(default)
    examples = {} if {"examples", "anyOf", "$ref"} & set(value) else {"examples": [default]}
    return {"description": f"{text} Default: {default_text}.", **value, **examples}


def hide_list_form(value: Schema) -> Schema:
    """Move `items` into `allOf` if a list is one of several types, so that editors do not insert a list."""
    if not isinstance(value.get("type"), list) or "items" not in value:
        return value
    return {
        **{k: v for k, v in value.items() if k not in LIST_KEYWORDS},
        "allOf": [{k: v for k, v in value.items() if k in LIST_KEYWORDS}],
    }


def default_as_yaml(default: Any) -> Any:
    """Return the default of an attribute as written in YAML; None if YAML cannot express it."""
    if isinstance(default, Init):
        return f"{default.kind}({', '.join(map(str, default.args))})" if default.args else default.kind
    if isinstance(default, tuple):
        return default[0] if len(default) == 1 else list(default)
    return dict(default) if isinstance(default, Mapping) else default


def block_value_schema(definition: BlockDef) -> Schema:
    """Return the schema of a block's value in a step: a mapping of its arguments and inputs."""
    required = [name for name, param in definition.params.items() if param.required]
    properties = {name: argument_schema(param) for name, param in definition.params.items()}
    variants = definition.model.variants if definition.model is not None else {}
    if variants:
        properties = {
            "variant": {
                "description": "The name of a set of parameter values.",
                **choice_schema(variants),
            }
        } | properties
    properties |= {
        name: value for name, value in block_input_schemas(definition).items() if name not in properties
    }
    text = complete_sentence(definition.doc) if definition.doc else f"The block {definition.name}."
    if len(definition.inputs) > 1:
        text += f" Inputs, given here or by `from`: {', '.join(definition.inputs)}."
    return {
        "title": definition.name,
        "description": text,
        "type": "object" if required and not variants else ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required and not variants else {}),
    }


def block_input_schemas(definition: BlockDef) -> dict[str, Schema]:
    """Return the inputs of a block, which can be given among its arguments."""
    return {
        name: hide_list_form(
            {**REFERENCES, "type": ["array", "string"], "description": "An input: several values."}
        )
        if is_list_input(raw)
        else {"type": "string", "description": "An input."}
        for name, raw in definition.inputs.items()
    }


def argument_schema(param: ParamDef) -> Schema:
    """Return the schema of a parameter's value: a value of its type, or an expression."""
    limits = {"minimum": param.minimum, "maximum": param.maximum}
    text = complete_sentence(param.doc or PARAM_DESCRIPTIONS[param.type])
    types = {"int": "integer", "float": "number", "number": "number", "bool": "boolean", "list": "array"}
    schema: Schema
    if param.type == "block":
        schema = {"$ref": "#/definitions/choice"}
    elif param.type == "str":
        schema = choice_schema(param.choices) if param.choices else {"type": "string"}
    elif param.choices:
        schema = {
            "type": [types[param.type], "string"],
            "anyOf": [{"enum": list(param.choices)}, {"type": "string"}],
        }
    else:
        bounds = {keyword: limit for keyword, limit in limits.items() if limit is not None}
        schema = {"type": [types[param.type], "string"], **bounds}
    return add_description(text, schema, param.default)


def choice_schema(values: Any) -> Schema:
    return {"type": "string", "anyOf": [{"enum": list(values)}, {"pattern": INTERPOLATION}]}


def unknown_block_schema() -> Schema:
    """Return the schema for arguments of a block that is not known: any keys except step keys."""
    return {"type": ["object", "null"], "properties": dict.fromkeys(STEP_KEYS, False)}


def is_unknown_block_schema(schema: Mapping[str, Any]) -> bool:
    return schema == unknown_block_schema()


def complete_sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?", ":")) else ".")
