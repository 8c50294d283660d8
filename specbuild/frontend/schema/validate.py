"""Check a spec against the schema, and report all errors at once, each at its key or value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

from specbuild.diagnostics.errors import MAX_REPORTED, SpecError, SpecErrors
from specbuild.frontend.document import STEP_KEYS, STRUCTURES, BlockDef, parse_params
from specbuild.frontend.edits import EDIT_VERBS
from specbuild.frontend.library import full_library_index
from specbuild.frontend.names import IDENTIFIER
from specbuild.frontend.schema.checker import Rule, SchemaChecker, SchemaError
from specbuild.frontend.schema.edit_schema import build_edit_schema
from specbuild.frontend.schema.messages import MessageWriter
from specbuild.frontend.schema.spec_schema import build_spec_schema
from specbuild.frontend.source import Source
from specbuild.ops import OPS
from specbuild.ops.extensions import load_extension_ops


def validate_source(source: Source, library: Collection[str] | None = None) -> None:
    """Check a spec against the schema, and raise SpecErrors with all errors. Later stages rely on this check.

    It includes the arguments of the blocks that the file defines. It does not open other files. If the names
    of the `library` blocks are given, it also refuses blocks that are neither in the file, nor imported, nor
    in the library.
    """
    own_blocks = parse_own_blocks(source)
    step_rule = make_step_rule(known_block_names(source, library) if library is not None else None)
    rules = {"step": step_rule, "edit": check_edit_verbs}
    if SchemaChecker(build_spec_schema(own_blocks, named_ops(source.data)), rules).is_valid(source.data):
        return  # the schema of all ops takes longer to build than most files to check
    errors = SchemaChecker(build_spec_schema(own_blocks), rules).find_errors(source.data)
    if errors and load_extension_ops():  # the spec may use ops of an extension
        errors = SchemaChecker(build_spec_schema(own_blocks), rules).find_errors(source.data)
    if errors and library is None:  # then unknown blocks are reported together with them
        library = full_library_index()
        rules["step"] = make_step_rule(known_block_names(source, library))
        errors = SchemaChecker(build_spec_schema(own_blocks), rules).find_errors(source.data)
    if errors:
        writer = MessageWriter(
            source,
            {
                **dict.fromkeys(library or (), ()),
                **{name: tuple(block.inputs) for name, block in own_blocks.items()},
            },
        )
        raise SpecErrors(describe_errors(writer, errors))


@cache
def create_quick_checker() -> SchemaChecker:
    """Return a checker that knows all ops and allows any arguments of blocks: one for many files."""
    return SchemaChecker(build_spec_schema(), {"step": make_step_rule(None), "edit": check_edit_verbs})


def describe_errors(writer: MessageWriter, errors: list[SchemaError]) -> Iterator[SpecError]:
    """Describe as many errors as are reported; for the others, yield empty errors, which are only counted."""
    described: dict[tuple[Any, ...], SpecError] = {}
    for i, error in enumerate(errors):
        if len(described) == MAX_REPORTED:
            return chain(described.values(), (SpecError(e.keyword, "") for e in errors[i:]))
        for spec_error in writer.describe_error(error):
            key = (spec_error.code, spec_error.message, spec_error.location)
            described.setdefault(key, spec_error)
    return iter(described.values())


def parse_own_blocks(source: Source) -> dict[str, BlockDef]:
    """Return the blocks of a file with their parameters and inputs, if their names and parameters are valid."""
    blocks: dict[str, BlockDef] = {}
    declarations = as_mapping(as_mapping(source.data).get("blocks"))
    if not declarations:
        return blocks
    checker = create_parameters_checker(named_ops(source.data))
    for name, raw in declarations.items():
        params = as_mapping(raw).get("params", {})
        if IDENTIFIER.fullmatch(name) and isinstance(raw, Mapping) and checker.is_valid(params):
            at = source.address_of(("blocks", name))
            declared = parse_params(params, at.child("params"))
            doc = raw.get("doc")
            inputs = as_mapping(raw.get("inputs"))
            blocks[name] = BlockDef(name, doc if isinstance(doc, str) else "", declared, inputs, (), None, at)
    return blocks


def create_parameters_checker(ops: Collection[str]) -> SchemaChecker:
    """Return a checker for the `params` of a block, which knows these ops."""
    definitions = build_spec_schema(None, ops)["definitions"]
    return SchemaChecker({**definitions["parameters"], "definitions": definitions})


def named_ops(value: Any) -> set[str]:
    """Return the ops whose names occur anywhere in a file: its other ops cannot make it valid or invalid."""
    if isinstance(value, str):
        return {value} if value in OPS else set()
    if isinstance(value, list):
        return set().union(*map(named_ops, value))
    if isinstance(value, Mapping):
        return {key for key in value if key in OPS}.union(*map(named_ops, value.values()))
    return set()


def known_block_names(source: Source, library: Collection[str]) -> set[str]:
    """Return the names that a file can use as blocks."""
    data = as_mapping(source.data)
    return {
        *as_mapping(data.get("blocks")),
        *as_mapping(data.get("imports")),
        *library,
        str(data.get("model")),
    }


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def check_edit_verbs(value: Any) -> Iterator[tuple[str, str]]:
    """Check what the schema cannot express: an edit has one verb, and only keys that belong to it."""
    if not isinstance(value, Mapping):
        return
    known, dependent = build_edit_schema()["properties"], build_edit_schema()["dependencies"]
    verbs = [key for key in value if key in EDIT_VERBS]
    if not verbs and not any(key in dependent for key in value):
        yield "missingVerb", ""
    if not verbs or any(key not in known for key in value):
        return
    for verb in verbs[1:2]:
        yield "severalVerbs", verb
    [verb, *others] = verbs
    for key in value:
        if key not in EDIT_VERBS[verb] and key not in EDIT_VERBS and key not in dependent and not others:
            yield "inapplicableKey", key
    if verb == "insert" and ("after" in value) == ("before" in value):
        yield "missingPosition", "before"


def make_step_rule(blocks: Collection[str] | None) -> Rule:
    """Return a rule for what the schema cannot express: a step has one op or block, and that block exists."""

    def check_step(step: Any) -> Iterator[tuple[str, str]]:
        kinds = [key for key in step if key not in STEP_KEYS] if isinstance(step, Mapping) else [step]
        known = [kind for kind in kinds if isinstance(kind, str)]
        known = [kind for kind in known if kind in OPS or kind in STRUCTURES or kind[:1].isupper()]
        if not kinds:
            yield "missingOp", ""
        for kind in known[1:2]:
            yield "severalOps", kind
        for kind in known:
            if blocks is not None and kind[:1].isupper() and kind not in blocks:
                yield "unknownBlock", kind

    return check_step
