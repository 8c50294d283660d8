"""Reads the configuration in a `.keras` file, which is a zip archive from anywhere."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.importing.keras.config import clean_config
from specbuild.runtimes.archive_limits import ARCHIVE_ERRORS, is_oversized

CONFIG_MEMBER, WEIGHTS_MEMBER = "config.json", "model.weights.h5"
MAX_CONFIG = 1 << 23  # bytes; the largest of the applications of Keras takes a sixth of it
MAX_MEMBERS = 10_000


def read_config(path: Path) -> dict[str, Any]:
    """Return the cleaned configuration of the model in a `.keras` file. Raises SpecError SB961 and SB963."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path)
            with archive.open(CONFIG_MEMBER) as member:
                text = member.read(MAX_CONFIG + 1)
        if len(text) > MAX_CONFIG:
            raise refuse_archive(path, f"{CONFIG_MEMBER} is larger than {MAX_CONFIG >> 20} MB")
        config = json.loads(text)
    except FileNotFoundError:
        raise refuse_archive(path, "there is no such file") from None
    except (ValueError, RecursionError) as error:
        raise refuse_archive(path, f"{CONFIG_MEMBER} is not JSON: {error}") from None
    except ARCHIVE_ERRORS as error:
        raise refuse_archive(path, f"it cannot be read as a zip archive: {error}") from None
    return clean_config(config)


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise SpecError SB961 if the archive is not that of a model, or unpacks to far more than it holds."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise refuse_archive(path, f"it has more than {MAX_MEMBERS:,} members")
    names = Counter(member.filename for member in members)
    if CONFIG_MEMBER not in names:
        raise refuse_archive(
            path, f"it contains no {CONFIG_MEMBER}", "save the model: model.save('net.keras')"
        )
    if WEIGHTS_MEMBER not in names:
        raise refuse_archive(
            path, f"it contains no {WEIGHTS_MEMBER}", "save the model: model.save('net.keras')"
        )
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if ".." in parts or not parts[0]:
            raise refuse_archive(path, f"a member leaves the archive: {make_printable(member.filename)}")
        if names[member.filename] > 1:
            raise refuse_archive(path, f"{make_printable(member.filename)} is in it twice")
        if is_oversized(member.file_size, member.compress_size):
            raise refuse_archive(
                path, f"{make_printable(member.filename)} is far larger than the data stored for it"
            )


def refuse_archive(path: Path, reason: str, hint: str = "") -> SpecError:
    return SpecError("SB961", f"{path} cannot be imported: {reason}", hint=hint)
