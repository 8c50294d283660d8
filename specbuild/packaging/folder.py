"""The folder of a package on disk: which files are there, which to write, which to leave alone."""

from __future__ import annotations

import keyword
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.compiler.output_files import (
    FileState,
    create_folder,
    file_state,
    is_current,
    overwrite_error,
    remove_file,
    write_error,
    write_output_files,
)
from specbuild.compiler.temporary_files import remove_abandoned
from specbuild.diagnostics.errors import SpecErrors
from specbuild.packaging.contents import PACKAGE_FILE_NAMES, PackageFile
from specbuild.packaging.project import PROJECT_NAME

# Modules that the files of a package import, besides its frameworks: a folder of such a name would hide them.
RESERVED_NAMES = frozenset({"numpy", "pytest", "safetensors", "specbuild"})

Status = FileState | Literal["yours", "stale", "kept"]


class FileChange(Struct, frozen=True):
    """The status of a file on disk compared with the package.

    A `yours` file belongs to the user. A `stale` file is no longer part of the package. A `kept` file is not
    part of it either, but was edited, so it is not removed. For the others see `file_state`.
    """

    path: Path
    status: Status
    file: PackageFile | None = None


def framework_modules(backends: Iterable[str]) -> set[str]:
    """Return the modules that the emitted files of these backends need."""
    loaded = list(map(load_backend, backends))
    engines = {module for b in loaded for runtime in b.runtimes for module in runtime.modules}
    return engines.union(*(b.modules for b in loaded))


def package_name(target: Path, backends: Sequence[str] = BACKEND_NAMES, is_project: bool = False) -> str:
    """Return the name under which a package is imported; raises SB702 if it cannot be imported.

    It is that of the folder. The folder of a project may have hyphens: `my-model` holds the package `my_model`.
    """
    frameworks = framework_modules(dict.fromkeys((*BACKEND_NAMES, *backends)))
    name = Path(os.path.abspath(target)).name
    name = name.replace("-", "_") if is_project else name
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise write_error(
            target, f"{name!r} cannot be imported", "name the folder as a Python package, such as `my_model`"
        )
    if name in RESERVED_NAMES | frameworks or name in sys.stdlib_module_names:
        raise write_error(
            target,
            f"a package {name!r} would hide the one that is imported by this name",
            f"call it `{name}_model`, for example",
        )
    if os.path.islink(target):
        raise write_error(target, "it is a symbolic link", "give the folder that it points to")
    if os.path.exists(target) and not os.path.isdir(target):
        raise write_error(target, "it is a file, and a package is a folder", "give another path with `-o`")
    return name


def plan_changes(
    folder: Path,
    files: Sequence[PackageFile],
    digest: str,
    user_files: Collection[str] = frozenset(),
    file_names: Collection[str] = PACKAGE_FILE_NAMES,
) -> list[FileChange]:
    """Return the status of every file of the package, then of generated files that it no longer has.

    `user_files` belong to the user and are left alone, and so does an edited `pyproject.toml`. `file_names` are all
    that packages use.
    """
    changes = []
    for file in files:
        path = folder / file.name
        status = "yours" if file.name in user_files else compare_file(path, file, digest)
        if file.name == PROJECT_NAME and status in ("edited", "foreign"):
            status = "yours"
        changes.append(FileChange(path, status, file))
    present = {*user_files, *(file.name for file in files)}
    return [*changes, *obsolete_files(folder, set(file_names) - present)]


def compare_file(path: Path, file: PackageFile, digest: str) -> Status:
    """Compare a file with the one on disk; a diagram of this spec is the same, whatever Graphviz drew it."""
    if file.is_diagram:
        return "same" if is_current(path, digest) else file_state(path)
    return file_state(path, file.text)


def obsolete_files(folder: Path, names: Collection[str]) -> Iterator[FileChange]:
    """Yield those of these files that an earlier package had."""
    for name in sorted(names):
        path = folder / name
        state = file_state(path)
        if state in ("outdated", "edited"):
            yield FileChange(path, "stale" if state == "outdated" else "kept")


def apply_changes(folder: Path, changes: Sequence[FileChange], *, force: bool = False) -> None:
    """Write and remove files; write nothing if any file cannot be overwritten.

    Raises SB701 for each file that was edited by hand or was not generated, unless `force`. An edited file
    that is no longer part of the package is never removed.
    """
    protected = [c for c in changes if c.status in ("edited", "foreign")]
    if protected and not force:
        raise SpecErrors(
            overwrite_error(
                c.path, edited=c.status == "edited", instead=f"leave it alone with `--keep {c.path.name}`"
            )
            for c in protected
        )
    for inner in {folder, *(parent for c in changes for parent in list_folders(folder, c.path))}:
        remove_abandoned(inner)  # also where nothing is written
    changes = [c for c in changes if c.status not in ("same", "yours", "kept")]
    # make all texts, which can fail, before anything is written
    texts = {change.path: change.file.text for change in changes if change.file is not None}
    for inner in sorted({folder, *(parent for path in texts for parent in list_folders(folder, path))}):
        if inner != folder and os.path.islink(inner):
            raise write_error(inner, "it is a symbolic link", "give a project without links")
        create_folder(inner)
    write_output_files(texts, force=force)
    for change in changes:
        if change.file is None:
            remove_file(change.path)


def list_folders(folder: Path, path: Path) -> Iterator[Path]:
    """Yield the folders of a file that lie in `folder`."""
    for parent in path.parents:
        if parent == folder:
            return
        yield parent
