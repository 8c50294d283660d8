"""A package on the disk: what stands there, what is written, and what is left alone."""

from __future__ import annotations

import keyword
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from specbuild.compiler import files as output
from specbuild.diagnostics.errors import SpecErrors
from specbuild.packaging.contents import KNOWN, File

# What the files of a package import: a folder of this name would stand in the way.
IMPORTED = frozenset({"jax", "keras", "numpy", "pytest", "safetensors", "specbuild", "tensorflow", "torch"})

Status = output.State | Literal["yours", "stale", "kept"]


@dataclass(frozen=True)
class Change:
    """How a file stands to what it is to be. `yours` is left to its owner; `stale` is one that is no longer
    written, `kept` such a one that somebody has edited."""

    path: Path
    status: Status
    file: File | None = None


def named(target: Path) -> str:
    """The name under which a folder is imported; SB702 where it has none."""
    name = Path(os.path.abspath(target)).name
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise output.refused(
            target, f"{name!r} cannot be imported", "name the folder as a Python package, such as `my_model`"
        )
    if name in IMPORTED or name in sys.stdlib_module_names:
        raise output.refused(
            target,
            f"a package {name!r} would hide the one that is imported by this name",
            f"call it `{name}_model`, say",
        )
    if target.is_symlink():
        raise output.refused(target, "it is a symbolic link", "name the folder that it leads to")
    if target.exists() and not target.is_dir():
        raise output.refused(target, "it is a file, and a package is a folder", "give another path with `-o`")
    return name


def checked(
    folder: Path, files: Sequence[File], digest: str, yours: Collection[str] = frozenset()
) -> list[Change]:
    """Every file that is to stand in the folder, then those of ours that are no longer to; `yours` are left alone."""
    found = []
    for f in files:
        path = folder / f.name
        found.append(Change(path, "yours" if f.name in yours else state(path, f, digest), f))
    return [*found, *others(folder, {*yours, *(f.name for f in files)})]


def state(path: Path, file: File, digest: str) -> Status:
    """A picture that nobody edited counts as the same whatever Graphviz drew it of this spec."""
    if file.drawn:
        return "same" if output.current(path, digest) else output.state(path)
    return output.state(path, file.text)


def others(folder: Path, names: Collection[str]) -> Iterator[Change]:
    """Files of ours that a package of another kind had."""
    for name in sorted(KNOWN.difference(names)):
        path = folder / name
        found = output.state(path)
        if found in ("outdated", "edited"):
            yield Change(path, "stale" if found == "outdated" else "kept")


def delivered(folder: Path, changes: Sequence[Change], *, force: bool = False) -> None:
    """Bring the folder to what it is to be; nothing is written where any file is refused.

    Raises SB701 for each file that somebody has edited or that was never generated, unless `force`. Such a file that
    is no longer written stays in any case.
    """
    refused = [c for c in changes if c.status in ("edited", "foreign")]
    if refused and not force:
        raise SpecErrors(
            output.unsafe(
                c.path, edited=c.status == "edited", instead=f"leave it with `--keep {c.path.name}`"
            )
            for c in refused
        )
    changes = [c for c in changes if c.status not in ("same", "yours", "kept")]
    for change in changes:  # all that can fail to be made, before anything is written
        _ = change.file and change.file.text
    output.folder(folder)
    for change in changes:
        if change.file is None:
            output.remove(change.path)
        else:
            output.write(change.path, change.file.text, force=force)
