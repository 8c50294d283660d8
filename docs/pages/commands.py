"""The command line, read off the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from docs.pages import markdown
from specbuild.cli import COMMANDS, build_app


def pages() -> Iterator[tuple[str, str]]:
    root: Any = typer.main.get_command(
        build_app(COMMANDS)
    )  # of the click that typer brings, which names no public types
    context = root.make_context("specbuild", [], resilient_parsing=True)
    verbs = [verb for name in root.list_commands(context) for verb in tree(root, context, name)]
    rows = [(f"[`{full}`](#{anchor(full)})", markdown.sentence(verb.help or "")) for full, verb, _ in verbs]
    yield (
        "commands.md",
        markdown.page(
            "# Command line",
            markdown.prose(root.help),
            f"```text\n{context.get_usage().removeprefix('Usage: ')}\n```",
            markdown.prose(root.epilog),
            markdown.table(("Command", ""), rows),
            options(root, context),
            *(section(full, verb, inner) for full, verb, inner in verbs),
        ),
    )


def tree(group: Any, context: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """A command's full name, itself and its context; of a group, those of its members."""
    verb = group.get_command(context, name)
    inner = type(context)(verb, parent=context, info_name=name)
    if hasattr(verb, "list_commands"):
        for member in verb.list_commands(inner):
            yield from tree(verb, inner, member)
    else:
        yield inner.command_path, verb, inner


def anchor(full: str) -> str:
    return full.replace(" ", "-")


def section(full: str, verb: Any, context: Any) -> str:
    usage = context.get_usage().removeprefix("Usage: ")
    return markdown.page(
        f"({anchor(full)})=\n## `{full}`",
        f"```text\n{usage}\n```",
        markdown.prose(re.sub(r'"(#[^"]*)"', r"`\1`", verb.help or "")),
        options(verb, context),
    )


def options(verb: Any, context: Any) -> str:
    rows = [row(p, context) for p in verb.params if not getattr(p, "hidden", False)]
    return markdown.table(("Argument or option", "Meaning", "Default"), rows)


def row(p: Any, context: Any) -> tuple[str, str, str]:
    """One argument or option: how it is written, what it means, what it is if not given."""
    holds = p.make_metavar(context)
    flag = getattr(p, "is_flag", False)
    if p.param_type_name == "argument":
        name = markdown.code(holds.strip("[]"))
    else:
        name = ", ".join(map(markdown.code, p.opts)) + ("" if flag else " " + markdown.code(holds))
    return name, markdown.line(getattr(p, "help", None) or ""), default(p, flag)


def default(p: Any, flag: bool) -> str:
    if p.required:
        return "required"
    shown = p.show_default
    if isinstance(shown, str):
        return markdown.line(shown)
    return "" if flag or not shown or p.default in (None, "") else markdown.code(str(p.default))
