"""The edits of a spec as written: each has a verb, a selector of steps, and further keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from specbuild.frontend.selectors import MAX_PARTS, MAX_WILDCARDS, Selector, parse_selector
from specbuild.frontend.source import SourceAddress

# Each verb of an edit with its further keys, required keys first.
EDIT_VERBS: dict[str, tuple[str, ...]] = {
    "insert": ("after", "before", "as", "from", "start", "doc"),
    "replace": ("with", "from", "doc"),
    "remove": (),
    "rewire": ("from",),
    "set": ("to",),
    "freeze": (),
}
MAX_EDITS = 60


class EditDef(Struct, frozen=True, eq=False):
    """One edit."""

    verb: str
    selector: Selector
    at: SourceAddress
    selector_at: SourceAddress
    new: Any = None  # the inserted block or op, or the replacement, as raw YAML
    before: bool = False  # whether to insert before the steps, not after
    name: str | None = None
    sources: Any = None  # raw YAML of `from`
    settings: Mapping[str, Any] = field(default_factory=dict)
    starts_as_identity: bool = False  # whether the inserted step has no effect before training
    doc: str = ""

    @property
    def kind(self) -> str:
        """The inserted block or op, or the replacement; empty for other verbs."""
        return self.new if isinstance(self.new, str) else next(iter(self.new or ()), "")

    def class_suffix(self) -> str:
        """Return the suffix for the class of a block that the edit changes, such as `WithCBAM`."""
        if self.kind:
            return f"With{to_camel_case(self.name or self.kind)}"
        name = self.selector.parts[-1].text
        if self.verb == "freeze":
            return f"WithFrozen{to_camel_case(name)}" if name.isidentifier() else "Frozen"
        return f"Without{to_camel_case(name)}" if self.verb == "remove" and name.isidentifier() else ""


AppliedEdits = tuple[tuple[EditDef, str], ...]  # each edit with the path of a step that it changed


def class_suffixes(edits: Iterable[EditDef]) -> list[str]:
    """Return suffixes for the class of a block that these edits change: one per edit, then all joined."""
    suffixes = [suffix for edit in edits if (suffix := edit.class_suffix())]
    return [*suffixes, "".join(suffixes)] if len(suffixes) > 1 else suffixes


def to_camel_case(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_\s-]+", name))


def parse_edits(raw: list[Mapping[str, Any]], at: SourceAddress) -> tuple[EditDef, ...]:
    if len(raw) > MAX_EDITS:
        message = f"a spec has at most {MAX_EDITS} edits, but this one has {len(raw)}"
        raise at.child(MAX_EDITS).error("SB506", message)
    return tuple(parse_edit(item, at.child(i)) for i, item in enumerate(raw))


def parse_edit(raw: Mapping[str, Any], at: SourceAddress) -> EditDef:
    [verb] = [key for key in raw if key in EDIT_VERBS]
    key = "before" if "before" in raw else "after" if verb == "insert" else verb
    selector = parse_selector(raw[key])
    if len(selector.parts) > MAX_PARTS:
        raise at.child(key).error("SB503", f"blocks are nested at most {MAX_PARTS} levels deep")
    if any(part.wildcard_count > MAX_WILDCARDS for part in selector.parts):
        message = f"a part of a selector has at most {MAX_WILDCARDS} stars and numbers in brackets"
        raise at.child(key).error("SB506", message)
    return EditDef(
        verb,
        selector,
        at,
        at.child(key),
        new=raw.get("insert", raw.get("with")),
        before=key == "before",
        name=raw.get("as"),
        sources=raw.get("from"),
        settings=raw.get("to") or {},
        starts_as_identity=raw.get("start") == "identity",
        doc=raw.get("doc") or "",
    )
