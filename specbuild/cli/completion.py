"""What a shell offers for the values of options and arguments. No framework is imported for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import typer

from specbuild.diagnostics.errors import SpecError, SpecErrors

if TYPE_CHECKING:
    from specbuild.api import Model
    from specbuild.frontend.document import Spec

Completion = tuple[str, str]  # a value, and what it is


def offer_values(values: Callable[[typer.Context, str], Iterable[Completion]]) -> Callable[..., Any]:
    """Decorator: offer those values that begin with what is typed; none if the spec has an error."""

    @wraps(values)
    def complete(ctx: typer.Context, incomplete: str) -> list[Completion]:
        try:
            return [(value, text) for value, text in values(ctx, incomplete) if value.startswith(incomplete)]
        except (SpecError, SpecErrors, OSError, typer.BadParameter):
            return []

    # typer chooses what it passes on by these annotations
    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    del complete.__wrapped__
    return complete


def name_only(names: Iterable[str]) -> Iterator[Completion]:
    return ((name, "") for name in names)


@offer_values
def complete_backend(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    from specbuild.backends.registry import all_backend_names

    return name_only([*all_backend_names(), "all"])


@offer_values
def complete_installed_backend(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    from specbuild.backends.registry import all_backend_names

    return name_only([*all_backend_names(), "all", "installed"])


@offer_values
def complete_backends(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    """Offer backends after each comma."""
    from specbuild.backends.registry import all_backend_names

    return extend_list(all_backend_names(), incomplete)


@offer_values
def complete_entry(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    """Offer the ops and blocks that `library show` knows."""
    from specbuild.diagnostics.sentences import first_sentence
    from specbuild.ops.extensions import all_ops

    ops = [(name, first_sentence(op.summary)) for name, op in all_ops().items()]
    return [*ops, *list_blocks()]


@offer_values
def complete_block(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    return list_blocks()


def list_blocks() -> Iterable[Completion]:
    from specbuild.frontend.editor_schema import library_block_names

    return name_only(library_block_names())


@offer_values
def complete_code(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    from specbuild.diagnostics.codes import CODES

    codes = [(name, entry.title) for name, entry in CODES.items()]
    return [(name.lower(), title) for name, title in codes] if incomplete[:1] == "s" else codes


@offer_values
def complete_variant(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    spec = given_spec(ctx)
    return name_only(spec.variants if spec else ())


@offer_values
def complete_setting(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    """Offer `width=` for a parameter, and after the sign the values that a parameter has a list of."""
    spec = given_spec(ctx)
    params = spec.model.params if spec and spec.model else {}
    name, sign, _ = incomplete.partition("=")
    if not sign:
        return [(f"{param.name}=", param.doc) for param in params.values()]
    param = params.get(name)
    if param is None:
        return ()
    values = ("true", "false") if param.type == "bool" else map(str, param.choices or ())
    return name_only(f"{name}={value}" for value in values)


@offer_values
def complete_features(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    """Offer the values that `show --taps` lists, after each comma."""
    from specbuild.summary.taps import list_taps

    model = given_model(ctx)
    return extend_list([tap.path for tap in list_taps(model.full_graph)] if model else (), incomplete)


@offer_values
def complete_open(ctx: typer.Context, incomplete: str) -> Iterable[Completion]:
    """Offer the paths of the blocks that `draw --open` can draw."""
    from specbuild.ir.graph import Block

    def walk_blocks(block: Block, prefix: str) -> Iterator[str]:
        for node in block.nodes:
            if isinstance(node.op, Block):
                yield prefix + node.name
                yield from walk_blocks(node.op, f"{prefix}{node.name}.")

    model = given_model(ctx)
    return name_only(walk_blocks(model.graph, "") if model else ())


def extend_list(names: Iterable[str], incomplete: str) -> Iterable[Completion]:
    """Offer names for the last part of a list with commas; the names before it are not offered again."""
    before, comma, _ = incomplete.rpartition(",")
    return name_only(f"{before}{comma}{name}" for name in names if name not in before.split(","))


def given_values(ctx: typer.Context) -> dict[str, Any]:
    """Return the arguments and options on the command line, without the option whose value is completed.

    With that option at the end, without its value, the context has none of the arguments before it.
    """
    words = completed_words() or ()
    words = words[len(ctx.command_path.split()) - 1 :]
    while words and words[-1].startswith("-"):
        words = words[:-1]
    parsed = ctx.command.make_context(ctx.info_name, list(words), resilient_parsing=True)
    return {**ctx.params, **{name: value for name, value in parsed.params.items() if value is not None}}


def given_path(values: Mapping[str, Any]) -> str | None:
    """Return the spec on the command line; None if there is none, or if it is read from stdin."""
    given = values.get("spec") or values.get("specs")
    path = given[0] if isinstance(given, list | tuple) and given else given
    return path if isinstance(path, str) and path != "-" else None


def given_spec(ctx: typer.Context) -> Spec | None:
    from specbuild.compiler.pipeline import open_spec
    from specbuild.frontend.spec_paths import spec_path

    values = given_values(ctx)
    path = given_path(values)
    return None if path is None else open_spec(spec_path(path), values.get("root"))[0]


def given_model(ctx: typer.Context) -> Model | None:
    """Return the model of the spec on the command line, with the variant and the parameters given there."""
    from specbuild.api import create_model
    from specbuild.compiler.arguments import arguments_from_flags
    from specbuild.frontend.spec_paths import spec_path

    values = given_values(ctx)
    path = given_path(values)
    if path is None:
        return None
    arguments = arguments_from_flags(list(values.get("settings") or ()), values.get("variant"))
    return create_model(spec_path(path), arguments, values.get("root"))


def completed_words() -> Sequence[str] | None:
    """Return the words before the one that a shell completes, without the program; None if it completes nothing."""
    if "_SPECBUILD_COMPLETE" not in os.environ:
        return None
    if "COMP_CWORD" in os.environ and os.environ["COMP_CWORD"].isdigit():  # bash
        return os.environ.get("COMP_WORDS", "").split()[1 : int(os.environ["COMP_CWORD"])]
    text = os.environ.get("_TYPER_COMPLETE_ARGS", "")  # zsh, fish, PowerShell
    words = text.split()[1:]
    return words if text[-1:].isspace() else words[:-1]
