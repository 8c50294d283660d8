"""Random specs: the seed with things changed, and steps with any attributes; none gives a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.frontend import document as spec
from specbuild.frontend.schema import build_spec_schema, validate_source
from specbuild.frontend.schema.validate import parse_own_blocks
from specbuild.frontend.source import Source
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes

SEED = {
    "specbuild": 1,
    "model": "Net",
    "doc": "A net.",
    "license": "MIT",
    "imports": {},
    "params": {
        "width": 8,
        "depths": [1, 2],
        "rate": {"type": "float", "default": 0.5, "min": 0, "max": 1, "doc": "a rate"},
        "mode": {"enum": ["a", "b"], "default": "a"},
        "deep": {"type": "bool", "default": True},
        "gate": {"type": "block", "default": {"Gate": {"reduction": 2}}},
    },
    "variants": {"small": {"width": 4}},
    "inputs": {"image": {"C": 3, "H": 8, "W": 8}, "tokens": {"axes": {"C": 3, "T": 4}, "dtype": "float"}},
    "blocks": {
        "Gate": {
            "doc": "Scales.",
            "params": {"reduction": {"type": "int", "default": 4, "min": 1}},
            "inputs": {"x": ["C", "..."]},
            "steps": [
                {"mean": {"over": ["H", "W"]}},
                {"linear": {"features": "x.C // reduction"}, "as": "squeeze"},
                "relu",
                {"linear": {"features": "x.C"}},
                "sigmoid",
                {"multiply": ["x", "prev"], "as": "scaled"},
            ],
            "outputs": "scaled",
        },
        "Two": {"inputs": ["a", "b"], "steps": [{"add": ["a", "b"]}], "outputs": ["add"]},
    },
    "steps": [
        {
            "conv": {"channels": "width", "kernel": [3, 3], "padding": {"H": 1, "W": [0, 1]}, "bias": False},
            "from": "image",
            "as": "stem",
            "expect": {"C": "width", "H": 8, "W": 7},
            "doc": "the stem",
        },
        {"relu": None, "when": "deep"},
        {
            "do": [{"conv": {"channels": 8, "init": "normal(0.02)"}}, "relu"],
            "repeat": "depths[1]",
            "as": "stage",
        },
        {
            "parallel": {"left": ["relu"], "right": [{"Gate": {"reduction": 2}}]},
            "merge": {"add": None},
            "as": "both",
        },
        {"use": "gate", "with": {"reduction": 1}, "as": "gated"},
        {"Two": None, "from": {"a": "both", "b": "gated"}},
        {"softmax": {"over": "C"}},
        {"concat": {"of": ["prev", "both"], "over": "C"}},
        {"conv": {"channels": 8}, "as": "head"},
        {"reuse": "head", "from": "concat"},
        {"mean": {"over": ["H", "W"], "keep": True}},
        {"flatten": {"axes": ["C", "H", "W"]}, "as": "flat"},
    ],
    "outputs": {"scores": "flat", "map": "both"},
}

HOSTILE = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 64.0, 1e-5, 10**17]),
    st.sampled_from("x prev C x.C conv relu Gate CBAM none do width ${width} int class é 0 ...".split()),
    st.sampled_from(["", " ", "1 / 0", "a b", "\n"]),
    st.sampled_from(
        [
            *(
                [],
                {},
                [None],
                [[]],
                [1, 2],
                ["x"],
                {"": None},
                {"C": 3},
                ["relu"],
                [{"relu": 3}],
                {"Two": None},
            ),
            *({"axes": 3}, {"axes": {"C": 1}, "dtype": "x"}, {"CBAM": 5}, {"Gate": [1]}),
            {"Gate": {"reduction": {"a": 1}}},
            {"default": {"Gate": 3}, "type": "block"},
            {"type": "list", "default": [{"a": []}]},
            {"enum": [{}], "default": {}},
        ]
    ),
    st.text(max_size=5),
    st.integers(-3, 9),
).map(deepcopy)
KEYS = st.one_of(
    st.sampled_from([*spec.FILE_KEYS, *spec.STEP_KEYS, *spec.STRUCTURES, *OPS]),
    st.sampled_from(sorted({attribute for op in OPS.values() for attribute in list_attributes(op)})),
    st.sampled_from(["Gate", "Two", "type", "default", "min", "enum", "C", "H", "T", "x", "axes", "dtype"]),
    st.sampled_from(["self", "Q", "A\n", ""]),
    st.text(max_size=3),
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield from paths(value, (*path, key))


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """The seed with a few things in it replaced, removed, renamed, added or moved."""
    data = deepcopy(SEED)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        *way, key = draw(st.sampled_from(list(paths(data))))
        owner = data
        for one in way:
            owner = owner[one]
        change = draw(st.sampled_from(["replace", "replace", "remove", "rename", "add", "copy"]))
        if change == "replace":
            owner[key] = draw(HOSTILE)
        elif change == "remove":
            del owner[key]
        elif change == "copy":
            *there, _ = draw(st.sampled_from(list(paths(SEED))))
            value: Any = SEED
            for one in there:
                value = value[one]
            owner[key] = deepcopy(value)
        elif isinstance(owner, list):
            owner.insert(key, draw(HOSTILE))
        else:
            owner[draw(KEYS)] = owner.pop(key) if change == "rename" else draw(HOSTILE)
    return data


def written(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"  # JSON is YAML


def faults(source: Source) -> tuple[SpecError, ...]:
    try:
        validate_source(source)
    except SpecErrors as found:
        return found.errors
    return ()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants())
def test_what_jsonschema_refuses_is_refused(data: Any) -> None:
    try:
        source = Source(written(data))
    except SpecError:
        return
    document = build_spec_schema(parse_own_blocks(source))
    refused = not Draft7Validator(document).is_valid(source.data)
    found = faults(source)
    if refused:
        assert found
    elif found:  # only for what draft-07 cannot say
        assert any(
            e.code in ("SB103", "SB104") or "must be a whole number" in e.message or "\\n" in e.message
            for e in found
        )


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants())
def test_no_spec_gives_a_traceback(data: Any) -> None:
    try:
        build_graph(written(data))
    except (SpecError, SpecErrors) as error:
        assert str(error)


TEXTS = st.one_of(
    st.sampled_from(
        "C H W T Q x image prev same valid causal x.C H.W width depths i 2 -1 zeros relu ${mode}".split()
    ),
    st.sampled_from(["1 / 2", "image.C // 2", "[1, 2]", "normal(0.02)", "uniform(1)", "", "a b"]),
)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the form that a schema of an attribute asks for, whatever they mean."""
    schema = schema | {key: value for one in schema.get("allOf", ()) for key, value in one.items()}
    if "anyOf" in schema:
        return st.sampled_from([word for one in schema["anyOf"] for word in one.get("enum", ["${mode}"])])
    inner = values(schema["items"]) if "type" in schema.get("items", ()) else TEXTS
    under = values(schema["additionalProperties"]) if schema.get("additionalProperties") else TEXTS
    kinds = {
        "string": st.sampled_from([*schema["enum"]]) if "enum" in schema else TEXTS,
        "integer": st.integers(schema.get("minimum", -1), 5),
        "number": st.floats(schema.get("minimum", -1), schema.get("maximum", 2), allow_nan=False),
        "boolean": st.booleans(),
        "null": st.none(),
        "array": st.lists(inner, min_size=schema.get("minItems", 0), max_size=schema.get("maxItems", 3)),
        "object": st.dictionaries(st.sampled_from(["C", "H", "W", "T"]), under, min_size=1, max_size=3),
    }
    types = schema.get("type", "string")
    return st.one_of(*(kinds[one] for one in ([types] if isinstance(types, str) else types)))


