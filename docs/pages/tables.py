"""Tables of the guides that are read off the code: the keys that may stand somewhere, and the limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from docs.pages import markdown
from specbuild.codegen import trials
from specbuild.compiler import free_sizes
from specbuild.compiler.pipeline import MAX_PARAMETERS
from specbuild.diagram import panel_selection
from specbuild.elaborate import instances, members, nodes, work_budget
from specbuild.expressions import parser as reading
from specbuild.expressions import part_meter
from specbuild.frontend import tensor_file
from specbuild.frontend.decoding import BYTE_LIMIT
from specbuild.frontend.edits import EDIT_VERBS, MAX_EDITS
from specbuild.frontend.names import IDENTIFIER
from specbuild.frontend.resolver import MAX_BYTES, MAX_FILES, MAX_IMPORT_DEPTH
from specbuild.frontend.schema.edit_schema import verb_schemas
from specbuild.frontend.schema.file_schema import file_key_schemas
from specbuild.frontend.schema.op_schema import Schema
from specbuild.frontend.schema.step_schema import step_key_schemas, structure_schemas
from specbuild.frontend.yaml_composer import MAX_ALIASES, MAX_CHARACTERS, MAX_NESTING, MAX_VALUES
from specbuild.frontend.yaml_scalars import MAX_DIGITS
from specbuild.ops.given_tensor import MAX_GIVEN
from specbuild.ops.table_values import MAX_NUMBERS
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
            ", ".join(map(markdown.code, EDIT_VERBS[verb])),
        )
        for verb, schema in verb_schemas().items()
    ]
    return markdown.table(("Edit", "What stands there", "Beside it"), rows)


def limits() -> str:
    rows = [
        ("a file", f"{mebibytes(BYTE_LIMIT)} of UTF-8, a regular file"),
        (
            "what is in it",
            f"{MAX_VALUES:,} values, nested {MAX_NESTING} deep, {MAX_ALIASES} aliases; "
            f"{MAX_CHARACTERS:,} characters in a text",
        ),
        ("a name", f"a letter, then letters, digits and `_`; {longest_name()} characters"),
        ("a number", f"finite, {MAX_DIGITS} digits"),
        (
            "an expression",
            f"{reading.MAX_CHARACTERS:,} characters, {reading.MAX_NODES} nodes, {reading.MAX_DEPTH} deep, "
            f"whole numbers up to {power(reading.MAX_INTEGER)}",
        ),
        (
            "imports",
            f"{MAX_FILES} files, {MAX_IMPORT_DEPTH} deep, {mebibytes(MAX_BYTES)} and {MAX_VALUES:,} values together",
        ),
        (
            "given numbers",
            f"{MAX_NUMBERS:,} in a spec; a file of {mebibytes(tensor_file.MAX_BYTES)}, {power(MAX_GIVEN)} in a table; "
            f"{work_budget.MAX_WRITTEN_NUMBERS:,} in the code of a model",
        ),
        ("edits", f"{MAX_EDITS} in a file"),
        ("a repeat", f"{members.MAX_REPEAT:,} times"),
        (
            "a model",
            f"{nodes.MAX_STEPS:,} steps once everything is written out, {work_budget.MAX_VISITS:,} that are not in equal blocks, "
            f"{work_budget.MAX_BLOCKS:,} different blocks, "
            f"blocks {instances.MAX_DEPTH} deep",
        ),
        (
            "all expressions",
            f"{part_meter.MAX_PARTS:,} names, numbers, operators and calls, counted whenever they are evaluated, "
            f"new ones and those of tables {part_meter.PARTS_OF_NEW} times",
        ),
        (
            "work that lists, joins and edits multiply",
            f"{work_budget.MAX_ITEMS_READ:,} items of lists read by expressions, {work_budget.MAX_LETS:,} values under `let`, "
            f"{work_budget.MAX_INPUT_COUNT:,} inputs of ops that join any number, "
            f"{work_budget.MAX_COMPARISONS:,} names compared with the selectors of edits",
        ),
        (
            "sizes that can be any",
            f"each is tried at {free_sizes.TRIALS} other sizes: {work_budget.MAX_TRIED_VISITS:,} steps at all of them "
            "together",
        ),
        (
            "arguments of constructors",
            f"{trials.MAX_EFFORT:,} steps are built with other values, twice those of the model counted among them; "
            "an argument that is not tried is left out, and `compile` says so",
        ),
        ("a picture", f"{panel_selection.MAX_BOXES:,} boxes; then it has no more blocks"),
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
    "file_keys": lambda: keys(file_key_schemas()),
    "step_keys": lambda: keys(step_key_schemas()),
    "structures": lambda: keys(structure_schemas()),
    "edits": edits,
    "limits": limits,
}
