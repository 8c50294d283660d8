"""The check of a spec's form: every fault at once, each at its key or value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

from specbuild.diagnostics.errors import MAX_REPORTED, SpecError, SpecErrors
from specbuild.frontend.document import STEP_KEYS, STRUCTURES, BlockDef, parse_param
from specbuild.frontend.edits import EDIT_VERBS
from specbuild.frontend.names import IDENTIFIER
from specbuild.frontend.schema.checker import Rule, SchemaChecker, SchemaError
from specbuild.frontend.schema.edit_schema import build_edit_schema
from specbuild.frontend.schema.messages import MessageWriter
from specbuild.frontend.schema.spec_schema import build_spec_schema
from specbuild.frontend.source import Source
from specbuild.ops import OPS


def validate_source(source: Source, library: Collection[str] | None = None) -> None:
    """Raise SpecErrors if the form of a spec is not the schema's; what comes after can rely on it.

    Arguments of the file's own blocks are checked with the rest. Blocks that come from elsewhere are not
    opened here; with the names of the library's, one that no place has is refused.
    """
    own = parse_own_blocks(source)
    document = build_spec_schema(own)
    rule = make_step_rule(known_block_names(source, library) if library is not None else None)
    faults = SchemaChecker(document, {"step": rule, "edit": check_edit_verbs}).find_errors(source.data)
    if faults:
        blocks = {*own, *(library or ())}
        raise SpecErrors(describe_errors(MessageWriter(source, blocks), faults))


def describe_errors(telling: MessageWriter, faults: list[SchemaError]) -> Iterator[SpecError]:
    """The faults in words: as many as are shown; the others only count."""
    errors: dict[tuple[Any, ...], SpecError] = {}
    for i, fault in enumerate(faults):
        if len(errors) == MAX_REPORTED:
            return chain(errors.values(), (SpecError(f.keyword, "") for f in faults[i:]))
        for error in telling.describe_error(fault):
            errors.setdefault((error.code, error.message, error.location), error)
    return iter(errors.values())


def parse_own_blocks(source: Source) -> dict[str, BlockDef]:
    """The file's blocks with their parameters, where these and the name have no fault themselves."""
    found = {}
    for name, raw in as_mapping(as_mapping(source.data).get("blocks")).items():
        params = as_mapping(raw).get("params", {})
        if IDENTIFIER.fullmatch(name) and isinstance(raw, Mapping) and parameters_checker().is_valid(params):
            at = source.address_of(("blocks", name))
            declared = {p: parse_param(p, value, at.child("params", p)) for p, value in params.items()}
            doc = raw.get("doc")
            found[name] = BlockDef(name, doc if isinstance(doc, str) else "", declared, {}, (), None, at)
    return found


@cache
def parameters_checker() -> SchemaChecker:
    """Of the parameters of a block."""
    frame = build_spec_schema()
    return SchemaChecker({**frame["definitions"]["parameters"], "definitions": frame["definitions"]})


def known_block_names(source: Source, library: Collection[str]) -> set[str]:
    """The names that mean a block in this file."""
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
    """What the schema cannot say of an edit: it has exactly one verb, and nothing that does not go with it."""
    if not isinstance(value, Mapping):
        return
    known, owned = build_edit_schema()["properties"], build_edit_schema()["dependencies"]
    verbs = [key for key in value if key in EDIT_VERBS]
    if not verbs and not any(key in owned for key in value):
        yield "no verb", ""
    if not verbs or any(key not in known for key in value):
        return
    for verb in verbs[1:2]:
        yield "verbs", verb
    [verb, *others] = verbs
    for key in value:
        if key not in EDIT_VERBS[verb] and key not in EDIT_VERBS and key not in owned and not others:
            yield "strange", key
    if verb == "insert" and ("after" in value) == ("before" in value):
        yield "where", "before"


def make_step_rule(blocks: Collection[str] | None) -> Rule:
    """What the schema cannot say of a step: it has exactly one op or block, and that block exists."""

    def check_step(step: Any) -> Iterator[tuple[str, str]]:
        kinds = [key for key in step if key not in STEP_KEYS] if isinstance(step, Mapping) else [step]
        known = [kind for kind in kinds if isinstance(kind, str)]
        known = [kind for kind in known if kind in OPS or kind in STRUCTURES or kind[:1].isupper()]
        if not kinds:
            yield "no kind", ""
        for kind in known[1:2]:
            yield "kinds", kind
        for kind in known:
            if blocks is not None and kind[:1].isupper() and kind not in blocks:
                yield "no block", kind

    return check_step