@st.composite
def drawn_steps(draw: st.DrawFn) -> Any:
    """A few steps with ops of the table, and attributes of the right form."""
    steps = []
    for op in draw(st.lists(st.sampled_from(list(OPS)), min_size=1, max_size=4)):
        value = build_spec_schema()["definitions"][f"op.{op}"]
        if "if" in value:  # two forms: with and without a kernel that is a value
            value = draw(st.sampled_from([value["then"], value["else"]]))
        required = set(value.get("required", ()))
        given = [key for key in value["properties"] if key in required or draw(st.booleans())]
        step: dict[str, Any] = {op: {key: draw(values(value["properties"][key])) for key in given}}
        if OPS[op].input_specs and OPS[op].input_specs[0].variadic and "of" not in given:
            step = {op: draw(st.lists(TEXTS, min_size=1, max_size=3))}
        if draw(st.booleans()):
            step["from"] = draw(st.sampled_from(["x", "image", ["image", "x"], {"x": "image"}]))
        steps.append(step)
    inputs = {
        "image": {"C": 4, "H": 6, "W": 6},
        "x": {"axes": {"C": 4, "T": 5}, "dtype": draw(st.sampled_from(["float", "int32", "bool"]))},
    }
    return {
        "model": "Net",
        "params": {"width": 4, "depths": [1, 2], "mode": "C"},
        "inputs": inputs,
        "steps": steps,
    }


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn_steps())
def test_no_attributes_of_any_op_give_a_traceback(data: Any) -> None:
    try:
        model = build_graph(written(data))
        for backend in ("torch", "keras"):
            compile_source(model, backend)
    except (SpecError, SpecErrors) as error:
        assert str(error)


def test_the_seed_is_a_spec() -> None:
    build_graph(written(SEED))


@pytest.mark.parametrize("value", [None, 3, "relu", [], {}, [[]], True], ids=repr)
@pytest.mark.parametrize("key", [*spec.FILE_KEYS, *spec.BLOCK_KEYS])
def test_anything_in_the_place_of_a_section(key: str, value: Any) -> None:
    for data in ({**SEED, key: value}, {**SEED, "blocks": {"A": {"steps": ["relu"], key: value}}}):
        try:
            build_graph(written(data))
        except (SpecError, SpecErrors) as error:
            assert str(error)
