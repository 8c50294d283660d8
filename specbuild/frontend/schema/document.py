"""The JSON Schema of a spec (draft-07, which is what editors speak).

It is made for completion: `properties` for each op, no key beside them, and no `oneOf` or `anyOf` over
objects, so that an editor offers exactly the ops at a new step, then exactly that op's attributes, and
marks a typo at its key. What it cannot say (one op in a step) is said by `specbuild.frontend.schema.validate`.
"""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.frontend.document import BlockDef
from specbuild.frontend.schema.edit_schema import edit
from specbuild.frontend.schema.file_schema import block, file_keys, parameters, shape
from specbuild.frontend.schema.op_schema import Schema, block_value, merges, ops
from specbuild.frontend.schema.step_schema import bare, chosen, definition, references, step


def schema(blocks: Mapping[str, BlockDef] | None = None) -> Schema:
    """The schema of a spec in which these blocks are known; other blocks may be used, unchecked."""
    known = {name: block_value(block) for name, block in (blocks or {}).items()}
    usable = {**ops(), **known}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "a spec",
        "description": "A specbuild spec: a network with named axes, compiled to PyTorch and Keras.",
        "type": "object",
        "properties": file_keys(),
        "additionalProperties": False,
        "dependencies": {
            **{
                key: ["model"]
                for key in ("params", "variants", "inputs", "steps", "outputs", "edits", "weights")
            },
            "model": ["inputs", "steps"],
        },
        "if": {"required": ["blocks"]},
        "else": {"required": ["model"]},
        "definitions": {
            "reference": {
                "type": "string",
                "description": "A step above by name, `prev`, an input, or a part of a block such as "
                "`cnn.layer3`.",
            },
            "sizes": {
                "type": "object",
                "additionalProperties": {"type": ["integer", "string"], "minimum": 1},
            },
            "shape": shape(),
            "parameters": parameters(),
            "block": block(),
            "edit": edit(),
            "step": step(usable),
            "choice": chosen(
                references(usable),
                ["none", *known],
                "A block or an op: `CBAM`, `{CBAM: {reduction: 8}}`, `relu`, or `none`.",
            ),
            "merge": chosen(
                {**merges(), **references(known)},
                [*bare(merges()), *known],
                "How the branches of a `parallel` become one value.",
            ),
            **{definition(name): value for name, value in usable.items()},
        },
    }
