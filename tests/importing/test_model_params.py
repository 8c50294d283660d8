"""Arguments of the model's constructor become parameters: from stored traces of one or two captures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from specbuild import load
from specbuild.importing.importer import ImportedModel, import_trace
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.trace import Trace, trace_from_json

TRACES = Path(__file__).parent / "traces"
AXES = {"image": ("C", "H", "W")}


def read_trace(name: str, **arguments: Any) -> Trace:
    """Read a trace of StageNet; `arguments` are added to those of its constructor, or stand in their place."""
    trace = trace_from_json((TRACES / f"{name}.json").read_text(encoding="utf-8"))
    constructor = {**trace.root.constructor, **arguments}
    return replace(trace, root=replace(trace.root, constructor=constructor))


def import_pair(first: Trace, second: Trace | None = None) -> ImportedModel:
    return import_trace(READER, "Net", first, {}, AXES, second=(second, {}) if second is not None else None)


def read_lines(imported: ImportedModel) -> list[str]:
    """Return the lines of the steps that have numbers which an argument may decide."""
    steps = imported.text.partition("\nsteps:\n")[2].splitlines()
    return [
        line.strip(" -") for line in steps if any(w in line for w in ("linear", "conv", "Resi", "repeat"))
    ]


def test_one_capture_gives_what_is_hardly_a_coincidence_and_the_report_says_so() -> None:
    imported = import_pair(read_trace("stages"))
    assert read_lines(imported) == [
        "conv: {channels: width, kernel: 3, stride: 2}",
        "Residual: {planes: width}",
        "repeat: depths[0]",
        "Residual: {planes: 2 * width, stride: 2 if i == 0 else 1}",
        "repeat: depths[1]",
        "linear: {features: width}",  # wrong, but the report lists it
        "linear: {features: num_classes}",
    ]
    assert imported.single_samples == [
        "Residual: channels `planes`",  # of `down`: there is one
        "Net: channels `width`",
        "Net: planes `width`",
        "Net: repeat `depths[0]`",
        "Net: planes `2 * width`",
        "Net: repeat `depths[1]`",
        "Net: features `width`",
    ]
    assert imported.model.parameters == 29_381


def test_a_second_capture_refutes_what_holds_by_accident() -> None:
    """The neck has 16 features in both models: it does not follow the width."""
    imported = import_pair(read_trace("stages"), read_trace("pairs/stages_other"))
    assert read_lines(imported) == [
        "conv: {channels: width, kernel: 3, stride: 2}",
        "Residual: {planes: width}",
        "repeat: depths[0]",
        "Residual: {planes: 2 * width, stride: 2 if i == 0 else 1}",
        "repeat: depths[1]",
        "linear: {features: 16}",
        "linear: {features: num_classes}",
    ]
    assert imported.refuted == ["neck: features `width`"]
    assert imported.single_samples == [] and imported.unexplained == []
    assert imported.second is not None
    assert imported.second.values == {"width": 8, "depths": [1, 4], "num_classes": 5}
    assert imported.second.model.parameters == 9_437  # that of StageNet(8, (1, 4))
    assert load(imported.text, width=8, depths=[1, 4]).source("keras")


def test_the_shorter_capture_may_come_first() -> None:
    """A stage of one unit is no repeat by itself; beside a longer one it is."""
    imported = import_pair(read_trace("pairs/stages_other"), read_trace("stages"))
    assert imported.unexplained == [] and imported.second is not None
    assert imported.second.model.parameters == 29_381
    assert read_lines(imported)[1:5] == [
        "Residual: {planes: width}",
        "repeat: depths[0]",
        "Residual: {planes: 2 * width, stride: 2 if i == 0 else 1}",
        "repeat: depths[1]",
    ]


def test_two_arguments_of_the_same_size_are_left_as_a_number() -> None:
    imported = import_pair(read_trace("stages", hidden_dim=16))
    assert "conv: {channels: 16, kernel: 3, stride: 2}" in read_lines(imported)
    assert "width" not in imported.text


def test_two_captures_tell_two_arguments_of_the_same_size_apart() -> None:
    imported = import_pair(
        read_trace("stages", hidden_dim=16), read_trace("pairs/stages_other", hidden_dim=24)
    )
    assert read_lines(imported)[0] == "conv: {channels: width, kernel: 3, stride: 2}"
    assert "hidden_dim" not in imported.text


@pytest.mark.parametrize("name", ["width_per_group", "patch_size", "img_width", "drop_path_width"])
def test_a_number_that_is_no_size_of_channels_stands_for_none(name: str) -> None:
    trace = read_trace("stages", **{name: 16, "width": 17})
    assert read_lines(import_pair(trace))[0] == "conv: {channels: 16, kernel: 3, stride: 2}"


def test_a_difference_that_follows_no_argument_is_told() -> None:
    imported = import_pair(read_trace("stages"), read_trace("pairs/stages_other", width=9))
    assert imported.second is None
    assert imported.unexplained[0] == "stem: channels is 16 or 8"
    assert read_lines(imported)[0] == "conv: {channels: 16, kernel: 3, stride: 2}"


def test_models_with_other_steps_are_told() -> None:
    imported = import_pair(read_trace("stages"), read_trace("pairs/stages_three"))
    assert imported.unexplained == ["stages has 2 or 3 steps"] and imported.second is None
    assert "repeat: depths[1]" in read_lines(imported)  # as from one capture


def test_a_vision_transformer_of_another_width_and_depth() -> None:
    imported = import_pair(read_trace("vit"), read_trace("pairs/vit_other"))
    assert imported.text.partition("\nblocks:")[0].endswith(
        "params:\n  patch_size: 16\n  embed_dim: 24\n  depth: 2\n  num_heads: 3\n  num_classes: 7\n"
    )
    assert "  - weight: {axes: {T: concat.T, C: embed_dim}}\n    as: pos_embed\n" in imported.text
    assert "  - Layer: {num_heads: num_heads}\n    repeat: depth\n    as: layers\n" in imported.text
    assert imported.unexplained == [] and imported.second is not None
    assert imported.second.model.parameters == 15_067  # that of the second model


def test_a_part_of_the_only_size_is_one_only_where_channels_are_counted() -> None:
    """`planes` of a block may be anything; `channels` of a convolution are channels."""
    trace = read_trace("stages", width=64)
    assert read_lines(import_pair(trace))[0] == "conv: {channels: 16, kernel: 3, stride: 2}"  # 64 is nowhere
    trace = read_trace("stages", width=17, dim=32)
    assert read_lines(import_pair(trace))[:2] == [
        "conv: {channels: dim // 2, kernel: 3, stride: 2}",
        "Residual: {planes: 16}",
    ]


def test_the_size_of_a_stem_stands_for_that_of_the_stem_only() -> None:
    trace = read_trace("stages", width=17, stem_width=16)
    assert read_lines(import_pair(trace))[:4] == [
        "conv: {channels: stem_width, kernel: 3, stride: 2}",
        "Residual: {planes: 16}",
        "repeat: depths[0]",
        "Residual: {planes: 32, stride: 2 if i == 0 else 1}",
    ]
