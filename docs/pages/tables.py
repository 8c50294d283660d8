"""Tables of the guides that are read off the code: the keys that may stand somewhere, and the limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from docs.pages import markdown
from specbuild.elaborate import instances, nodes, steps
from specbuild.expressions import parser as reading
from specbuild.frontend.decoding import BYTE_LIMIT
from specbuild.frontend.edits import EDITS, MOST_EDITS
from specbuild.frontend.names import IDENTIFIER
from specbuild.frontend.resolver import MAX_BYTES, MAX_FILES, MAX_IMPORT_DEPTH
from specbuild.frontend.schema.edit_schema import verbs
from specbuild.frontend.schema.file_schema import file_keys
from specbuild.frontend.schema.op_schema import Schema
from specbuild.frontend.schema.step_schema import step_keys, structures
from specbuild.frontend.yaml_composer import MOST_ALIASES, MOST_CHARACTERS, MOST_NESTING, MOST_VALUES
from specbuild.frontend.yaml_scalars import MOST_DIGITS
from specbuild.ops.convolution import MAX_PARAMETERS
from specbuild.ops.types import MAX_AXIS, MAX_ELEMENTS


def keys(found: Mapping[str, Schema]) -> str:
    """Keys with what an editor says of them."""
    rows = [(markdown.code(key), markdown.line(schema["description"])) for key, schema in found.items()]
    return markdown.table(("Key", "What stands there"), rows)


def edits() -> str:
    rows = [
        (
            markdown.code(verb),
            markdown.line(schema["description"]),
            ", ".join(map(markdown.code, EDITS[verb])),
        )
        for verb, schema in verbs().items()
    ]
    return markdown.table(("Edit", "What stands there", "Beside it"), rows)


def limits() -> str:
    rows = [
        ("a file", f"{mebibytes(BYTE_LIMIT)} of UTF-8, a regular file"),
        (
            "what is in it",
            f"{MOST_VALUES:,} values, nested {MOST_NESTING} deep, {MOST_ALIASES} aliases; "
            f"{MOST_CHARACTERS:,} characters in a text",
        ),
        ("a name", f"a letter, then letters, digits and `_`; {longest_name()} characters"),
        ("a number", f"finite, {MOST_DIGITS} digits"),
        (
            "an expression",
            f"{reading.MAX_CHARACTERS:,} characters, {reading.MAX_NODES} nodes, {reading.MAX_DEPTH} deep, "
            f"whole numbers up to {power(reading.MAX_INTEGER)}",
        ),
        ("imports", f"{MAX_FILES} files, {MAX_IMPORT_DEPTH} deep, {mebibytes(MAX_BYTES)} together"),
        ("edits", f"{MOST_EDITS} in a file"),
        ("a repeat", f"{steps.MAX_REPEAT:,} times"),
        (
            "a model",
            f"{nodes.MAX_STEPS:,} steps once everything is written out, blocks {instances.MAX_DEPTH} deep",
        ),
        ("an axis, a tensor", f"{power(MAX_AXIS)} and {power(MAX_ELEMENTS + 1)} - 1 entries"),
        ("parameters", power(MAX_PARAMETERS, 10)),
    ]
    return markdown.table(("What", "Limit"), rows)


def longest_name() -> int:
    return next(n for n in count(1) if not IDENTIFIER.fullmatch("a" * (n + 1)))


def mebibytes(n: int) -> str:
    assert n % 2**20 == 0
    return f"{n >> 20} MiB"


def power(n: int, base: int = 2) -> str:
    """A power as one."""
    exponent = next(e for e in range(64) if base**e >= n)
    assert base**exponent == n
    return f"{base}^{exponent}"


TABLES: Mapping[str, Callable[[], str]] = {
    "file_keys": lambda: keys(file_keys()),
    "step_keys": lambda: keys(step_keys()),
    "structures": lambda: keys(structures()),
    "edits": edits,
    "limits": limits,
}
