"""Which block a name means: the file's own, then its imports, then the library."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from specbuild.diagnostics.errors import nearest
from specbuild.frontend.document import BlockDef, Spec, parse
from specbuild.frontend.schema import validate
from specbuild.frontend.source import At, Source
from specbuild.ops import OPS
from specbuild.ops.types import listed

LIBRARY = Path(__file__).parents[1] / "library"
MAX_FILES = 100
MAX_IMPORT_DEPTH = 20
MAX_BYTES = 4 * 2**20


class Files:
    """The files of one compilation, each read once; nothing outside `root` and the library is opened."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.specs: dict[Path, Spec] = {}
        self.owners: dict[int, Spec] = {}
        self.opening: list[Path] = []
        self.size = 0

    def read(self, path: Path, shown: str | None = None) -> Spec:
        """Read, validate and parse a file."""
        return self.add(Source.read(path, shown or str(path)), path.resolve())

    def add(self, source: Source, path: Path | None = None) -> Spec:
        validate(source)
        spec = parse(source)
        if path is not None:
            self.specs[path] = spec
        self.owners[id(source)] = spec
        self.size += len(source.text)
        return spec

    def lookup(self, user: Source, name: str, at: At) -> BlockDef:
        """The definition that `name` has in a file."""
        spec = self.owners[id(user)]
        if name in spec.blocks:
            return spec.blocks[name]
        if name in spec.imports:
            return self.imported(spec, name)
        if spec.model is not None and spec.model.name == name:
            return spec.model
        found = library_index().get(name)
        if found is not None:
            return self.definition(self.opened(found, at), name, at)
        own = [*spec.blocks, *spec.imports]
        guess = nearest(name, [*own, *OPS, *library_index(), "do", "parallel", "reuse", "use"])
        what = "block" if name[:1].isupper() else "op"
        hint = (
            f"did you mean {guess!r}?"
            if guess
            else f"`specbuild library list` lists every op and block; this file has {listed(own)}"
        )
        raise at.error("SB201", f"there is no {what} {name!r}", hint, key=True)

    def imported(self, spec: Spec, name: str) -> BlockDef:
        at = spec.source.at(("imports", name))
        target, _, block = spec.imports[name].partition("#")
        if target.startswith("library:"):
            path = (LIBRARY / target.removeprefix("library:")).resolve()
            if not path.is_relative_to(LIBRARY.resolve()) or not path.is_file():
                files = sorted(str(p.relative_to(LIBRARY)) for p in LIBRARY.rglob("*.yaml"))
                guess = nearest(target.removeprefix("library:"), files)
                raise at.error(
                    "SB001",
                    f"the library has no file {target!r}",
                    f"did you mean 'library:{guess}'?" if guess else "",
                )
        else:
            path = self.local(spec, target, at)
        return self.definition(self.opened(path, at), block or None, at)

    def local(self, spec: Spec, target: str, at: At) -> Path:
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

    def opened(self, path: Path, at: At) -> Spec:
        if path in self.opening:
            cycle = " > ".join(p.name for p in [*self.opening[self.opening.index(path) :], path])
            raise at.error("SB205", f"these files import each other: {cycle}")
        if path in self.specs:
            return self.specs[path]
        if len(self.specs) >= MAX_FILES or len(self.opening) >= MAX_IMPORT_DEPTH or self.size > MAX_BYTES:
            raise at.error(
                "SB505", f"more than {MAX_FILES} files, {MAX_IMPORT_DEPTH} levels or 4 MiB of imports"
            )
        in_library = path.is_relative_to(LIBRARY)
        shown = f"library:{path.relative_to(LIBRARY)}" if in_library else str(path.relative_to(self.root))
        self.opening.append(path)
        try:
            spec = self.read(path, shown)
            for name in spec.imports:
                self.imported(spec, name)
            return spec
        finally:
            self.opening.pop()

    def definition(self, spec: Spec, name: str | None, at: At) -> BlockDef:
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
            guess = nearest(name, spec.blocks)
            hint = f"did you mean {guess!r}?" if guess else f"it has {listed(spec.blocks)}"
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
