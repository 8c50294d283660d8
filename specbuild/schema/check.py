"""The check of a spec's form: every fault at once, each at its key or value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from specbuild.edits import EDITS
from specbuild.errors import MOST_REPORTED, SpecError, SpecErrors
from specbuild.ops import OPS
from specbuild.schema.document import schema
from specbuild.schema.draft7 import Checker, Fault, Path, Rule, Schema
from specbuild.schema.telling import Telling
from specbuild.source import Source
from specbuild.spec import STEP_KEYS, STRUCTURE, BlockDef, parameter


def validate(source: Source, library: Collection[str] | None = None) -> None:
    """Raise SpecErrors if the form of a spec is not the schema's; what comes after can rely on it.

    Arguments of the file's own blocks are checked with the rest. Blocks that come from elsewhere are not
    opened here; with the names of the library's, one that no place has is refused.
    """
    own = own_blocks(source)
    document = schema(own)
    checker = Checker(
        document,
        {
            "step": one_kind(known_blocks(source, library) if library is not None else None),
            "edit": one_verb,
        },
    )
    faults = checker.faults(document, source.data)
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
    """The file's blocks with their parameters, where these have no fault themselves."""
    frame = schema()
    checker = Checker(frame)
    found = {}
    for name, raw in mapping(mapping(source.data).get("blocks")).items():
        params = mapping(raw).get("params", {})
        if isinstance(raw, Mapping) and checker.fits(frame["definitions"]["parameters"], params):
            at = source.at(("blocks", name))
            declared = {p: parameter(p, value, at.child("params", p)) for p, value in params.items()}
            doc = raw.get("doc")
            found[name] = BlockDef(name, doc if isinstance(doc, str) else "", declared, {}, (), None, at)
    return found


def known_blocks(source: Source, library: Collection[str]) -> set[str]:
    """The names that mean a block in this file."""
    data = mapping(source.data)
    return {*mapping(data.get("blocks")), *mapping(data.get("imports")), *library, str(data.get("model"))}


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def one_verb(checker: Checker, edit: Schema, value: Any, path: Path) -> None:
    """What the schema cannot say of an edit: it has exactly one verb, and nothing that does not go with it."""
    if not isinstance(value, dict):
        return
    verbs = [key for key in value if key in EDITS]
    if not verbs and not any(key in edit["dependencies"] for key in value):
        checker.found("no verb", edit, value, path)
    if not verbs or any(key not in edit["properties"] for key in value):
        return
    for verb in verbs[1:2]:
        checker.found("verbs", edit, value, path, verb)
    [verb, *others] = verbs
    for key in value:
        strange = key not in EDITS[verb] and key not in EDITS
        if strange and key not in edit["dependencies"] and not others:
            checker.found("strange", edit, value, path, key)
    if verb == "insert" and ("after" in value) == ("before" in value):
        checker.found("where", edit, value, path, "before")


def one_kind(blocks: Collection[str] | None) -> Rule:
    """What the schema cannot say of a step: it has exactly one op or block, and that block exists."""

    def rule(checker: Checker, step: Schema, value: Any, path: Path) -> None:
        kinds = [value] if isinstance(value, str) else [key for key in value if key not in STEP_KEYS]
        known = [kind for kind in kinds if kind in OPS or kind in STRUCTURE or kind[:1].isupper()]
        if not kinds:
            checker.found("no kind", step, value, path)
        for kind in known[1:2]:
            checker.found("kinds", step, value, path, kind)
        for kind in known:
            if blocks is not None and kind[:1].isupper() and kind not in blocks:
                checker.found("no block", step, value, path, kind)

    return rule
