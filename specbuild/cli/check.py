"""`specbuild check`: find the errors of specs."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from msgspec import Struct, field

from specbuild.api import Model, build_model
from specbuild.backends import BACKEND_NAMES
from specbuild.cli import options
from specbuild.cli.json_output import print_document
from specbuild.cli.terminal import ExitCode, log_line, print_error, print_text
from specbuild.compiler.arguments import arguments_from_flags
from specbuild.compiler.fixes import FixedText, fix_text
from specbuild.compiler.output_files import replace_file
from specbuild.compiler.pipeline import open_spec
from specbuild.compiler.unused_parts import check_unused_parts
from specbuild.diagnostics.errors import SpecError, SpecErrors, format_errors, make_printable
from specbuild.diagnostics.suggestions import list_some
from specbuild.elaborate import notes, word_notes
from specbuild.expressions import concrete
from specbuild.frontend.decoding import SpecText
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source, read_content
from specbuild.frontend.spec_paths import LIBRARY_PREFIX
from specbuild.ir.graph import distinct_blocks
from specbuild.summary import format_quantity
from specbuild.summary.examples import TrialWork, try_examples
from specbuild.weights.published_names import check_rules

LogFunction = Callable[[str], None]


def check_command(
    specs: options.Specs,
    variant: options.Variant = None,
    settings: options.Settings = None,
    format: Annotated[
        Literal["text", "json", "github"], typer.Option(help="The format of the report.")
    ] = "text",
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Change the files where a hint leaves no choice. Comments stay as they are."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    root: options.Root = None,
) -> None:
    """Check specs: their syntax, every name, every shape.

    Errors go to stdout, each with its location, its code and a suggestion.
    """
    errors: list[SpecError] = []
    valid: list[ValidSpec] = []
    format = "json" if as_json else format
    for spec in options.check_stdin_once(specs):
        try:
            found = (
                fix_file(spec, variant, settings, root) if fix else check_spec(spec, variant, settings, root)
            )
        except SpecError as error:
            errors.append(error)
        except SpecErrors as error:
            errors += error.errors
        else:
            valid.append(found)
            if format == "text":
                print_text(f"{found}\n")
    if format == "json":
        print_document("check", {"valid": [found.spec_record() for found in valid]}, SpecErrors(errors))
    elif format == "github":
        text = format_errors(SpecErrors(errors), format=format)
        print_text(text + "\n" if text else "")
    elif errors:
        print_error(SpecErrors(errors), sys.stdout)
    if errors:
        raise typer.Exit(ExitCode.INVALID)


class ValidSpec(Struct, frozen=True):
    """A spec without errors: its model, or what to say of a file that has none."""

    file: str
    model: Model | None
    blocks_text: str = ""

    def __str__(self) -> str:
        if self.model is None:
            return f"{make_printable(self.file)}: {self.blocks_text}"
        graph = self.model.graph
        outputs = [f"{name} {x.describe(graph)}".strip() for name, x in graph.outputs.items()]
        size = f"{self.model.parameters:,} parameters, {format_quantity(self.model.cost.macs)} multiply-adds"
        if free := [f"{axis} of {name}" for name, axis in sorted(graph.free_axes) if name in graph.inputs]:
            size += f"; {list_some(free)} can be any size"
        return (
            f"{make_printable(self.file)}: {self.model.name} is valid and gives {list_some(outputs)}: {size}"
        )

    def spec_record(self) -> dict[str, Any]:
        record: dict[str, Any] = {"file": make_printable(self.file, 4096), "model": None}
        if self.model is None:
            return record
        outputs = {
            name or "output": {
                "axes": {axis: int(concrete(n)) for axis, n in x.type.sizes.items()},
                "dtype": x.type.dtype,
            }
            for name, x in self.model.graph.outputs.items()
        }
        cost = {"parameters": self.model.parameters, "multiply_adds": self.model.cost.macs}
        return {**record, "model": self.model.name, "outputs": outputs, **cost}


def raise_errors(errors: list[SpecError]) -> None:
    if errors:
        raise SpecErrors(errors)


def check_blocks(spec: Spec, files: SpecFiles) -> str:
    """Check a file without a model; returns what to print of it if it is valid."""
    raise_errors(check_unused_parts(spec, files, {}))
    check_rules(spec.source)
    unknown = try_unused_blocks(spec, files)
    count = f"{len(spec.blocks)} block{'s' * (len(spec.blocks) != 1)}, no model"
    if not unknown:
        return f"{count}: the blocks are valid with example inputs"
    return f"{count}: the syntax is valid; no inputs that fit were tried for {list_some(unknown)}: shapes were not checked"


def try_unused_blocks(spec: Spec, files: SpecFiles, used: Collection[str] = ()) -> list[str]:
    """Try blocks of a file with example inputs, and return the names of those that none fits."""
    work = TrialWork()
    tried = {name: try_examples(spec.blocks[name], files, work) for name in spec.blocks if name not in used}
    raise_errors([error for _, error in tried.values() if error is not None])
    return [name for name, (fits, _) in tried.items() if not fits]


def check_spec(
    spec: str, variant: str | None, settings: list[str] | None, root: Path | None, log: LogFunction = log_line
) -> ValidSpec:
    """Return what to print for a valid spec; log notes, such as that a backend cannot express it."""
    return check_opened(spec, open_spec(options.spec_source(spec), root), variant, settings, log)


def check_opened(
    name: str,
    opened: tuple[Spec, SpecFiles],
    variant: str | None,
    settings: list[str] | None,
    log: LogFunction,
) -> ValidSpec:
    """Check a spec that was read. Raises SpecError and SpecErrors."""
    spec, files = opened
    arguments = arguments_from_flags(settings or [], variant)
    if spec.model is None:
        return ValidSpec(name, None, check_blocks(spec, files))
    model = build_model(spec, files, arguments)
    raise_errors(check_unused_parts(spec, files, arguments.param_values, variant))
    check_rules(spec.source)
    try_unused_blocks(spec, files, {block.name for block in distinct_blocks(model.full_graph)})
    for note in [
        *notes.version_notes(model.spec),
        *word_notes.width_notes(model.spec),
        *word_notes.padding_notes(model.spec, model.graph),
        *notes.name_notes(model.spec, model.full_graph, files.entry_path),
        *notes.input_notes(model.spec, model.graph),
        *notes.parameter_notes(model.spec, model.graph),
        *notes.table_notes(model.graph),
        *notes.output_notes(model.full_graph),
        *notes.edit_notes(model.full_graph),
        *notes.unused_step_notes(model.full_graph, model.graph),
    ]:
        log(str(note))
    for backend in BACKEND_NAMES:
        try:
            model.compile_for(backend).check_code()
        except SpecError as error:
            if error.code != "SB601":
                raise
            log(str(notes.SpecNote(error.message, error.location)))
    return ValidSpec(name, model)


def encode_alike(original: bytes, text: str) -> bytes:
    """Encode a changed text with the byte order mark and the line ends of the original file."""
    encoding = "utf-8-sig" if original.startswith(codecs.BOM_UTF8) else "utf-8"
    return (text.replace("\n", "\r\n") if b"\r\n" in original else text).encode(encoding)


def fix_file(spec: str, variant: str | None, settings: list[str] | None, root: Path | None) -> ValidSpec:
    """Check a spec; where it has errors, apply the certain hints to its file, and log what was changed.

    Raises SpecError and SpecErrors for what is left.
    """
    if spec == "-":
        raise typer.BadParameter("it changes files; standard input is none", param_hint="--fix")
    if spec.startswith(LIBRARY_PREFIX):
        raise typer.BadParameter(
            "it changes files; those of the library stay as they are", param_hint="--fix"
        )
    try:
        return check_spec(spec, variant, settings, root)
    except (SpecError, SpecErrors) as found:
        errors = found.errors if isinstance(found, SpecErrors) else (found,)
        is_same_name = spec == str(Path(spec))  # else the errors of the next checks name the file otherwise
        fixed, checked = find_fixes(Path(spec), errors if is_same_name else None, variant, settings, root)
        if not fixed.fixes:
            raise
    path = Path(spec)
    replace_file(path, encode_alike(path.read_bytes(), fixed.text))
    for change in fixed.fixes:
        log_line(f"fixed {spec}:{change}")
    if fixed.is_stopped:
        log_line("note: more hints were not tried, since the spec is large; run it again for more")
    raise_errors(list(fixed.errors))
    for line in checked.log:
        log_line(line)
    assert checked.valid is not None
    return checked.valid


class CheckedText(Struct):
    """What the last check of a text found."""

    valid: ValidSpec | None = None
    log: list[str] = field(default_factory=list)


def find_fixes(
    path: Path,
    errors: Sequence[SpecError] | None,
    variant: str | None,
    settings: list[str] | None,
    root: Path | None,
) -> tuple[FixedText, CheckedText]:
    """Return the text of a file with the certain hints of its errors, and what its last check found. Raises SpecError."""
    name, checked = str(path), CheckedText()

    def find_errors(text: str) -> tuple[SpecError, ...]:
        checked.valid, checked.log = None, []
        try:
            opened = open_spec(Source(text, name), root, beside=path)
            checked.valid = check_opened(str(path), opened, variant, settings, log=checked.log.append)
        except SpecError as error:
            return (error,)
        except SpecErrors as error:
            return error.errors
        return ()

    return fix_text(SpecText(read_content(path, name), name).text, find_errors, errors), checked
