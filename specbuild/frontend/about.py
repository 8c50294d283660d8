"""Where a block comes from, and what else it is called: metadata that no emitted code depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

ABOUT_KEYS = ("title", "authors", "year", "arxiv", "doi", "names", "tags")


class About(Struct, frozen=True):
    """The paper of a block, its other names, and words to find it by."""

    title: str = ""
    authors: str = ""
    year: int | None = None
    arxiv: str = ""
    doi: str = ""
    names: tuple[str, ...] = ()  # in papers and other libraries
    tags: tuple[str, ...] = ()


NOTHING = About()


def parse_about(raw: Mapping[str, Any] | None, of_file: Mapping[str, Any] | None = None) -> About:
    """Return what a block says about itself; what it leaves out, but `names`, is what its file says.

    A block that names a paper of its own has nothing of the file's paper.
    """
    own, inherited = dict(raw or {}), dict(of_file or {})
    inherited.pop("names", None)
    if "title" in own:
        inherited = {"tags": inherited["tags"]} if "tags" in inherited else {}
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in {**inherited, **own}.items()
    }
    return About(**fields)
