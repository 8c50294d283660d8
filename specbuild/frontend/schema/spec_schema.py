"""The JSON Schema of a spec (draft-07, the version that editors support).

It is designed for completion: each op has its `properties` and no other keys, and objects have no `oneOf` or
`anyOf`. So an editor suggests exactly the ops at a new step, then exactly the attributes of the op, and marks
a misspelled key at that key. `specbuild.frontend.schema.validate` checks what the schema cannot express.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from specbuild.frontend.document import BlockDef
from specbuild.frontend.schema.edit_schema import build_edit_schema
from specbuild.frontend.schema.file_schema import (
    block_schema,
    file_key_schemas,
    parameters_schema,
    shape_schema,
)
from specbuild.frontend.schema.op_schema import Schema, block_value_schema, merge_schemas, op_schemas
from specbuild.frontend.schema.step_schema import (
    block_choice_schema,
    build_step_schema,
    definition_name,
    ops_without_attributes,
    schema_references,
)


def build_spec_schema(
    blocks: Mapping[str, BlockDef] | None = None, ops: Collection[str] | None = None
) -> Schema:
    """Return the schema of a spec that knows these blocks; it allows other blocks with any arguments.

    It knows all ops, or only `ops`.
    """
    known = {name: block_value_schema(block) for name, block in (blocks or {}).items()}
    operations, merges = op_schemas(ops), merge_schemas(ops)
    usable = {**operations, **known}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "a spec",
        "description": "A specbuild spec: a network with named axes, compiled to PyTorch and Keras.",
        "type": "object",
        "properties": file_key_schemas(),
        "additionalProperties": False,
        "dependencies": {
            **{
                key: ["model"]
                for key in ("params", "variants", "inputs", "let", "steps", "outputs", "edits", "weights")
            },
            "model": ["inputs", "steps"],
        },
        "if": {"required": ["blocks"]},
        "else": {"required": ["model"]},
        "definitions": {
            "reference": {
                "type": "string",
                "description": "The name of an earlier step, `prev`, an input, or a value inside a block "
                "such as `cnn.layer3`.",
            },
            "sizes": {
                "type": "object",
                "additionalProperties": {"type": ["integer", "string"], "minimum": 1},
            },
            "shape": shape_schema(),
            "parameters": parameters_schema(),
            "block": block_schema(),
            "edit": build_edit_schema(),
            "step": build_step_schema(operations, usable),
            "choice": block_choice_schema(
                schema_references(usable),
                ["none", *known],
                "A block or an op: `CBAM`, `{CBAM: {reduction: 8}}`, `relu`, or `none`.",
            ),
            "merge": block_choice_schema(
                {**merges, **schema_references(known)},
                [*ops_without_attributes(merges), *known],
                "The op or block that joins the branches of a `parallel`.",
            ),
            **{definition_name(name): value for name, value in usable.items()},
        },
    }
