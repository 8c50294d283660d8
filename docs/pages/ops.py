"""A page for every op, read off the op table."""

from __future__ import annotations

import json
from collections.abc import Iterator

from docs.pages import markdown
from docs.pages.op_facts import FACTS_BY_OP, LIBRARIES
from docs.pages.samples import TITLES, shown
from specbuild import backends
from specbuild.frontend.schema.op_schema import default_as_yaml
from specbuild.ops import OPS, Op
from specbuild.ops.base import OpAttribute, list_attributes
from specbuild.summary.examples import example_spec


def pages() -> Iterator[tuple[str, str]]:
    """The index, one page for each family, one for each op."""
    families: dict[str, list[type[Op]]] = {}
    for op in OPS.values():
        families.setdefault(op.family, []).append(op)
    yield "ops/index.md", index(families)
    for family, members in families.items():
        title = f"# {family.capitalize()}"
        yield f"ops/{family}/index.md", markdown.page(title, summaries(members, ""))
        for op in members:
            yield f"ops/{family}/{op.name}.md", page(op, members)


def index(families: dict[str, list[type[Op]]]) -> str:
    sections = (
        markdown.page(f"## {family.capitalize()}", summaries(members, f"{family}/"))
        for family, members in families.items()
    )
    return markdown.page(
        "# Ops",
        f"What a step may name, {len(OPS)} ops by family. Every one is written for both frameworks from one "
        "definition, and compared between them in double precision: what comes out, and every gradient.",
        *sections,
        markdown.contents(f"{family}/index" for family in families),
    )


def summaries(members: list[type[Op]], folder: str) -> str:
    rows = [(f"[`{op.name}`]({folder}{op.name}.md)", markdown.line(op.summary)) for op in members]
    return markdown.table(("Op", "What it computes"), rows)


def page(op: type[Op], family: list[type[Op]]) -> str:
    found = example_spec(op)
    beside = [f"[`{other.name}`]({other.name}.md)" for other in family if other is not op]
    return markdown.page(
        markdown.trail("[Ops](../index.md)", f"[{op.family.capitalize()}](index.md)"),
        f"# `{op.name}`",
        markdown.prose(op.__doc__ or ""),
        facts(op),
        inputs(op),
        parameters(op),
        refusals(op),
        "## Example" if found else "",
        shown(found) if found else "",
        f"In the same family: {', '.join(beside)}." if beside else "",
    )


def facts(op: type[Op]) -> str:
    """The formula of an op, and what it is called in other libraries; nothing for an op of an extension."""
    found = FACTS_BY_OP.get(op.name)
    if found is None:
        return ""
    names = {title: getattr(found, library) for library, title in LIBRARIES.items()}
    cells = [markdown.code(name) if name else "none" for name in names.values()]
    return markdown.page(
        f"~~~~text\n{found.formula}\n~~~~" if found.formula else "",
        markdown.table([f"In {title}" for title in names], [cells]) if any(names.values()) else "",
    )


def inputs(op: type[Op]) -> str:
    rows = [
        (t.name, markdown.line(t.doc), "optional" * t.optional + "two or more" * t.variadic)
        for t in op.input_specs
    ]
    return markdown.page("## Inputs", markdown.entries(rows)) if rows else ""


def parameters(op: type[Op]) -> str:
    rows = [
        (
            markdown.code(a.name),
            default(a),
            markdown.described(markdown.line(a.doc), markdown.line(str(a.kind))),
        )
        for a in list_attributes(op).values()
    ]
    head = ("Attribute", "Default", "Meaning")
    return markdown.page("## Attributes", markdown.table(head, rows)) if rows else "It has no attributes."


def default(attribute: OpAttribute) -> str:
    if attribute.is_required:
        return "required"
    value = default_as_yaml(attribute.default)
    return "" if value is None else markdown.code(value if isinstance(value, str) else json.dumps(value))


def refusals(op: type[Op]) -> str:
    """Why a framework cannot express the op, where one cannot."""
    found = {name: backends.load_backend(name).refusals.get(op) for name in backends.BACKEND_NAMES}
    return markdown.page(
        *(f"Refused for {TITLES[name]}: {markdown.line(why)}." for name, why in found.items() if why)
    )
