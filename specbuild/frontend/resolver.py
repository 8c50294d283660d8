"""Which block a name means: the file's own, then its imports, then the library."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from specbuild.diagnostics.errors import closest_match
from specbuild.frontend.document import BlockDef, Spec, parse_spec
from specbuild.frontend.schema import validate_source
from specbuild.frontend.source import Source, SourceAddress
from specbuild.ops import OPS
from specbuild.ops.types import join_names

LIBRARY = Path(__file__).parents[1] / "library"
MAX_FILES = 100
MAX_IMPORT_DEPTH = 20
MAX_BYTES = 4 * 2**20


class SpecFiles:
    """The files of one compilation, each read once; nothing outside `root` and the library is opened."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.specs: dict[Path, Spec] = {}
        self.specs_by_source: dict[int, Spec] = {}
        self.open_paths: list[Path] = []
        self.size = 0

    def read_spec(self, path: Path, display_name: str | None = None) -> Spec:
        """Read, validate and parse a file."""
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
        """The definition that `name` has in a file."""
        spec = self.specs_by_source[id(user)]
        if name in spec.blocks:
            return spec.blocks[name]
        if name in spec.imports:
            return self.import_block(spec, name)
        if spec.model is not None and spec.model.name == name:
            return spec.model
        found = library_index().get(name)
        if found is not None:
            return self.select_block(self.open_import(found, at), name, at)
        own = [*spec.blocks, *spec.imports]
        guess = closest_match(name, [*own, *OPS, *library_index(), "do", "parallel", "reuse", "use"])
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
        """A file beside the importing one, under the root."""
        if "://" in target or target.startswith(("~", "/")) or "$" in target or "\\" in target:
            raise at.error(
                "SB207", f"{target!r} is not a relative path", "imports are paths such as ./blocks.yaml"
            )
        owner = next((p for p, s in self.specs.items() if s is spec), None)
        base = owner.parent if owner else self.root
        path = (base / target).resolve()
        inside = (
            LIBRARY.resolve() if owner is not None and owner.is_relative_to(LIBRARY.resolve()) else self.root
        )
        if not path.is_relative_to(inside):
            raise at.error("SB207", f"{target!r} leads outside the project folder", "move the file into it")
        if not path.is_file():
            raise at.error(
                "SB001", f"there is no file {target!r}", f"it is looked for beside {spec.source.file}"
            )
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
        """A block of a file by name, or the file's model."""
        if name is None or (spec.model is not None and spec.model.name == name):
            if spec.model is None:
                raise at.error(
                    "SB202",
                    f"{spec.source.file} has no model, only blocks",
                    f"name one: #{next(iter(spec.blocks), 'Block')}",
                )
            return spec.model
        if name not in spec.blocks:
            guess = closest_match(name, spec.blocks)
            hint = f"did you mean {guess!r}?" if guess else f"it has {join_names(spec.blocks)}"
            raise at.error("SB202", f"{spec.source.file} has no block {name!r}", hint)
        return spec.blocks[name]


@cache
def library_index() -> dict[str, Path]:
    """Every block of the library by name. Read off the text: a test holds it equal to the parsed files."""
    found: dict[str, Path] = {}
    for path in sorted(LIBRARY.rglob("*.yaml")):
        section = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line[:1].isalpha():
                section, _, rest = line.partition(":")
                if section == "model":
                    found[rest.split("#")[0].strip()] = path
            elif section == "blocks" and (block := re.match(r"  ([A-Z][A-Za-z0-9_]*):", line)):
                found[block[1]] = path
    return found
