"""Find ops and blocks of the library by their usual names, also those of papers and other libraries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from specbuild.diagnostics.sentences import first_sentence
from specbuild.frontend.about import NOTHING, About
from specbuild.frontend.document import BlockDef
from specbuild.frontend.editor_schema import library_block_names, library_blocks
from specbuild.frontend.foreign_names import REPLACEMENTS, normalize_name
from specbuild.frontend.library import LIBRARY, full_library_names, library_reference
from specbuild.ops import Op
from specbuild.ops.base import list_attributes
from specbuild.ops.extensions import all_ops

MAX_QUERY = 200  # characters

# How good a match is. The rank of a query with several words is that of its worst word.
NAME, TITLE, PART_OF_NAME, FACT, TEXT, ARGUMENT, PART_OF_WORD = range(7)
SHORTEST_PART = 3  # shorter words are only found whole
# If they match equally well, networks of these kinds come after the blocks for which they are known.
WHOLE_NETWORKS = ("backbones", "models")


class LibraryEntry(Struct, frozen=True):
    """An op or a block as a search sees it."""

    name: str
    kind: str  # the folder of a block, the family of an op
    doc: str
    about: About = NOTHING
    file: str = ""  # of a block: what an import calls it
    # The names of its attributes or parameters, and the words that are values of them.
    arguments: tuple[str, ...] = ()


@cache
def library_entries() -> tuple[LibraryEntry, ...]:
    """Return all ops, then all blocks."""
    ops = [
        LibraryEntry(name, op.family, op.summary, arguments=tuple(op_arguments(op)))
        for name, op in all_ops().items()
    ]
    return (*ops, *map(block_entry, library_blocks().values()))


def block_entry(block: BlockDef) -> LibraryEntry:
    file = library_reference(Path(block.source.file).resolve(), LIBRARY) or ""
    folder = file.removeprefix("library:").rpartition("/")[0]
    choices = [str(choice) for param in block.params.values() for choice in param.choices or ()]
    arguments = (*block.params, *choices)
    return LibraryEntry(block.name, folder, first_sentence(block.doc), block.about, file, arguments)


def op_arguments(op: type[Op]) -> Iterator[str]:
    """Yield the names of the attributes and inputs of an op, and the words that are values of an attribute."""
    yield from (spec.name for spec in op.input_specs)
    for name, attribute in list_attributes(op).items():
        yield name
        yield from getattr(attribute.kind, "options", ())


def search_library(query: str, kind: str | None = None) -> list[LibraryEntry]:
    """Return what matches every word of the query, the best first: the whole query as a name, then its words.

    Nothing matches a query that is longer than MAX_QUERY.
    """
    found: list[tuple[tuple[int, int], bool, str, LibraryEntry]] = []
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
    """Return the ops and blocks that have this name in another spelling, or as another name, without reading any block."""
    wanted = squeeze_text(name[:MAX_QUERY])
    known = {**full_library_names(), **{own: own for own in (*all_ops(), *library_block_names())}}
    return sorted({own for other, own in known.items() if squeeze_text(other) == wanted}, key=str.lower)


def is_of_kind(entry: LibraryEntry, kind: str) -> bool:
    return fold_text(kind) in (fold_text(entry.kind), *map(fold_text, entry.kind.split("/")))


def list_kinds() -> list[str]:
    """Return the kinds that `--kind` takes, in alphabetical order."""
    return sorted({part for entry in library_entries() for part in entry.kind.split("/")})


def rank_entry(entry: LibraryEntry, query: str) -> tuple[int, int] | None:
    """Return how well an entry matches, by its worst word and by all; None if a word of the query is nowhere in it."""
    query = re.sub(r"(?i)\barxiv[: ]*(?=\d)", "", query)
    if squeeze_text(query) in map(squeeze_text, (entry.name, *entry.about.names)) or is_foreign_name(
        query, entry
    ):
        return NAME, NAME
    if len(split_words(query)) > 1 and squeeze_text(entry.about.title).startswith(squeeze_text(query)):
        return TITLE, TITLE
    words = split_words(query)
    ranks = [rank_word(entry, word) for word in words]
    known = [rank for rank in ranks if rank is not None]
    return (max(known), sum(known)) if known and len(known) == len(ranks) else None


def is_foreign_name(query: str, entry: LibraryEntry) -> bool:
    """Return whether this is the name of an op or a block in another library: `nn.Upsample`, `Conv2DTranspose`."""
    name = normalize_name(query.rpartition(".")[2])
    foreign = REPLACEMENTS.get(name)
    return entry.name == foreign.op if foreign is not None else name == normalize_name(entry.name)


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
    if any(word in split_words(argument) for argument in entry.arguments):
        return ARGUMENT
    if len(word) >= SHORTEST_PART and any(part.startswith(word) for part in (*names, *facts)):
        return PART_OF_WORD
    return None


def format_about(about: About) -> Iterator[str]:
    """Yield the authors and the year, the title, and the address of the paper."""
    yield from filter(None, [" ".join(filter(None, [about.authors, str(about.year or "")])), about.title])
    if about.arxiv:
        yield f"arXiv {about.arxiv}"
    if about.doi:
        yield f"doi {about.doi}"


def known_names() -> Iterator[str]:
    """Yield every name of an op or a block: its own, and those in other libraries."""
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
