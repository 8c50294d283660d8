"""The schema of a spec: what it says, that `jsonschema` reads it alike, and what an author is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from specbuild.diagnostics.errors import SpecErrors
from specbuild.frontend import document as spec
from specbuild.frontend.editor_schema import build_editor_schema, schema_to_json
from specbuild.frontend.library import LIBRARY
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.schema import build_spec_schema, validate_source
from specbuild.frontend.schema.checker import KEYWORDS
from specbuild.frontend.schema.validate import parse_own_blocks
from specbuild.frontend.source import Source
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes
from tests.cpu_time import measure_cpu_time

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "schemas" / "specbuild.schema.json"
FILES = sorted([*(ROOT / "specs").rglob("*.yaml"), *LIBRARY.rglob("*.yaml")])

HEAD = "model: Net\ninputs: {x: {C: 3, H: 8, W: 8}}\n"


def faults(text: str) -> list[tuple[str, int, int, str, str]]:
    """What `validate` finds in a text: code, line, column, message, hint."""
    try:
        validate_source(Source(text))
    except SpecErrors as found:
        return [
            (e.code, e.location.line, e.location.column, e.message, e.hint)
            for e in found.errors
            if e.location
        ]
    return []


# -- the document --------------------------------------------------------------------------------


def test_the_committed_schema_is_the_generated_one() -> None:
    message = "run: python -m specbuild schema -o schemas/specbuild.schema.json"
    assert COMMITTED.read_text(encoding="utf-8") == schema_to_json(build_editor_schema()), message


def test_it_is_draft_07() -> None:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert document["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(document)


def nodes(schema: Any, *skipped: str) -> Iterator[dict[str, Any]]:
    """Every schema in a schema."""
    if not isinstance(schema, dict):
        return
    yield schema
    single = ("items", "not", "if", "then", "else", "propertyNames", "additionalProperties")
    inside = [schema.get(k) for k in single if k not in skipped]
    inside += [one for k in ("anyOf", "allOf", "oneOf") for one in schema.get(k, ())]
    for k in ("properties", "patternProperties", "definitions", "dependencies"):
        inside += schema.get(k, {}).values()
    for one in inside:
        yield from nodes(one, *skipped)


def test_every_keyword_is_one_that_is_checked_or_only_told() -> None:
    told = {
        "$schema",
        "title",
        "description",
        "examples",
        "default",
        "definitions",
        "patternErrorMessage",
        "doNotSuggest",
    }
    structure = {"if", "then", "else", "$ref", "items", "allOf", "properties", "patternProperties"}
    asked = {*KEYWORDS, *structure, *told}
    assert {key for node in nodes(build_editor_schema()) for key in node} <= asked


def test_editors_need_no_guess() -> None:
    """No alternatives between objects: completion and the place of a fault would be anybody's guess."""
    for node in nodes(build_editor_schema()):
        assert "oneOf" not in node
        for alternative in node.get("anyOf", ()):
            assert not alternative.keys() - {"enum", "pattern", "type"}
            assert alternative.get("type", "string") == "string"


def test_everything_is_described() -> None:
    document = build_editor_schema()
    for node in nodes(document, "if"):
        for key, one in node.get("properties", {}).items():
            if isinstance(one, dict) and "doNotSuggest" not in one:
                definition = document["definitions"][one["$ref"].split("/")[-1]] if "$ref" in one else {}
                assert one.get("description") or definition.get("description"), key


def test_it_speaks_of_the_keys_that_are_parsed() -> None:
    document = build_spec_schema()
    step = document["definitions"]["step"]
    block = document["definitions"]["block"]
    [parameter] = document["definitions"]["parameters"]["patternProperties"].values()
    assert tuple(document["properties"]) == spec.FILE_KEYS
    assert tuple(block["properties"]) == spec.BLOCK_KEYS
    assert set(step["then"]["properties"]) == set(spec.STEP_KEYS)
    assert set(step["else"]["properties"]) == {*OPS, *spec.STRUCTURES}
    assert set(step["properties"]) == {*OPS, *spec.STRUCTURES, *spec.STEP_KEYS}
    assert tuple(parameter["properties"]["type"]["enum"]) == spec.PARAM_TYPES


@pytest.mark.parametrize("op", OPS)
def test_an_op_has_its_own_attributes_and_inputs(op: str) -> None:
    value = build_spec_schema()["definitions"][f"op.{op}"]
    if form := OPS[op].given_form:
        definitions = build_spec_schema()["definitions"]
        assert value["then"] == {**definitions[f"op.{form}"], "title": op}, (
            "messages name what the author wrote"
        )
        value = value["else"]
    inputs = {take.name for take in OPS[op].input_specs}
    inputs -= {"x"} if len(inputs) == 1 else set()  # the only one is given by `from`
    declared = list_attributes(OPS[op])
    assert set(value["properties"]) == {*declared, *inputs}
    assert set(value.get("required", ())) == {name for name, a in declared.items() if a.is_required}
    assert value["additionalProperties"] is False
    assert not set(declared) & (inputs | set(spec.STEP_KEYS))


