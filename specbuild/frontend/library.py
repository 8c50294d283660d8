"""The files of the library, and those of extensions: which block is in which file."""

from __future__ import annotations

import os.path
import re
from functools import cache
from pathlib import Path

import yaml

from specbuild.frontend.source import resolve_path
from specbuild.ops.extensions import block_folders, extension_entries, extension_error

LIBRARY = (Path(__file__).parents[1] / "library").resolve()


@cache
def library_index() -> dict[str, Path]:
    """Return the file of each block of the library by name, without extensions."""
    return index_blocks(LIBRARY)


@cache
def full_library_index() -> dict[str, Path]:
    """Return the file of each block of the library and extensions by name.

    Raises SpecError SB606 if an extension has a block of a name that is in use.
    """
    index = dict(library_index())
    for extension, folder in block_folders().items():
        for block, path in index_blocks(folder).items():
            if block in index:
                other = "the library" if index[block].is_relative_to(LIBRARY) else "another extension"
                entry = extension_entries("specbuild.blocks")[extension]
                raise extension_error(entry, f"{other} already has a block {block!r}")
            index[block] = path
    return index


def index_blocks(folder: Path) -> dict[str, Path]:
    """Return the file of each block in a folder by name.

    For speed, this scans the text of the files; a test compares the result with the parsed files.
    """
    index: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.yaml")):
        section = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line[:1].isalpha():
                section, _, rest = line.partition(":")
                if section == "model":
                    index[rest.split("#")[0].strip()] = path
            elif section == "blocks" and (block := re.match(r"  ([A-Z][A-Za-z0-9_]*):", line)):
                index[block[1]] = path
    return index


@cache
def library_names() -> dict[str, str]:
    """Return the block of the library for each of its other names, without extensions."""
    return index_other_names(LIBRARY)


def full_library_names() -> dict[str, str]:
    """Return the block of the library or of an extension for each of its other names."""
    names: dict[str, str] = {}
    for folder in block_folders().values():
        names |= index_other_names(folder)
    return names | library_names()


def index_other_names(folder: Path) -> dict[str, str]:
    """Return the block in a folder for each of its other names, which are listed under `about`.

    For speed, this scans the text of the files; a test compares the result with the parsed files.
    """
    names: dict[str, str] = {}
    for path in sorted(folder.rglob("*.yaml")):
        block = model = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"model: (\w+)", line):
                block = model = found[1]
            elif found := re.match(r"  ([A-Z][A-Za-z0-9_]*):", line):
                block = "" if model else found[1]  # no step can name an inner block of a model
            elif block and (listed := re.search(r"\bnames: \[([^\]]*)\]", line)):
                names |= {name.strip().strip("\"'"): block for name in listed[1].split(",")}
    return names


def library_variants(model: str) -> frozenset[str]:
    """Return the names of the variants of a model of the library, from the text of its file; none for a block."""
    path = library_index().get(model)
    text = path.read_text(encoding="utf-8") if path is not None else ""
    section = re.search(r"^variants:\n((?:[ #].*\n|\n)+)", text, re.MULTILINE)
    return frozenset(re.findall(r"^  (\w+):", section[1], re.MULTILINE)) if section else frozenset()


def library_arguments(block: str) -> list[str]:
    """Return the parameters and inputs of a block of the library, from its file; none for other names."""
    path = library_index().get(block)
    data = yaml.safe_load(path.read_text(encoding="utf-8")) if path is not None else {}
    found = data if data.get("model") == block else data.get("blocks", {}).get(block, {})
    return [*found.get("params", ()), *found.get("inputs", ())]


def model_name(path: Path) -> str:
    """Return the name of the model in a file, from its text; "" if it has only blocks."""
    found = re.search(r"^model: *([^#\n]*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].strip() if found else ""


def find_library_file(block: str) -> Path | None:
    """Return the file of a block. Extensions are searched only if the library does not have it."""
    return library_index().get(block) or full_library_index().get(block)


def library_files() -> list[str]:
    """Return the names of all files as imports write them: `attention/cbam.yaml`, `extension/file.yaml`."""
    names = [path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.yaml")]
    for name, folder in block_folders().items():
        names += [f"{name}/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*.yaml")]
    return sorted(names)


def resolve_library_path(name: str) -> Path | None:
    """Return the file of a name such as `attention/cbam.yaml`; None if there is none."""
    path = resolve_path(LIBRARY / name)
    if path.is_relative_to(LIBRARY) and os.path.isfile(path):
        return path
    extension, _, rest = name.partition("/")
    folder = block_folders().get(extension)
    if folder is None:
        return None
    path = resolve_path(folder / rest)
    return path if path.is_relative_to(folder) and os.path.isfile(path) else None


def library_folder(path: Path, project: Path) -> Path | None:
    """Return the folder of the library or extension that contains a file; None for a file of the project."""
    if path.is_relative_to(LIBRARY):
        return LIBRARY
    if path.is_relative_to(project):
        return None
    return next((folder for folder in block_folders().values() if path.is_relative_to(folder)), None)


def library_reference(path: Path, project: Path) -> str | None:
    """Return how an import refers to a library file: `library:attention/cbam.yaml`; None for other files."""
    folder = library_folder(path, project)
    if folder is None:
        return None
    name = path.relative_to(folder).as_posix()
    if folder == LIBRARY:
        return f"library:{name}"
    extension = next(extension for extension, other in block_folders().items() if other == folder)
    return f"library:{extension}/{name}"
