"""A package on the disk: what stands there, what is written, and what is left alone."""

from __future__ import annotations

import keyword
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from specbuild.compiler import output_files as output
from specbuild.diagnostics.errors import SpecErrors
from specbuild.packaging.contents import PACKAGE_FILE_NAMES, PackageFile

# What the files of a package import: a folder of this name would stand in the way.
RESERVED_NAMES = frozenset(
    {"jax", "keras", "numpy", "pytest", "safetensors", "specbuild", "tensorflow", "torch"}
)

Status = output.FileState | Literal["yours", "stale", "kept"]


@dataclass(frozen=True)
class FileChange:
    """How a file stands to what it is to be. `yours` is left to its owner; `stale` is one that is no longer
    written, `kept` such a one that somebody has edited."""

    path: Path
    status: Status
    file: PackageFile | None = None


def package_name(target: Path) -> str:
    """The name under which a folder is imported; SB702 where it has none."""
    name = Path(os.path.abspath(target)).name
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise output.write_error(
            target, f"{name!r} cannot be imported", "name the folder as a Python package, such as `my_model`"
        )
    if name in RESERVED_NAMES or name in sys.stdlib_module_names:
        raise output.write_error(
            target,
            f"a package {name!r} would hide the one that is imported by this name",
            f"call it `{name}_model`, say",
        )
    if target.is_symlink():
        raise output.write_error(target, "it is a symbolic link", "name the folder that it leads to")
    if target.exists() and not target.is_dir():
        raise output.write_error(
            target, "it is a file, and a package is a folder", "give another path with `-o`"
        )
    return name


def plan_changes(
    folder: Path, files: Sequence[PackageFile], digest: str, user_files: Collection[str] = frozenset()
) -> list[FileChange]:
    """Every file that is to stand in the folder, then those of ours that are no longer to; `yours` are left alone."""
    found = []
    for f in files:
        path = folder / f.name
        found.append(FileChange(path, "yours" if f.name in user_files else file_state(path, f, digest), f))
    return [*found, *obsolete_files(folder, {*user_files, *(f.name for f in files)})]


def file_state(path: Path, file: PackageFile, digest: str) -> Status:
    """A picture that nobody edited counts as the same whatever Graphviz drew it of this spec."""
    if file.is_diagram:
        return "same" if output.is_current(path, digest) else output.file_state(path)
    return output.file_state(path, file.text)


def obsolete_files(folder: Path, names: Collection[str]) -> Iterator[FileChange]:
    """Files of ours that a package of another kind had."""
    for name in sorted(PACKAGE_FILE_NAMES.difference(names)):
        path = folder / name
        found = output.file_state(path)
        if found in ("outdated", "edited"):
            yield FileChange(path, "stale" if found == "outdated" else "kept")


def apply_changes(folder: Path, changes: Sequence[FileChange], *, force: bool = False) -> None:
    """Bring the folder to what it is to be; nothing is written where any file is refused.

    Raises SB701 for each file that somebody has edited or that was never generated, unless `force`. Such a file that
    is no longer written stays in any case.
    """
    refused = [c for c in changes if c.status in ("edited", "foreign")]
    if refused and not force:
        raise SpecErrors(
            output.overwrite_error(
                c.path, edited=c.status == "edited", instead=f"leave it with `--keep {c.path.name}`"
            )
            for c in refused
        )
    changes = [c for c in changes if c.status not in ("same", "yours", "kept")]
    for change in changes:  # all that can fail to be made, before anything is written
        _ = change.file and change.file.text
    output.create_folder(folder)
    for change in changes:
        if change.file is None:
            output.remove_file(change.path)
        else:
            output.write_output(change.path, change.file.text, force=force)
