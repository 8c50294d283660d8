"""Find ops and blocks of the library by what people call them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from specbuild.diagnostics.sentences import first_sentence
from specbuild.frontend.about import NOTHING, About
from specbuild.frontend.document import BlockDef
from specbuild.frontend.editor_schema import library_block_names, library_blocks
from specbuild.frontend.library import LIBRARY, full_library_names, library_reference
from specbuild.ops.extensions import all_ops

MAX_QUERY = 200  # characters

# How good a match is; a query of several words is as good as its worst word.
NAME, TITLE, PART_OF_NAME, FACT, TEXT, PART_OF_WORD = range(6)
SHORTEST_PART = 3  # shorter words are only found whole
# Kinds that come after the blocks they are named for, if both match alike.
WHOLE_NETWORKS = ("backbones", "models")


@dataclass(frozen=True)
class LibraryEntry:
    """An op or a block as a search sees it."""

    name: str
    kind: str  # the folder of a block, the family of an op
    doc: str
    about: About = NOTHING
    file: str = ""  # of a block: what an import calls it


@cache
def library_entries() -> tuple[LibraryEntry, ...]:
    """Return all ops, then all blocks."""
    ops = [LibraryEntry(name, op.family, op.summary) for name, op in all_ops().items()]
    return (*ops, *map(block_entry, library_blocks().values()))


def block_entry(block: BlockDef) -> LibraryEntry:
    file = library_reference(Path(block.source.file).resolve(), LIBRARY) or ""
    folder = file.removeprefix("library:").rpartition("/")[0]
    return LibraryEntry(block.name, folder, first_sentence(block.doc), block.about, file)


def search_library(query: str, kind: str | None = None) -> list[LibraryEntry]:
    """Return what matches every word of the query, the best first: the whole query as a name, then its words.

    Nothing matches a query that is longer than MAX_QUERY.
    """
    found: list[tuple[int, bool, str, LibraryEntry]] = []
    if len(query) > MAX_QUERY:
        return []
    for entry in library_entries():
        if kind is not None and not is_of_kind(entry, kind):
            continue
        rank = rank_entry(entry, query)
        if rank is not None:
            found.append((rank, entry.kind in WHOLE_NETWORKS, entry.name.lower(), entry))
    return [entry for *_, entry in sorted(found, key=lambda item: item[:3])]


def find_same_name(name: str) -> list[str]:
    """Return the ops and blocks that have this name in another spelling, or as another name; it reads no block."""
    wanted = squeeze_text(name[:MAX_QUERY])
    known = {**full_library_names(), **{own: own for own in (*all_ops(), *library_block_names())}}
    return sorted({own for other, own in known.items() if squeeze_text(other) == wanted}, key=str.lower)


def is_of_kind(entry: LibraryEntry, kind: str) -> bool:
    return fold_text(kind) in (fold_text(entry.kind), *map(fold_text, entry.kind.split("/")))


def list_kinds() -> list[str]:
    """Return the kinds that `--kind` takes, in alphabetical order."""
    return sorted({part for entry in library_entries() for part in entry.kind.split("/")})


def rank_entry(entry: LibraryEntry, query: str) -> int | None:
    """Return how good an entry matches, 0 for best; None if a word of the query is nowhere in it."""
    query = re.sub(r"(?i)\barxiv[: ]*(?=\d)", "", query)
    if squeeze_text(query) in map(squeeze_text, (entry.name, *entry.about.names)):
        return NAME
    if len(split_words(query)) > 1 and squeeze_text(entry.about.title).startswith(squeeze_text(query)):
        return TITLE
    words = split_words(query)
    ranks = [rank_word(entry, word) for word in words]
    known = [rank for rank in ranks if rank is not None]
    return max(known, default=None) if len(known) == len(ranks) else None


def rank_word(entry: LibraryEntry, word: str) -> int | None:
    about = entry.about
    names = [part for name in (entry.name, *about.names) for part in split_words(name)]
    facts = [
        *(
            part
            for text in (about.title, about.authors, *about.tags, entry.kind)
            for part in split_words(text)
        ),
        *(fold_text(text) for text in (about.arxiv, about.doi, str(about.year or "")) if text),
    ]
    for rank, known in ((PART_OF_NAME, names), (FACT, facts), (TEXT, split_words(entry.doc))):
        if word in known:
            return rank
    if len(word) >= SHORTEST_PART and any(part.startswith(word) for part in (*names, *facts)):
        return PART_OF_WORD
    return None


def format_about(about: About) -> Iterator[str]:
    """Yield the authors and the year, the title, and where the paper is."""
    yield from filter(None, [" ".join(filter(None, [about.authors, str(about.year or "")])), about.title])
    if about.arxiv:
        yield f"arXiv {about.arxiv}"
    if about.doi:
        yield f"doi {about.doi}"


def known_names() -> Iterator[str]:
    """Yield every name that an op or a block goes by."""
    for entry in library_entries():
        yield entry.name
        yield from entry.about.names


def split_words(text: str) -> list[str]:
    """Return the words of a text or of a name, in lower case: `SEBlock` and `se_block` have two."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", fold_accents(text))
    return re.findall(r"[a-z0-9]+(?:[./-]\d[a-z0-9]*)*", spaced.lower())


def squeeze_text(text: str) -> str:
    """Return only the letters and digits of a text, in lower case."""
    return re.sub(r"[^a-z0-9+]", "", fold_text(text))


def fold_text(text: str) -> str:
    return fold_accents(text).lower().strip()


def fold_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
