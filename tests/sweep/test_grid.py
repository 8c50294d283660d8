"""Grids of variants and parameter values."""

from __future__ import annotations

import pytest

from specbuild.diagnostics.errors import SpecError
from specbuild.sweep.grid import choose_points, parse_grid


def test_values_are_yaml_and_the_last_axis_changes_first() -> None:
    grid = parse_grid(["width=16, 32,16", "depths=[1,2],[3]", "act=relu"], "small,large")
    assert grid.size == 8
    assert [grid.point_values(n) for n in (0, 1, 2, 7)] == [
        {"": "small", "width": 16, "depths": [1, 2], "act": "relu"},
        {"": "small", "width": 16, "depths": [3], "act": "relu"},
        {"": "small", "width": 32, "depths": [1, 2], "act": "relu"},
        {"": "large", "width": 32, "depths": [3], "act": "relu"},
    ]
    arguments = grid.point_arguments(7)
    assert arguments.param_values == {"width": 32, "depths": [3], "act": "relu"}
    assert arguments.variant is not None and arguments.variant.value == "large"
    assert len({str(grid.point_values(n)) for n in range(8)}) == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["width"], "`--set` takes name=values"),
        (["width="], "`--set` takes name=values"),
        (["width=1", "width=2"], "'width' is set twice"),
    ],
)
def test_what_is_no_axis(settings: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_grid(settings, None)
    assert (caught.value.code, caught.value.message) == ("SB003", message)


def test_samples_and_shards() -> None:
    assert choose_points(5) == [0, 1, 2, 3, 4] == choose_points(5, sample=9)
    sample = choose_points(10**12, sample=50, seed=3)
    assert sample == sorted(set(sample)) == choose_points(10**12, sample=50, seed=3)
    assert len(sample) == 50 and sample != choose_points(10**12, sample=50, seed=4)
    shards = [choose_points(10**12, 50, 3, (k, 4)) for k in (1, 2, 3, 4)]
    assert sorted(n for shard in shards for n in shard) == sample and {len(shard) for shard in shards} == {
        12,
        13,
    }
    assert choose_points(5, shard=(2, 2)) == [1, 3]
