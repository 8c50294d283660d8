"""Steps of a `do` are numbered by their place, and one can be called by another number, as in a model that is known so."""

from __future__ import annotations

import pytest

import specbuild
from specbuild import SpecError, SpecErrors

HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nsteps:\n"
LAYERS = HEAD + (
    "  - do:\n"
    "      - linear: {features: 4}\n"
    "        as: %s\n"
    "      - linear: {features: 5}\n"
    "      - linear: {features: 6}\n"
    "        as: last\n"
    "      - linear: {features: 7}\n"
    "    as: body\n"
    "  - linear: {features: 2}\n"
    "    from: body.%s\n"
    "    as: head\n"
)


@pytest.mark.parametrize("written", ["3", '"3"'])
def test_numbers_count_on_from_the_number_of_a_step(written: str) -> None:
    graph = specbuild.load(LAYERS % (written, "6")).graph
    assert [node.name for node in graph.nodes] == ["body.3", "body.4", "body.last", "body.6", "head"]


def test_a_state_dict_has_the_numbers() -> None:
    model = specbuild.load(LAYERS % ("3", "6")).build("torch")
    assert [n for n in model.state_dict() if n.endswith("weight")] == [
        "body.3.weight",
        "body.4.weight",
        "body.last.weight",
        "body.6.weight",
        "head.weight",
    ]
    import torch

    assert model(torch.zeros(2, 4)).shape == (2, 2)


def test_edits_find_a_step_by_its_number() -> None:
    edited = specbuild.load(
        LAYERS % ("3", "6") + "edits: [{replace: body.4, with: {linear: {features: 9}}}]\n"
    )
    assert edited.graph.find_node("body.4").type["C"] == 9  # type: ignore[union-attr]


def test_a_number_twice_is_refused() -> None:
    with pytest.raises(SpecError, match="the name '4' is already used above"):
        specbuild.load(
            HEAD + "  - do: [{linear: {features: 4}, as: 3}, relu, {linear: {features: 2}, as: 4}]\n"
        )


def test_only_steps_in_a_group_have_numbers() -> None:
    with pytest.raises(SpecError) as caught:
        specbuild.load(HEAD + "  - {relu: {}, as: 3}\n")
    assert caught.value.code == "SB203"
    assert "only the steps of a `do` or of a branch have numbers" in caught.value.message
    assert caught.value.hint == "use another name, such as step3"


@pytest.mark.parametrize(
    ("written", "code"),
    [('"03"', "SB203"), ('"3a"', "SB203"), ("1.5", "SB102"), ("-1", "SB304"), ("10000", "SB304")],
)
def test_what_is_no_number_is_refused(written: str, code: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        specbuild.load(LAYERS % (written, "6"))
    assert [error.code for error in caught.value.errors] == [code]
