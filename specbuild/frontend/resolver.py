"""Find the block for a name: in the file itself, in its imports, then in the library."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import list_some, suggest_name, suggest_own_name
from specbuild.frontend.document import STRUCTURES, BlockDef, Spec, parse_spec
from specbuild.frontend.foreign_steps import suggest_step
from specbuild.frontend.library import (
    find_library_file,
    full_library_index,
    library_files,
    library_folder,
    library_reference,
    resolve_library_path,
)
from specbuild.frontend.names import ReservedNames
from specbuild.frontend.schema import validate_source
from specbuild.frontend.schema.checker import SchemaChecker
from specbuild.frontend.source import Source, SourceAddress, resolve_path
from specbuild.frontend.tensor_file import TensorFileError, read_tensor_file
from specbuild.frontend.width_words import rename_width_words
from specbuild.frontend.yaml_composer import MAX_VALUES
from specbuild.ops import OPS
from specbuild.ops.given_tensor import TensorFile

MAX_FILES = 100
MAX_IMPORT_DEPTH = 20
MAX_BYTES = 4 * 2**20


def suggest_block_name(name: str, at: SourceAddress, hint: str) -> str:
    """Return the hint for a name that is the value of a key, such as `default: SE`, in place of that for a step."""
    found = re.fullmatch(r"write `(?:- )?(\w+)`", hint)
    is_value = bool(at.path) and isinstance(at.path[-1], str) and at.path[-1] != name
    return f"write `{at.path[-1]}: {found[1]}`" if found and is_value and at.read_value() == name else hint


class SpecFiles:
    """The spec files of one compilation, each read once. Opens only files in `root` and in the library.

    `reserved` are the names that no model can have. A `checker` for many files spares most of them their own.
    """

    def __init__(
        self, root: Path, reserved: Sequence[ReservedNames] = (), checker: SchemaChecker | None = None
    ):
        self.root, self.reserved, self.checker = resolve_path(root), reserved, checker
        self.specs: dict[Path, Spec] = {}
        self.specs_by_source: dict[Source, Spec] = {}
        self.entry_path: Path | None = None  # the first file, which leads to all others; None for a text
        self.open_paths: list[Path] = []
        self.tensor_files: dict[Path, TensorFile] = {}
        self.size = self.value_count = 0

    def read_spec(self, path: Path, display_name: str | None = None) -> Spec:
        """Read, validate and parse a file; errors call it `display_name`."""
        return self.add_source(Source.read(path, display_name or str(path)), resolve_path(path))

    def add_source(self, source: Source, path: Path | None = None) -> Spec:
        rename_width_words(source)
        if self.checker is None or not self.checker.is_valid(source.data):
            validate_source(source)
        spec = parse_spec(source, self.reserved)
        if not self.specs_by_source:
            self.value_count += count_values(source.data)
        if path is not None:
            self.specs[path] = spec
            if not self.specs_by_source:
                self.entry_path = path
        self.specs_by_source[source] = spec
        self.size += len(source.text)
        return spec

    def find_block(self, user: Source, name: str, at: SourceAddress) -> BlockDef:
        """Return the block that `name` means in the file `user`. Raises SB201 if there is none."""
        spec = self.specs_by_source[user]
        if name in spec.blocks:
            return spec.blocks[name]
        if name in spec.imports:
            return self.import_block(spec, name)
        if spec.model is not None and spec.model.name == name:
            return spec.model
        library_path = find_library_file(name)
        if library_path is not None:
            return self.select_block(self.open_import(library_path, at), name, at)
        own = [*spec.blocks, *spec.imports]
        what = "block" if name[:1].isupper() else "op"
        listing = f"`specbuild library list` lists every op and block; this file has {list_some(own)}"
        blocks = [*own, *full_library_index()]
        body = at.read_value() if at.path[-1:] == (name,) else None
        hint = suggest_own_name(name, own) or suggest_block_name(name, at, suggest_step(name, body, blocks))
        hint = hint or suggest_name(name, [*blocks, *OPS, *STRUCTURES], otherwise=listing)
        raise at.error("SB201", f"there is no {what} {name!r}", hint, key=True)

    def import_block(self, spec: Spec, name: str) -> BlockDef:
        at = spec.source.address_of(("imports", name))
        target, _, block = spec.imports[name].partition("#")
        if target.startswith("library:"):
            path = resolve_library_path(target.removeprefix("library:"))
            if path is None:
                files = [f"library:{name}" for name in library_files()]
                raise at.error("SB001", f"the library has no file {target!r}", suggest_name(target, files))
        else:
            path = self.resolve_path(spec, target, at)
        if path == self.entry_path:
            raise self.circle_error([path, *self.open_paths, path], at)
        return self.select_block(self.open_import(path, at), block or None, at)

    def resolve_path(
        self, spec: Spec, target: str, at: SourceAddress, example: str = "./blocks.yaml"
    ) -> Path:
        """Return the path of a file that a spec names. Raises SB207 if it is outside the root."""
        if "://" in target or target.startswith(("~", "/")) or "$" in target or "\\" in target:
            raise at.error("SB207", f"{target!r} is not a relative path", f"use a path such as {example}")
        owner = next((p for p, s in self.specs.items() if s is spec), None)
        base = owner.parent if owner else self.root
        try:
            path = self.unify_path(resolve_path(base / target))
        except SpecError as error:
            raise at.error(error.code, error.message, error.hint) from None
        inside = (library_folder(owner, self.root) if owner is not None else None) or self.root
        if not path.is_relative_to(inside):
            hint = "move the file into the project folder"
            raise at.error("SB207", f"{target!r} is outside the project folder", hint)
        if not os.path.isfile(path):
            hint = f"the path is relative to the folder of {spec.source.file}"
            own = next((name for name in library_files() if name.endswith(f"/{path.name}")), "")
            hint += f"; the file of the library is `library:{own}`" if own else ""
            raise at.error("SB001", f"there is no file {target!r}", hint)
        return path

    def unify_path(self, path: Path) -> Path:
        """Return the path under which a file is open already, which differs in case on some systems."""
        if path in self.specs or not os.path.isfile(path):
            return path
        return next((known for known in self.specs if os.path.isfile(known) and known.samefile(path)), path)

    def open_import(self, path: Path, at: SourceAddress) -> Spec:
        if path in self.open_paths:
            raise self.circle_error([*self.open_paths[self.open_paths.index(path) :], path], at)
        if path in self.specs:
            return self.specs[path]
        is_full = len(self.specs) >= MAX_FILES or self.size > MAX_BYTES
        if is_full or len(self.open_paths) >= MAX_IMPORT_DEPTH:
            raise at.error(
                "SB505", f"more than {MAX_FILES} files, {MAX_IMPORT_DEPTH} levels or 4 MiB of imports"
            )
        shown = library_reference(path, self.root) or str(path.relative_to(self.root))
        self.open_paths.append(path)
        try:
            self.check_values(at)  # after a refusal, `check` goes on to other imports
            source = Source.read(path, shown)
            self.value_count += count_values(source.data)
            self.check_values(at)
            spec = self.add_source(source, resolve_path(path))
            for name in spec.imports:
                self.import_block(spec, name)
            return spec
        finally:
            self.open_paths.pop()

    def check_values(self, at: SourceAddress) -> None:
        """Raise SB505 if all files together have too many values: they take time and memory before anything is checked."""
        if self.value_count > MAX_VALUES:
            message = f"the spec and its imports have more than {MAX_VALUES:,} keys and values together"
            raise at.error("SB505", message)

    def open_tensor_file(self, target: str, at: SourceAddress) -> TensorFile:
        """Return the tensors of a file that a spec names, each file read once.

        The path is relative to the folder of the spec, and cannot leave the root, as in imports. Raises SB306 if the
        file cannot be used, and SB501 if it is too large.
        """
        spec = self.specs_by_source.get(at.source) or next(iter(self.specs_by_source.values()))
        path = self.resolve_path(spec, target, at, "./taps.safetensors")
        if path not in self.tensor_files:
            if len(self.tensor_files) >= MAX_FILES:
                raise at.error("SB505", f"the model reads more than {MAX_FILES} files of tensors")
            try:
                self.tensor_files[path] = read_tensor_file(path, target)
            except TensorFileError as error:
                code = "SB501" if error.is_too_large else "SB306"
                message = f"{target!r} cannot be used: {error}"
                raise at.error(code, message, error.hint) from None
        return self.tensor_files[path]

    def circle_error(self, paths: list[Path], at: SourceAddress) -> SpecError:
        circle = " > ".join(path.name for path in paths)
        hint = "move what both need into a third file"
        return at.error("SB205", f"these files import each other: {circle}", hint if len(paths) > 2 else "")

    def select_block(self, spec: Spec, name: str | None, at: SourceAddress) -> BlockDef:
        """Return a block of a file by its name, or the model of the file. Raises SB202 if there is none."""
        if name is None or (spec.model is not None and spec.model.name == name):
            if spec.model is None:
                raise at.error(
                    "SB202",
                    f"{spec.source.file} has no model, only blocks",
                    f"choose a block, such as #{next(iter(spec.blocks), 'Block')}",
                )
            return spec.model
        if name not in spec.blocks:
            hint = suggest_name(name, spec.blocks, "its blocks are")
            raise at.error("SB202", f"{spec.source.file} has no block {name!r}", hint)
        return spec.blocks[name]


def count_values(data: Any) -> int:
    """Return the number of keys and values in the data of a file."""
    if isinstance(data, Mapping):
        return 1 + len(data) + sum(map(count_values, data.values()))
    return 1 + sum(map(count_values, data)) if isinstance(data, list) else 1
