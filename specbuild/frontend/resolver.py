"""Find the block for a name: in the file itself, in its imports, then in the library."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from specbuild.diagnostics.errors import closest_match
from specbuild.frontend.document import STRUCTURES, BlockDef, Spec, parse_spec
from specbuild.frontend.schema import validate_source
from specbuild.frontend.source import Source, SourceAddress
from specbuild.ops import OPS
from specbuild.ops.types import join_names

LIBRARY = Path(__file__).parents[1] / "library"
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
        library_path = library_index().get(name)
        if library_path is not None:
            return self.select_block(self.open_import(library_path, at), name, at)
        own = [*spec.blocks, *spec.imports]
        guess = closest_match(name, [*own, *OPS, *library_index(), *STRUCTURES])
        what = "block" if name[:1].isupper() else "op"
        hint = (
            f"did you mean {guess!r}?"
            if guess
            else f"`specbuild library list` lists every op and block; this file has {join_names(own)}"
        )
        raise at.error("SB201", f"there is no {what} {name!r}", hint, key=True)

    def import_block(self, spec: Spec, name: str) -> BlockDef:
        at = spec.source.address_of(("imports", name))
        target, _, block = spec.imports[name].partition("#")
        if target.startswith("library:"):
            path = (LIBRARY / target.removeprefix("library:")).resolve()
            if not path.is_relative_to(LIBRARY.resolve()) or not path.is_file():
                files = sorted(str(p.relative_to(LIBRARY)) for p in LIBRARY.rglob("*.yaml"))
                guess = closest_match(target.removeprefix("library:"), files)
                raise at.error(
                    "SB001",
                    f"the library has no file {target!r}",
                    f"did you mean 'library:{guess}'?" if guess else "",
                )
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
        inside = (
            LIBRARY.resolve() if owner is not None and owner.is_relative_to(LIBRARY.resolve()) else self.root
        )
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
        in_library = path.is_relative_to(LIBRARY)
        shown = f"library:{path.relative_to(LIBRARY)}" if in_library else str(path.relative_to(self.root))
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
            guess = closest_match(name, spec.blocks)
            hint = f"did you mean {guess!r}?" if guess else f"it has {join_names(spec.blocks)}"
            raise at.error("SB202", f"{spec.source.file} has no block {name!r}", hint)
        return spec.blocks[name]


@cache
def library_index() -> dict[str, Path]:
    """Return the file of each library block by name.

    For speed, this scans the text of the files; a test compares the result with the parsed files.
    """
    index: dict[str, Path] = {}
    for path in sorted(LIBRARY.rglob("*.yaml")):
        section = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line[:1].isalpha():
                section, _, rest = line.partition(":")
                if section == "model":
                    index[rest.split("#")[0].strip()] = path
            elif section == "blocks" and (block := re.match(r"  ([A-Z][A-Za-z0-9_]*):", line)):
                index[block[1]] = path
    return index
