"""The JSON Schema for editors: all ops, the blocks of the library, and the blocks of a project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from specbuild.frontend.document import STEP_KEYS, BlockDef, Spec
from specbuild.frontend.library import LIBRARY, find_library_file, full_library_index, model_name
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.schema import build_spec_schema
from specbuild.frontend.schema.op_schema import Schema
from specbuild.frontend.schema.step_schema import definition_name
from specbuild.frontend.schema.validate import create_quick_checker
from specbuild.ops.extensions import load_extension_ops


def build_editor_schema(spec: Spec | None = None, files: SpecFiles | None = None) -> Schema:
    """Return the schema for any spec, or for a spec with the blocks and imports of `spec`.

    A block of the spec hides a library block with the same name. So the schema for any spec allows other parameters
    for library blocks too. Raises SpecError if an import cannot be opened.
    """
    load_extension_ops()
    blocks = library_blocks()
    if spec is not None and files is not None:
        blocks |= {name: files.import_block(spec, name) for name in spec.imports}
        blocks |= spec.blocks
        return with_types(build_spec_schema(blocks))
    document = with_types(build_spec_schema(blocks))
    for name in blocks:
        allow_other_parameters(document["definitions"][definition_name(name)])
    return document


def with_types(document: Schema) -> Schema:
    """Return the schema with a type for the ops that have two forms: an editor then writes `conv:`, not `conv`."""
    definitions = {
        name: {"type": value["else"]["type"], **value}
        if name.startswith("op.") and "else" in value
        else value
        for name, value in document["definitions"].items()
    }
    return {**document, "definitions": definitions}


def allow_other_parameters(value: Schema) -> None:
    """Let the schema of a block's value allow any parameters, but no step keys among them."""
    value |= {"type": ["object", "null"], "additionalProperties": True}
    value["patternProperties"] = {f"^({'|'.join(STEP_KEYS)})$": False}
    value.pop("required", None)


def library_blocks() -> dict[str, BlockDef]:
    """Return the models and blocks of the library by name, without the inner blocks of a model.

    Inner blocks have names such as Stem. A spec may use the same name for its own block, and an editor would
    then check that block against the wrong schema.
    """
    return dict(read_blocks(tuple(sorted(set(full_library_index().values())))))


def library_block_names() -> list[str]:
    """Return the names of `library_blocks`, from the text of the files."""
    blocks_by_file: dict[Path, list[str]] = {}
    for name, path in full_library_index().items():
        blocks_by_file.setdefault(path, []).append(name)
    models = {path: model_name(path) for path in blocks_by_file}
    return sorted(
        name for path, blocks in blocks_by_file.items() for name in blocks if models[path] in ("", name)
    )


def find_library_block(name: str) -> BlockDef | None:
    """Return one of the `library_blocks`; it reads no file but that of the block."""
    path = find_library_file(name)
    return None if path is None else read_blocks((path,)).get(name)


@cache
def read_blocks(paths: tuple[Path, ...]) -> Mapping[str, BlockDef]:
    files = SpecFiles(LIBRARY, checker=create_quick_checker() if len(paths) > 1 else None)
    blocks: dict[str, BlockDef] = {}
    for path in paths:
        spec = files.read_spec(path)
        blocks |= {spec.model.name: spec.model} if spec.model is not None else spec.blocks
    return dict(sorted(blocks.items()))


def schema_to_json(document: Schema) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
