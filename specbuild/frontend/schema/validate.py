"""The check of a spec's form: every fault at once, each at its key or value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

from specbuild.diagnostics.errors import MOST_REPORTED, SpecError, SpecErrors
from specbuild.frontend.document import STEP_KEYS, STRUCTURE, BlockDef, parameter
from specbuild.frontend.edits import EDITS
from specbuild.frontend.names import IDENTIFIER
from specbuild.frontend.schema.checker import Checker, Fault, Rule
from specbuild.frontend.schema.document import schema
from specbuild.frontend.schema.edit_schema import edit
from specbuild.frontend.schema.messages import Telling
from specbuild.frontend.source import Source
from specbuild.ops import OPS


def validate(source: Source, library: Collection[str] | None = None) -> None:
    """Raise SpecErrors if the form of a spec is not the schema's; what comes after can rely on it.

    Arguments of the file's own blocks are checked with the rest. Blocks that come from elsewhere are not
    opened here; with the names of the library's, one that no place has is refused.
    """
    own = own_blocks(source)
    document = schema(own)
    rule = one_kind(known_blocks(source, library) if library is not None else None)
    faults = Checker(document, {"step": rule, "edit": one_verb}).faults(source.data)
    if faults:
        blocks = {*own, *(library or ())}
        raise SpecErrors(told(Telling(source, blocks), faults))


def told(telling: Telling, faults: list[Fault]) -> Iterator[SpecError]:
    """The faults in words: as many as are shown; the others only count."""
    errors: dict[tuple[Any, ...], SpecError] = {}
    for i, fault in enumerate(faults):
        if len(errors) == MOST_REPORTED:
            return chain(errors.values(), (SpecError(f.keyword, "") for f in faults[i:]))
        for error in telling.errors(fault):
            errors.setdefault((error.code, error.message, error.place), error)
    return iter(errors.values())


def own_blocks(source: Source) -> dict[str, BlockDef]:
    """The file's blocks with their parameters, where these and the name have no fault themselves."""
    found = {}
    for name, raw in mapping(mapping(source.data).get("blocks")).items():
        params = mapping(raw).get("params", {})
        if IDENTIFIER.fullmatch(name) and isinstance(raw, Mapping) and parameters().fits(params):
            at = source.at(("blocks", name))
            declared = {p: parameter(p, value, at.child("params", p)) for p, value in params.items()}
            doc = raw.get("doc")
            found[name] = BlockDef(name, doc if isinstance(doc, str) else "", declared, {}, (), None, at)
    return found


@cache
def parameters() -> Checker:
    """Of the parameters of a block."""
    frame = schema()
    return Checker({**frame["definitions"]["parameters"], "definitions": frame["definitions"]})


def known_blocks(source: Source, library: Collection[str]) -> set[str]:
    """The names that mean a block in this file."""
    data = mapping(source.data)
    return {*mapping(data.get("blocks")), *mapping(data.get("imports")), *library, str(data.get("model"))}


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def one_verb(value: Any) -> Iterator[tuple[str, str]]:
    """What the schema cannot say of an edit: it has exactly one verb, and nothing that does not go with it."""
    if not isinstance(value, Mapping):
        return
    known, owned = edit()["properties"], edit()["dependencies"]
    verbs = [key for key in value if key in EDITS]
    if not verbs and not any(key in owned for key in value):
        yield "no verb", ""
    if not verbs or any(key not in known for key in value):
        return
    for verb in verbs[1:2]:
        yield "verbs", verb
    [verb, *others] = verbs
    for key in value:
        if key not in EDITS[verb] and key not in EDITS and key not in owned and not others:
            yield "strange", key
    if verb == "insert" and ("after" in value) == ("before" in value):
        yield "where", "before"


def one_kind(blocks: Collection[str] | None) -> Rule:
    """What the schema cannot say of a step: it has exactly one op or block, and that block exists."""

    def rule(step: Any) -> Iterator[tuple[str, str]]:
        kinds = [key for key in step if key not in STEP_KEYS] if isinstance(step, Mapping) else [step]
        known = [kind for kind in kinds if isinstance(kind, str)]
        known = [kind for kind in known if kind in OPS or kind in STRUCTURE or kind[:1].isupper()]
        if not kinds:
            yield "no kind", ""
        for kind in known[1:2]:
            yield "kinds", kind
        for kind in known:
            if blocks is not None and kind[:1].isupper() and kind not in blocks:
                yield "no block", kind

    return rule
