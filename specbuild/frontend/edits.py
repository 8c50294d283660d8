"""Edits as their author wrote them: a verb, the steps that it is about, and what goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from specbuild.frontend.selectors import MAX_PARTS, Selector, parse_selector
from specbuild.frontend.source import SourceAddress

# Each verb of an edit with the keys that may stand beside it, those that must first.
EDIT_VERBS: dict[str, tuple[str, ...]] = {
    "insert": ("after", "before", "as", "from", "start", "doc"),
    "replace": ("with", "from", "doc"),
    "remove": (),
    "rewire": ("from",),
    "set": ("to",),
    "freeze": (),
}
MAX_EDITS = 60


@dataclass(frozen=True, eq=False)
class EditDef:
    """One edit: a verb, and the steps that it is about."""

    verb: str
    selector: Selector
    at: SourceAddress
    selector_at: SourceAddress
    new: Any = None  # raw YAML of what is inserted, or put in the place of a step
    before: bool = False
    name: str | None = None
    sources: Any = None  # raw YAML of `from`
    settings: Mapping[str, Any] = field(default_factory=dict)
    starts_as_identity: bool = False  # whether what is inserted changes nothing at the start
    doc: str = ""

    @property
    def kind(self) -> str:
        """The block or op that it brings; nothing if it brings none."""
        return self.new if isinstance(self.new, str) else next(iter(self.new or ()), "")

    def class_suffix(self) -> str:
        """What the edit made of a block, as a part of the name of its class."""
        if self.kind:
            return f"With{to_camel_case(self.name or self.kind)}"
        name = self.selector.parts[-1].text
        if self.verb == "freeze":
            return f"WithFrozen{to_camel_case(name)}" if name.isidentifier() else "Frozen"
        return f"Without{to_camel_case(name)}" if self.verb == "remove" and name.isidentifier() else ""


AppliedEdits = tuple[tuple[EditDef, str], ...]  # edits, each with the path of a step that it was about


def class_suffixes(edits: Iterable[EditDef]) -> list[str]:
    """Endings for the name of a class that these edits set apart from another: by one of them, or by all."""
    found = [word for edit in edits if (word := edit.class_suffix())]
    return [*found, "".join(found)] if len(found) > 1 else found


def to_camel_case(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def parse_edits(raw: list[Mapping[str, Any]], at: SourceAddress) -> tuple[EditDef, ...]:
    if len(raw) > MAX_EDITS:
        raise at.child(MAX_EDITS).error("SB506", f"a spec has at most {MAX_EDITS} edits, here are {len(raw)}")
    return tuple(parse_edit(item, at.child(i)) for i, item in enumerate(raw))


def parse_edit(raw: Mapping[str, Any], at: SourceAddress) -> EditDef:
    [verb] = [key for key in raw if key in EDIT_VERBS]
    key = "before" if "before" in raw else "after" if verb == "insert" else verb
    selector = parse_selector(raw[key])
    if len(selector.parts) > MAX_PARTS:
        raise at.child(key).error("SB503", f"blocks are nested at most {MAX_PARTS} deep")
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