# -- agreement with jsonschema -------------------------------------------------------------------


@pytest.fixture(scope="module")
def committed() -> Draft7Validator:
    return Draft7Validator(json.loads(COMMITTED.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_spec_and_library_file_fits(path: Path, committed: Draft7Validator) -> None:
    source = Source.read(path)
    assert not [error.message for error in committed.iter_errors(source.data)]
    files = SpecFiles(LIBRARY if path.is_relative_to(LIBRARY) else ROOT)
    own = build_editor_schema(files.read_spec(path), files)
    assert not [error.message for error in Draft7Validator(own).iter_errors(source.data)]


TYPOS = {
    "an attribute": ("steps:\n  - conv: {chanels: 64}\n", "SB101", 4, 12, "channels"),
    "an attribute in a block of lines": (
        "steps:\n  - conv:\n      channels: 3\n      kernl: 3\n",
        "SB101",
        6,
        7,
        "kernel",
    ),
    "an op": ("steps:\n  - covn: {channels: 64}\n", "SB201", 4, 5, "conv"),
    "a bare op": ("steps:\n  - rleu\n", "SB201", 4, 5, "relu"),
    "a key of the step": ("steps:\n  - relu: {}\n    frm: x\n", "SB101", 5, 5, "from"),
    "a key of the file": ("step:\n  - relu\n", "SB101", 3, 1, "steps"),
    "a key of a block": ("steps: [relu]\nblocks:\n  A:\n    step: [relu]\n", "SB101", 6, 5, "steps"),
    "a key of a parameter": ("steps: [relu]\nparams:\n  a: {defualt: 3}\n", "SB101", 5, 7, "default"),
    "the type of a parameter": ("steps: [relu]\nparams:\n  a: {type: itn}\n", "SB304", 5, 13, "int"),
    "a word": ("steps:\n  - conv: {channels: 3, padding_mode: zeroes}\n", "SB304", 4, 39, "zeros"),
    "a parameter of an own block": (
        "steps: [A: {widht: 3}]\nblocks:\n  A:\n    params: {width: int}\n    steps: [relu]\n",
        "SB101",
        3,
        13,
        "width",
    ),
    "the op of a merge": (
        "steps:\n  - parallel: {a: [relu], b: [relu]}\n    merge: {ad: {}}\n",
        "SB201",
        5,
        13,
        "add",
    ),
}


@pytest.mark.parametrize(("text", "code", "line", "column", "meant"), TYPOS.values(), ids=TYPOS.keys())
def test_a_typo_is_refused_at_its_key(text: str, code: str, line: int, column: int, meant: str) -> None:
    found = faults(HEAD + text)
    assert [(*fault[:3], fault[4]) for fault in found] == [(code, line, column, f"did you mean {meant!r}?")]
    source = Source(HEAD + text)
    assert not Draft7Validator(build_spec_schema(parse_own_blocks(source))).is_valid(source.data)


TOLD = {
    "conv: {kernel: 3}": (
        "conv needs 'channels': number of output channels",
        "write `conv: {channels: ...}`",
    ),
    "conv": ("conv needs 'channels': number of output channels", "write `conv: {channels: 64}`"),
    "conv: 64": ("'conv' must be a mapping, not 64", "write `conv: {channels: 64}`"),
    "conv: {channels: [3]}": (
        "'channels' must be a whole number of at least 1 or an expression, not a list",
        "'channels': number of output channels",
    ),
    "conv: {channels: 64.0}": (
        "'channels' must be a whole number of at least 1 or an expression, not 64.0",
        "write 64",
    ),
    "conv: {channels: 0}": ("'channels' must be at least 1, not 0", "'channels': number of output channels"),
    "conv: {channels: 3, bias: 1}": (
        "'bias' must be true, false or an expression, not 1",
        "'bias': whether to add a learned bias to each channel",
    ),
    "conv: {channels: 3, as: stem}": (
        "'as' is a key of the step, not of 'conv'",
        "move it out of the braces to its own line, aligned with 'conv'",
    ),
    "conv:\n      channels: 3\n      as: stem": (
        "'as' is a key of the step, not of 'conv'",
        "align it with 'conv'",
    ),
    "conv:\n    channels: 3": (
        "'channels' is an attribute of 'conv', not a key of the step",
        "indent it below 'conv', or move it into the braces",
    ),
    "relu: {}\n    gelu: {}": (
        "a step has exactly one op or block; this one has 'relu' and 'gelu'",
        "start a new step with `- ` for each",
    ),
    "as: x": ("this step has no op and no block", "add one, such as `- relu` or `- conv: {channels: 64}`"),
    "relu: {}\n    merge: add": (
        "'merge' needs 'parallel', which this step does not have",
        "remove it, or add `parallel`",
    ),
    "3": ("a step must be the name of an op or block, or a mapping, not 3", None),
    "": ("a step has no value", "add a value, or remove it"),
    "add: [a, 3]": (
        "an item of 'add' must be text, not 3",
        "with a number, write `{scale: {plus: 3}, from: a}`",
    ),
    "softmax: {over: [C, C]}": ("'C' appears twice", "remove one of them"),
    "relu: {}\n    as: a b": ("'a b' is not a name", None),
    "relu: {}\n    expect: {axes: {C: 3}, H: 3}": (
        "'H' cannot be combined with 'axes'",
        "write axes and their sizes under `axes`",
    ),
}


@pytest.mark.parametrize(("step", "told"), TOLD.items(), ids=TOLD)
def test_an_author_is_told_in_plain_words(step: str, told: tuple[str, str | None]) -> None:
    [(_, line, _, message, hint), *_] = faults(f"{HEAD}steps:\n  - relu\n  - {step}\n")
    assert (message, hint) == (told[0], hint if told[1] is None else told[1])
    assert 5 <= line <= 7


def test_all_faults_are_told_at_once_in_order() -> None:
    found = faults(
        HEAD + "steps:\n  - conv: {kernl: 3}\n  - rleu\n  - conv: {channels: 0}\n    frm: x\noutputs: []\n"
    )
    assert [(code, line) for code, line, *_ in found] == [
        ("SB101", 4),  # what is unknown before what is missing
        ("SB103", 4),
        ("SB201", 5),
        ("SB101", 7),
        ("SB304", 6),
        ("SB103", 8),
    ]


def test_a_mistyped_key_is_not_missing_as_well() -> None:
    assert [code for code, *_ in faults(HEAD + "steps:\n  - conv: {chanels: 3}\n")] == ["SB101"]


def test_blocks_that_nobody_has_are_refused_with_the_names_of_the_library() -> None:
    text = (
        HEAD
        + "imports: {Mine: ./mine.yaml}\nsteps: [CBMA, CBAM, Mine, Own]\nblocks: {Own: {steps: [relu]}}\n"
    )
    validate_source(Source(text))
    with pytest.raises(SpecErrors) as found:
        validate_source(Source(text), ["CBAM"])
    assert [(e.code, e.message, e.hint) for e in found.value.errors] == [
        ("SB201", "there is no block 'CBMA'", "did you mean 'CBAM'?")
    ]


STRICTER = {  # what is refused here although draft-07 cannot, or does not, refuse it
    "two ops in one step": "steps:\n  - relu: {}\n    gelu: {}\n",
    "no op in a step": "steps:\n  - as: x\n",
    "a whole number with a point": "steps:\n  - conv: {channels: 64.0}\n",
    "a line feed at the end of a name": 'steps:\n  - "A\\n": {}\n',
}


@pytest.mark.parametrize("text", STRICTER.values(), ids=STRICTER.keys())
def test_where_draft_07_is_laxer(text: str) -> None:
    source = Source(HEAD + text)
    assert Draft7Validator(build_spec_schema()).is_valid(source.data)
    assert faults(HEAD + text)


# -- time ----------------------------------------------------------------------------------------


def test_a_long_file_is_checked_at_once() -> None:
    steps = "".join(f"  - conv: {{channels: 3, kernel: 3}}\n    as: c{i}\n" for i in range(10_000))
    source = Source(HEAD + "steps:\n" + steps)
    with measure_cpu_time() as taken:
        validate_source(source)
    assert taken.seconds < 1


def test_a_file_of_faults_is_refused_at_once() -> None:
    text = HEAD + "steps: [" + ", ".join(f"a{i}" for i in range(99_000)) + "]\n"
    with measure_cpu_time() as taken, pytest.raises(SpecErrors) as found:
        validate_source(Source(text))
    assert taken.seconds < 2
    assert len(found.value.errors) == 50
    assert found.value.omitted_count == 950


def test_nothing_heavy_is_imported() -> None:
    script = "import sys, specbuild.frontend.schema; print(*({'jsonschema', 'torch', 'keras', 'numpy'} & set(sys.modules)))"
    assert (
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        ).stdout.strip()
        == ""
    )
