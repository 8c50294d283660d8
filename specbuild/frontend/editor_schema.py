"""The JSON Schema that an editor completes and checks by: every op, the library's blocks, a project's own."""

from __future__ import annotations

import json

from specbuild.frontend.document import BlockDef, Spec
from specbuild.frontend.resolver import LIBRARY, SpecFiles, library_index
from specbuild.frontend.schema import build_spec_schema
from specbuild.frontend.schema.op_schema import Schema


def build_editor_schema(spec: Spec | None = None, files: SpecFiles | None = None) -> Schema:
    """The schema for any spec; with one, for specs like it, which have its blocks and imports at hand.

    A block of the spec stands before one of the library's with the same name. Raises SpecError for an import
    that cannot be opened.
    """
    blocks = library_blocks()
    if spec is not None and files is not None:
        blocks |= {name: files.import_block(spec, name) for name in spec.imports}
        blocks |= spec.blocks
    return build_spec_schema(blocks)


def library_blocks() -> dict[str, BlockDef]:
    """The library's models and blocks by name, without the blocks that a model is made of.

    Those have names such as Stem, which specs give to blocks of their own: an editor would mark these.
    """
    files = SpecFiles(LIBRARY)
    found: dict[str, BlockDef] = {}
    for path in sorted(set(library_index().values())):
        spec = files.read_spec(path)
        found |= {spec.model.name: spec.model} if spec.model is not None else spec.blocks
    return dict(sorted(found.items()))


def schema_to_json(document: Schema) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
