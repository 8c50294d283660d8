"""Find the block for a name: in the file itself, in its imports, then in the library."""

from __future__ import annotations

from pathlib import Path

from specbuild.diagnostics.suggestions import list_some, suggest_name
from specbuild.frontend.document import STRUCTURES, BlockDef, Spec, parse_spec
from specbuild.frontend.library import (
    find_library_file,
    full_library_index,
    library_files,
    library_folder,
    library_reference,
    resolve_library_path,
)
from specbuild.frontend.schema import validate_source
from specbuild.frontend.source import Source, SourceAddress
from specbuild.ops import OPS

MAX_FILES = 100
MAX_IMPORT_DEPTH = 20
MAX_BYTES = 4 * 2**20


class SpecFiles:
    """The spec files of one compilation, each read once. Opens only files in `root` and in the library."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.specs: dict[Path, Spec] = {}
        self.specs_by_source: dict[int, Spec] = {}
        self.open_paths: list[Path] = []
        self.size = 0

    def read_spec(self, path: Path, display_name: str | None = None) -> Spec:
        """Read, validate and parse a file; errors call it `display_name`."""
        return self.add_source(Source.read(path, display_name or str(path)), path.resolve())

    def add_source(self, source: Source, path: Path | None = None) -> Spec:
        validate_source(source)
        spec = parse_spec(source)
        if path is not None:
            self.specs[path] = spec
        self.specs_by_source[id(source)] = spec
        self.size += len(source.text)
        return spec

    def find_block(self, user: Source, name: str, at: SourceAddress) -> BlockDef:
        """Return the block that `name` means in the file `user`. Raises SB201 if there is none."""
        spec = self.specs_by_source[id(user)]
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
        hint = suggest_name(name, [*own, *OPS, *full_library_index(), *STRUCTURES], otherwise=listing)
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
        return self.select_block(self.open_import(path, at), block or None, at)

    def resolve_path(self, spec: Spec, target: str, at: SourceAddress) -> Path:
        """Return the path of an imported file. Raises SB207 if it is outside the root."""
        if "://" in target or target.startswith(("~", "/")) or "$" in target or "\\" in target:
            raise at.error("SB207", f"{target!r} is not a relative path", "use a path such as ./blocks.yaml")
        owner = next((p for p, s in self.specs.items() if s is spec), None)
        base = owner.parent if owner else self.root
        path = (base / target).resolve()
        inside = (library_folder(owner, self.root) if owner is not None else None) or self.root
        if not path.is_relative_to(inside):
            hint = "move the file into the project folder"
            raise at.error("SB207", f"{target!r} is outside the project folder", hint)
        if not path.is_file():
            hint = f"the path is relative to the folder of {spec.source.file}"
            raise at.error("SB001", f"there is no file {target!r}", hint)
        return path

    def open_import(self, path: Path, at: SourceAddress) -> Spec:
        if path in self.open_paths:
            cycle = " > ".join(p.name for p in [*self.open_paths[self.open_paths.index(path) :], path])
            raise at.error("SB205", f"these files import each other: {cycle}")
        if path in self.specs:
            return self.specs[path]
        if len(self.specs) >= MAX_FILES or len(self.open_paths) >= MAX_IMPORT_DEPTH or self.size > MAX_BYTES:
            raise at.error(
                "SB505", f"more than {MAX_FILES} files, {MAX_IMPORT_DEPTH} levels or 4 MiB of imports"
            )
        shown = library_reference(path, self.root) or str(path.relative_to(self.root))
        self.open_paths.append(path)
        try:
            spec = self.read_spec(path, shown)
            for name in spec.imports:
                self.import_block(spec, name)
            return spec
        finally:
            self.open_paths.pop()

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
