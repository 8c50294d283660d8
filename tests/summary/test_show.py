"""`specbuild show`: the table, its forms, totals by family, budgets, taps."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

import specbuild
from specbuild.api import Model
from specbuild.compiler.pipeline import build_graph
from specbuild.elaborate.references import expose_value
from specbuild.ir.cost import Cost, family_costs
from specbuild.summary.budget import parse_amount
from specbuild.summary.rows import sort_rows, summary_rows, total_cost, walk_rows
from specbuild.summary.table import format_bar, format_memory, format_percent, format_quantity
from specbuild.summary.taps import list_taps
from tests.cli.test_cli import Run, run, terminal

__all__ = ["run"]

ROOT = Path(__file__).parents[2]
BACKBONES = ROOT / "specbuild" / "library" / "backbones"
GOLDEN = Path(__file__).with_name("golden")


def spec(steps: str, inputs: str = "{x: {C: 4, H: 8, W: 8}}", more: str = "") -> str:
    return f"specbuild: 1\nmodel: Net\ninputs: {inputs}\n{more}steps:\n{steps}"


@cache
def loaded(path: Path) -> Model:
    return specbuild.load(path)


# ---------------------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("table.txt", []),
        ("sorted.txt", ["--sort", "parameters", "--depth", "3"]),
        ("table.md", ["--format", "markdown"]),
        ("table.csv", ["--format", "csv"]),
        ("table.json", ["--json"]),
        ("taps.txt", ["--taps", "--depth", "2"]),
        ("taps.md", ["--taps", "--depth", "1", "--format", "markdown"]),
        ("taps.csv", ["--taps", "--format", "csv"]),
    ],
)
def test_as_people_read_it(run: Run, file: str, arguments: list[str]) -> None:
    """After a change that is meant: `SPECBUILD_UPDATE=1 python -m pytest tests/summary/test_show.py`, then read the difference."""
    done = run("show", str(ROOT / "specs" / "visual_question_answering.yaml"), *arguments)
    assert (done.code, done.err) == (0, "")
    if os.environ.get("SPECBUILD_UPDATE"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / file).write_text(done.out, encoding="utf-8")
    assert done.out == (GOLDEN / file).read_text(encoding="utf-8")


def test_sorting(run: Run) -> None:
    model = loaded(BACKBONES / "resnet.yaml").graph
    whole = summary_rows(model)
    for key in ("parameters", "multiply-adds", "memory"):
        found = sort_rows(whole, key)
        assert total_cost(found) == total_cost(whole)
        assert found[0].kind == "input"
    assert [row.name for row in sort_rows(whole, "parameters")][1:4] == ["layer4", "layer3", "fc"]
    assert [row.name for row in sort_rows(whole, "memory")][1:3] == ["layer1", "layer2"]
    names = [row.name for row in sort_rows(whole, "name")][1:]
    assert names == sorted(names)
    assert [p.path for p in walk_rows(sort_rows(whole, "name"), 2)].count("layer1.0") == 1


def test_shares_are_of_what_is_sorted_by(run: Run) -> None:
    for sort, heading in [
        ("parameters", "of parameters"),
        ("memory", "of memory"),
        ("name", "of multiply-adds"),
    ]:
        assert run("show", "net.yaml", "--sort", sort).out.splitlines()[0].endswith(heading)
    Path("relu.yaml").write_text(spec("  - relu\n"))
    assert run("show", "relu.yaml").out.splitlines()[0].endswith("of memory")


def test_bars() -> None:
    assert format_bar(0) == ""
    assert format_bar(1) == "100% ████████"
    assert format_bar(0.5) == " 50% ████"
    assert format_bar(1 / 64) == "  2% ▏"
    assert format_bar(1e-9) == " <1% ▏"
    assert format_percent(0.9999) == "99%"
    assert [format_memory(n) for n in (0, 1, 1023, 1024, 3 * 2**20, 1023 * 2**20, 2**41)] == (
        ["", "1 B", "1023 B", "1 KiB", "3 MiB", "1023 MiB", "2 TiB"]
    )
    assert (format_quantity(999_960_000), format_quantity(5 * 10**15)) == ("1000 M", "5000 T")


def test_markdown_is_a_table(run: Run) -> None:
    lines = run("show", "net.yaml", "--format", "markdown").out.splitlines()
    cells = [line.count("|") for line in lines if line.startswith("|")]
    assert set(cells[: lines.index("")]) == {8}
    assert "| `gates.0-2.squeeze` | linear | `{C: 2}` | 18 | 16 | 8 B | <1% |" in lines


def test_separated_values_add_up(run: Run) -> None:
    found = list(csv.DictReader(io.StringIO(run("show", "net.yaml", "--format", "csv").out)))
    whole = specbuild.load("net.yaml").cost
    top = [row for row in found if row["level"] == "0"]
    assert sum(int(row["parameters"]) for row in top) == whole.parameters
    assert sum(int(row["memory_bytes"]) for row in top) == whole.memory == 4 * whole.activations
    assert {row["level"] for row in found} == {"0", "1"}, "every level"


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "specs").glob("*.yaml")), *sorted(BACKBONES.glob("*.yaml"))],
    ids=lambda p: p.stem,
)
def test_families_add_up(path: Path) -> None:
    model = loaded(path).graph
    found = family_costs(model)
    assert sum((share.cost for share in found.values()), Cost()) == total_cost(summary_rows(model))


def test_families_of_what_is_used_again() -> None:
    block = "blocks:\n  B:\n    steps:\n      - conv: {channels: x.C}\n      - relu\n"
    found = family_costs(build_graph(spec("  - B:\n    as: a\n  - reuse: a\n  - reuse: a\n", more=block)))
    conv = 4 * 4 * 9
    assert found["convolution"].steps == found["activation"].steps == 3
    assert found["convolution"].cost == Cost(conv + 4, 0, 3 * conv * 64, 3 * 4 * 64)
    assert found["activation"].cost == Cost(activations=3 * 4 * 64)


def test_what_has_no_batch_takes_no_memory_of_a_sample() -> None:
    found = build_graph(spec("  - weight: {axes: {C: 4, H: 8, W: 8}}\n    as: w\n  - add: [x, w]\n"))
    assert total_cost(summary_rows(found)) == Cost(parameters=256, activations=256)


def test_a_terminal_gets_what_fits(tmp_path: Path) -> None:
    path = str(ROOT / "specs" / "cbam_resnet50.yaml")
    wide = terminal("show", path, COLUMNS="140")
    assert "memory" in wide and "of multiply-adds" in wide and "\x1b" in wide and "deeper: --depth 3" in wide
    narrow = terminal("show", path, COLUMNS="80")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", narrow).splitlines()
    assert lines[0].split() == ["step", "op", "or", "block", "output", "parameters", "multiply-adds"]
    assert max(map(len, lines[:20])) <= 80 and "…" not in narrow
    narrow = terminal("show", path, COLUMNS="60")
    numbers = {row.split()[-2] for row in lines[2:20] if "," in row}
    assert numbers and all(number in narrow for number in numbers) and "…" not in narrow


# ----------------------------------------------------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("25M", 25_000_000),
        ("4.1G", 4_100_000_000),
        ("4.1g", 4_100_000_000),
        ("7B", 7_000_000_000),
        ("1.5 T", 1_500_000_000_000),
        ("440", 440),
        ("25_557_032", 25_557_032),
        ("25,557,032", 25_557_032),
        ("1e9", 10**9),
        ("0", 0),
    ],
)
def test_amounts(said: str, meant: int) -> None:
    assert parse_amount(said) == meant


@pytest.mark.parametrize("said", ["", "M", "-1", "25X", "25MB", "1e999", "nan", "0x10", "1..2", "٣"])
def test_what_is_no_amount(run: Run, said: str) -> None:
    with pytest.raises(ValueError):
        parse_amount(said)
    done = run("show", "net.yaml", f"--max-params={said}")
    assert (done.code, done.out) == (2, "")
    assert "is not a number such as" in " ".join(done.err.replace("│", " ").split())


def test_a_budget(run: Run) -> None:
    kept = run("show", "net.yaml", "--max-params", "440", "--max-macs", "0.1M")
    assert (kept.code, kept.err) == (0, "")
    done = run("show", "net.yaml", "--max-params", "0.4k", "--max-macs", "55_471")
    assert done.code == 1
    assert done.out == kept.out
    assert done.err == (
        "GateNet has 440 parameters: 40 more than 0.4k, 10% over\n"
        "GateNet has 55,472 multiply-adds: 1 more than 55_471, 0.0018% over\n"
    )
    assert run("show", "net.yaml", "--max-params", "0").err == "GateNet has 440 parameters: 440 more than 0\n"
    found = run("show", "net.yaml", "--max-params", "400", "--json")
    assert found.code == 1
    assert json.loads(found.out)["budget"] == [
        {"measure": "parameters", "maximum": 400, "actual": 440, "is_met": False}
    ]
    assert "budget" not in json.loads(run("show", "net.yaml", "--json").out)


def test_choices_that_exclude_each_other(run: Run) -> None:
    for arguments, said in [
        (("--json", "--format", "csv"), "--json and --format csv are two formats: choose one"),
        (("--taps", "--sort", "name"), "--sort is for the table: taps are always in execution order"),
    ]:
        done = run("show", "net.yaml", *arguments)
        assert done.code == 2
        assert said in " ".join(done.err.replace("│", " ").split())


# -------------------------------------------------------------------------------------------------------------- taps


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "specs").glob("*.yaml")), *sorted(BACKBONES.glob("*.yaml"))],
    ids=lambda p: p.stem,
)
def test_every_tap_can_be_tapped(path: Path) -> None:
    """What is listed is what a reference reaches, and has the shape that is told."""
    model = loaded(path).full_graph
    found = list_taps(model)
    assert len({tap.path for tap in found}) == len(found)
    for tap in found[:: max(1, len(found) // 60)]:
        inner = tap.path.removeprefix(model.alias_label).removeprefix("." if model.alias_label else "")
        if inner:
            assert expose_value(model, inner, model.at).outputs[inner].type == tap.type, tap.path


def test_strides_of_a_backbone() -> None:
    found = {tap.path: tap for tap in list_taps(loaded(BACKBONES / "resnet.yaml").full_graph)}
    assert [found[name].stride_text for name in ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "pooled")] == [
        "2", "4", "4", "8", "16", "32", ""
    ]  # fmt: skip
    assert (found["layer3.0.conv1"].stride_text, found["layer3.0.conv2"].stride_text) == ("8", "16")
    assert found["layer4"].kind == "= layer4.2"
    assert found["layer4"].channel_count == 2048


def test_strides_where_windows_are_cut() -> None:
    """Swin: axes are split, merged and renamed on the way; Xception: nothing is padded, so sizes do not divide."""
    swin = {tap.path: tap.stride_text for tap in list_taps(loaded(BACKBONES / "swin.yaml").full_graph)}
    assert {"4", "8", "16", "32"} <= set(swin.values())
    xception = [
        tap for tap in list_taps(loaded(BACKBONES / "xception.yaml").full_graph) if tap.name_level == 0
    ]
    assert [t.stride_text for t in xception if "H" in t.type][-1] == "32"


@pytest.mark.parametrize(
    ("steps", "stride"),
    [
        ("- conv: {channels: 4, stride: {H: 2, W: 1}}", "H 2, W 1"),
        ("- conv_transpose: {channels: 4, kernel: 2, stride: 2, padding: 0}", "1/2"),
        ("- resize: {size: {H: 4, W: 2}}", "H 2, W 4"),
        ("- resize: {scale: 3}", "1/3"),
        ("- pixel_unshuffle: {factor: 2}", "2"),
        ("- pixel_shuffle: {factor: 2}", "1/2"),
        ("- adaptive_avg_pool: {size: 3}", "8/3"),
        ("- max_pool: {kernel: 3, stride: 2}\n- avg_pool: {kernel: 2}", "4"),
        ("- slice: {over: H, start: 1, step: 2}", "H 2, W 1"),
        ("- slice: {over: H, at: 1}", "1"),
        ("- pad: {padding: {H: [1, 0]}}", "1"),
        ("- unfold: {kernel: 2, into: K, stride: 2}", "2"),
        ("- unfold: {kernel: 2, into: K, stride: 2}\n- fold: {kernel: 2, axis: K, stride: 2}", "1"),
        ("- unflatten: {axis: H, into: {rows: -1, h: 2}}\n- rename: {axes: {rows: H}}", "H 2, W 1"),
        ("- rename: {axes: {H: W, W: H}}\n- max_pool: {kernel: {H: 1, W: 2}}", "H 1, W 2"),
        ("- repeat_interleave: {over: W, times: 2}", "H 1, W 1/2"),
        ("- conv: {channels: 4, stride: 4}\n- resize: {like: x}", "1"),
        ("- flatten: {axes: [H, W], into: T}", ""),
        ("- conv: {channels: 4, stride: 2}\n  as: a\n- const: {axes: {C: 4, H: 4}, value: H}\n  as: t\n- add: {of: [t, a], broadcast: true}", "2"),
    ],
)  # fmt: skip
def test_strides(steps: str, stride: str) -> None:
    text = spec("".join(f"  {line}\n" for line in steps.splitlines()))
    assert list_taps(build_graph(text))[-1].stride_text == stride


def test_strides_of_a_sequence() -> None:
    found = list_taps(build_graph(spec("  - conv: {channels: 4, stride: 2}\n", "{x: {T: 8, C: 4}}")))
    assert found[-1].stride_text == "T 2"
    assert found[-1].tap_record() == {
        "path": "conv", "kind": "conv", "shape": {"T": 4, "C": 4}, "dtype": "float", "channels": 4, "stride": {"T": 2.0},
    }  # fmt: skip


def test_taps_of_parts_and_of_what_no_output_needs() -> None:
    text = spec(
        "  - split: {into: [a, b]}\n    as: s\n  - relu:\n    from: s.a\n    as: r\n  - relu:\n    from: s.a\n",
        more="outputs: r\n",
    )
    assert [tap.path for tap in list_taps(specbuild.load(text).full_graph)] == ["s.a", "s.b", "r", "relu"]


def test_a_model_under_another_name_is_tapped_by_what_its_file_calls_it(tmp_path: Path) -> None:
    own = ROOT / "specs" / "cbam_resnet50.yaml"
    found = {tap.path: tap for tap in list_taps(loaded(own).full_graph)}
    assert {"res_net", "res_net.layer1", "res_net.layer1.0.conv1"} <= set(found)
    assert found["res_net"].kind == "= res_net.fc"
    shutil.copy(own, tmp_path)
    for tapped in ("res_net.layer1", "res_net"):
        (tmp_path / "net.yaml").write_text(
            "specbuild: 1\nmodel: Net\nimports: {Own: ./cbam_resnet50.yaml}\ninputs: {image: {C: 3, H: 224, W: 224}}\n"
            f"steps:\n  - Own:\n    as: cnn\noutputs: [cnn.{tapped}]\n"
        )
        assert specbuild.load(tmp_path / "net.yaml").graph.type == found[tapped].type


def test_a_tap_into_what_is_used_again_inside_a_block() -> None:
    """Both uses of the weights give the tapped value then: they are one module."""
    torch = pytest.importorskip("torch")
    blocks = (
        "blocks:\n  Inner:\n    steps:\n      - conv: {channels: x.C}\n        as: c\n      - relu\n"
        "  Outer:\n    steps:\n      - Inner:\n        as: a\n      - reuse: a\n        as: again\n"
    )
    text = spec("  - Outer:\n    as: o\n", more=blocks + "outputs: {tapped: o.again.c, whole: o}\n")
    model = specbuild.load(text)
    assert {"o.a.c", "o.again.c"} <= {tap.path for tap in list_taps(model.full_graph)}
    net = model.build("torch")
    tapped, whole = net(x := torch.rand(1, 4, 8, 8))
    convolve = net.o.a.c
    assert torch.equal(tapped, convolve(convolve(x).relu()))
    assert torch.equal(whole, tapped.relu())


def test_frozen_parameters_are_told(run: Run) -> None:
    spec = str(ROOT / "tests" / "specs" / "frozen.yaml")
    told = "Frozen: 4,699 parameters, of which 2,020 frozen (and 160"
    assert told in run("show", spec).out and told in run("show", spec, "--format", "markdown").out
    rows = list(csv.DictReader(run("show", spec, "--format", "csv").out.splitlines()))
    assert {row["step"]: row["frozen"] for row in rows}[
        "backbone.stage1.0-2.conv1"
    ] == "144"  # of one of the three
    document = json.loads(run("show", spec, "--json").out)
    assert document["frozen"] == 2020 == sum(row["frozen"] for row in document["steps"])
    assert "frozen" not in run("show", str(ROOT / "specs" / "gated_classifier.yaml")).out


def test_sizes_that_can_be_any_bear_a_star() -> None:
    text = spec("  - linear: {features: 3}\n", "{x: {T: any, C: 4}}")
    model = specbuild.load(text)
    assert "{T: 16*, C: 3}" in model.summary() and "* this size can be any" in model.summary()
    assert "*" not in specbuild.load(text.replace("any", "16")).summary()
    rows = summary_rows(model.graph)
    assert [row.output for row in rows] == ["{T: 16, C: 4}", "{T: 16, C: 3}"]  # plain in JSON and CSV
