"""`specbuild diff --draw`: two models in one picture, where nothing that differs is left out and nothing else stands out."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

import specbuild
from specbuild.compiler.pipeline import build_graph
from specbuild.diagram import DetailLevel
from specbuild.diagram.diff_marks import CHANGE_LABELS, CHANGE_SIGNS, OLD_SUFFIX, ChangeCount
from specbuild.diagram.page import compose_scene
from specbuild.diagram.panel_selection import plan_view
from specbuild.diagram.scene import Curve, Rect, TextLine
from specbuild.diagram.view_model import Box, Panel, View
from specbuild.diff import Diff, diff_models
from specbuild.diff.merge_models import ModelMerger
from specbuild.ir.graph import Block, Node, Skip, distinct_blocks
from tests.cli.test_cli import NET, Run, run
from tests.cpu_time import measure_cpu_time
from tests.diagram.test_draw import frame
from tests.diff.test_diff import BACKBONES, BARE, CASES, DECODER, GATED, ROOT, WRAPPED, compared, found

__all__ = ["run"]

pytest.importorskip("pygraphviz")

WAYS = [(name, back) for name in CASES for back in (False, True)]
FULL = DetailLevel(99)


@cache
def case(name: str, back: bool) -> Diff:
    here = found(name)
    return diff_models(here.after.model, here.before.model) if back else here


def seen(here: Diff, detail: DetailLevel = FULL) -> View:
    union = ModelMerger(here)
    return plan_view(union.model, union.step_cost, detail, "", union.marks)


def boxes(here: Diff, panel: int | str = 0) -> dict[str, Box]:
    return {box.title: box for box in the(here, panel).boxes}


def the(here: Diff, panel: int | str) -> Panel:
    panels = seen(here).panels
    return panels[panel] if isinstance(panel, int) else next(p for p in panels if p.title == panel)


def links(panel: Panel) -> dict[tuple[str, str], str]:
    """The mark of each connection, by what its ends are called."""
    names = {box.key: box.name or box.title for box in panel.boxes}
    return {(names[link.tail], names[link.head]): link.change for link in panel.links}


# -- nothing is left out, and nothing else stands out


@pytest.mark.parametrize(("name", "back"), WAYS)
def test_every_step_that_came_or_went_is_marked_once(name: str, back: bool) -> None:
    here = case(name, back)
    counted = sum_of(here)
    assert counted[:2] == (len(here.added), len(here.removed))
    union = ModelMerger(here)
    ops: dict[str, Counter[str]] = {"added": Counter(), "removed": Counter()}

    def visit(block: Block) -> None:
        for node in block.nodes:
            sort = union.marks.mark_of(block, node.name).change
            if sort in ops:
                ops[sort].update(inside(node))
            elif isinstance(node.op, Block):
                visit(node.op)

    visit(union.model)
    assert ops["added"] == Counter(step.op.name for step in here.added)
    assert ops["removed"] == Counter(step.op.name for step in here.removed)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("specs/multi_attention_xception.yaml", "tests/specs/imports.yaml"),
    ],
)
def test_what_is_left_of_a_block_that_lent_steps_to_others(before: str, after: str) -> None:
    """It is drawn as removed, and what went elsewhere is not counted with it."""
    here = diff_models(build_graph(ROOT / before), build_graph(ROOT / after))
    assert sum_of(here)[:2] == (len(here.added), len(here.removed))
    notes = [note for box in seen(here).all_boxes() if box.change == "removed" for note in box.notes]
    assert notes and all(note.endswith("steps moved elsewhere") for note in notes)


def sum_of(here: Diff) -> ChangeCount:
    """What the marks of the model's own steps count."""
    union = ModelMerger(here)
    return sum(
        (union.marks.mark_of(union.model, node.name).count for node in union.model.nodes), ChangeCount()
    )


def inside(node: Node) -> list[str]:
    """The ops that a step is, or holds."""
    if isinstance(node.op, Block):
        return [op for inner in node.op.nodes for op in inside(inner)]
    return [] if isinstance(node.op, Skip) else [node.op.name]


@pytest.mark.parametrize(("name", "back"), WAYS)
def test_every_mark_is_seen(name: str, back: bool) -> None:
    """What is marked in any block has a box with that mark on some panel, and a note of what is otherwise."""
    union = ModelMerger(case(name, back))
    drawn = plan_view(union.model, union.step_cost, FULL, "", union.marks)
    assert not drawn.omitted_blocks
    told = {(step, box.change) for box in drawn.all_boxes() for step in box.steps}
    stacked = {step for box in drawn.all_boxes() if box.repeat_count for step in box.steps}
    for block in distinct_blocks(union.model):
        for node in block.nodes:
            mark = union.marks.mark_of(block, node.name)
            if mark.change and node.name not in stacked:
                assert (node.name, mark.change) in told
    for box in drawn.all_boxes():
        assert (
            box.change not in ("changed", "renamed", "inside")
            or box.notes
            or box.form == "output"
            or rewired(drawn, box)
        )


def rewired(drawn: View, box: Box) -> bool:
    panel = next(p for p in drawn.panels if box in p.boxes)
    return any(link.change for link in panel.links if link.head == box.key)


@pytest.mark.parametrize(("name", "back"), WAYS)
def test_the_page_is_in_order(name: str, back: bool) -> None:
    """Boxes do not overlap, no text leaves its box, links join boxes of their panel, the legend is of what is seen."""
    drawn = seen(case(name, back), DetailLevel())
    for panel in drawn.panels:
        keys = [box.key for box in panel.boxes]
        assert all({link.tail, link.head} <= set(keys) for link in panel.links)
    page = compose_scene(drawn, "LR", lambda box: "")
    cards = [group for group in page.groups if group.role == "box"]
    for a, b in combinations(map(frame, cards), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for group in cards:
        x0, y0, x1, y1 = frame(group)
        for s in group.shapes:
            if isinstance(s, TextLine) and not s.is_centered:
                assert x0 < s.x and s.x + s.width < x1 + 0.1 and y0 < s.y < y1, s
    legend = [s.text for g in page.groups if g.role == "legend" for s in g.shapes if isinstance(s, TextLine)]
    marks = {box.change for box in drawn.all_boxes()} - {""}
    assert {word for word in CHANGE_LABELS.values() if word in legend} == {
        CHANGE_LABELS[mark] for mark in marks
    }


@pytest.mark.parametrize(
    "path", [ROOT / "specs" / "multi_attention_xception.yaml", ROOT / "specs" / "gated_classifier.yaml"]
)
def test_a_model_and_itself(path: Path) -> None:
    drawn = seen(diff_models(build_graph(path), build_graph(path)))
    assert len(drawn.panels) == 1
    assert not any(box.change or box.notes or box.old_cost for box in drawn.all_boxes())
    assert not any(link.change for panel in drawn.panels for link in panel.links)


# -- what is told


def test_an_attention_put_into_a_known_network() -> None:
    here = found("with_attention")
    main = boxes(here)
    assert {box.change for box in main.values()} == {"", "inside"}
    assert main["layer3"].notes == ("each: +attention",) and main["layer3"].repeat_count == "6"
    panel = the(here, "Bottleneck")
    assert panel.subtitle == "in layer1.*, layer2.*, layer3.*, layer4.*" and panel.use_count == 16
    assert {box.title for box in panel.boxes if box.change} == {"attention"}
    assert links(panel)["conv3", "attention"] == links(panel)["attention", "+"] == "added"
    assert ("conv3", "+") not in links(panel)  # a step put between takes no connection away
    assert the(here, "CBAM").change == "added"


def test_a_removed_step_stands_in_its_place() -> None:
    here = case("with_attention", True)
    panel = the(here, "Bottleneck")
    assert {box.title: box.change for box in panel.boxes if box.change} == {"attention": "removed"}
    assert links(panel)["conv3", "attention"] == links(panel)["attention", "+"] == "removed"
    assert the(here, "CBAM").change == "removed"


def test_members_of_a_repeat_that_came_and_went() -> None:
    path = BACKBONES / "resnet.yaml"
    before, after = build_graph(path, variant="resnet50"), build_graph(path, variant="resnet101")
    box = boxes(diff_models(before, after))["layer3"]
    assert (box.change, box.repeat_count, box.notes) == ("changed", "6 → 23", ("6–22 added",))
    box = boxes(diff_models(after, before))["layer3"]
    assert (box.change, box.repeat_count, box.notes) == ("changed", "23 → 6", ("6–22 removed",))
    assert len(seen(diff_models(before, after)).panels) == 1  # nothing inside of a block is otherwise


def test_sizes_and_attributes() -> None:
    here = found("wider")
    assert boxes(here)["stem"].notes[0] == "channels 32 → 48"
    assert ("C", "32 → 48") in boxes(here)["stem"].sizes and boxes(here)["head"].change == ""
    assert boxes(here)["head"].old_cost != (boxes(here)["head"].parameters, boxes(here)["head"].macs)
    assert the(here, "GatedBlock").use_count == 5  # one panel, though some have no shortcut
    assert boxes(here, "GatedBlock")["conv"].notes == ("channels 32 → 48, 64 → 96",)
    here = compared(GATED, GATED.replace("bias: false}", "bias: false, kernel: 5}"))
    assert boxes(here, "GatedBlock")["conv"].notes == ("kernel 3 → 5",)
    assert boxes(found("another_activation"), "GatedBlock")["gelu"].notes == ("relu → gelu",)
    inputs = boxes(found("another_input"))["picture"]
    assert inputs.notes == ("was photo",) and ("H", "64 → 96") in inputs.sizes


def test_other_wiring() -> None:
    found_links = links(the(found("rewired_skip"), 0))
    assert found_links["image", "image_half"] == found_links["image_half", "skip1"] == "added"
    assert found_links["down1", "skip1"] == "removed" and found_links["up1", "skip1"] == ""
    assert boxes(found("rewired_skip"))["skip1"].change == "changed"
    after = GATED.replace(
        "      - multiply: [x, gate]",
        "      - subtract: [gate, squeeze]\n        as: less\n      - add: {of: [x, less], broadcast: true}",
    )
    after = after.replace("features: x.C // reduction", "features: x.C")
    found_links = links(the(compared(GATED, after), "ChannelGate"))
    assert found_links["gate", "multiply"] == found_links["multiply", "out"] == "removed"
    assert found_links["gate", "less"] == found_links["less", "add"] == found_links["add", "out"] == "added"


def test_renamed_and_moved() -> None:
    here = boxes(found("renamed_steps"))
    assert (here["entry"].change, here["entry"].notes[0]) == ("renamed", "was stem")
    assert boxes(found("renamed_steps"), "ChannelGate")["widen"].notes == ("was excite",)
    assert boxes(compared(BARE, WRAPPED))["stem"].notes[0] == "wraps existing steps"
    assert boxes(compared(BARE, WRAPPED), "Stem")["first"].notes == ("moved from first",)
    assert boxes(compared(WRAPPED, BARE))["first"].notes == ("moved from stem.first",)
    assert not any(link for link in links(the(compared(WRAPPED, BARE), 0)).values())


def test_another_op_of_the_same_name() -> None:
    """Both are there, each by the name that its author gave."""
    block = "blocks:\n  Half:\n    steps:\n      - max_pool: {kernel: 2}\n      - tanh\n"
    steps = "  - conv: {channels: 4}\n    as: a\n  - STEP\n    as: mid\n  - conv: {channels: 4}\n    as: b\n"
    text = f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 4, H: 8, W: 8}}}}\n{block}steps:\n{steps}"
    here = compared(text.replace("STEP", "batch_norm:"), text.replace("STEP", "Half:"))
    panel = the(here, 0)
    assert sorted((box.title, box.change) for box in panel.boxes if box.change and box.form == "card") == [
        ("mid", "added"), ("mid", "removed"),
    ]  # fmt: skip
    assert {OLD_SUFFIX in step for box in panel.boxes if box.change == "removed" for step in box.steps} == {
        True
    }


def test_what_is_as_it_was_is_told_in_short() -> None:
    convs = [f"  - conv: {{channels: 8, kernel: 3}}\n    as: c{i}\n" for i in range(40)]
    text = "specbuild: 1\nmodel: Deep\ninputs: {x: {C: 8, H: 8, W: 8}}\nsteps:\n" + "".join(convs)
    here = compared(text, text.replace("kernel: 3}\n    as: c20\n", "kernel: 5}\n    as: c20\n"))
    titles = [box.title for box in the(here, 0).boxes]
    assert titles == ["x", "c0", "18 steps", "c19", "c20", "c21", "17 steps", "c39", "output"]
    assert sum(box.parameters for box in the(here, 0).boxes) == specbuild.load(text).parameters + 8 * 8 * 16


# -- how it looks


def test_not_by_colour_alone() -> None:
    """Every sort has its own sign or line, and the signs are told."""
    drawn = seen(
        compared(
            GATED,
            GATED.replace("as: head", "as: top")
            .replace("      - batch_norm:\n        as: norm\n", "")
            .replace("\n  - mean", "\n  - dropout\n  - mean"),
        )
    )
    page = compose_scene(drawn, "LR", lambda box: "")
    found_looks: dict[str, tuple[str, float, bool]] = {}
    by_key = {(panel.key, box.steps): box.change for panel in drawn.panels for box in panel.boxes}
    for group in page.groups:
        mark = by_key.get((group.panel, group.steps), "") if group.role == "box" else ""
        if mark:
            line = next(
                s
                for s in group.shapes
                if isinstance(s, Rect) and s.stroke == f"mark:{mark}" and s.stroke_width
            )
            signs = [s.text for s in group.shapes if isinstance(s, TextLine) and s.is_centered]
            found_looks[mark] = (
                signs[0],
                max(s.stroke_width for s in group.shapes if isinstance(s, Rect)),
                line.is_dashed,
            )
            assert CHANGE_LABELS[mark] in group.tooltip
    assert set(found_looks) >= {"added", "removed", "renamed", "inside"}
    assert len(set(found_looks.values())) == len(found_looks)
    assert found_looks["removed"][2] and all(look[0] == CHANGE_SIGNS[m] for m, look in found_looks.items())  # type: ignore[index]
    dashed = [
        s for g in page.groups if g.role == "link" for s in g.shapes if isinstance(s, Curve) and s.is_dashed
    ]
    assert dashed and all(s.stroke == "mark:removed" for s in dashed)


def test_formats() -> None:
    here = found("with_attention")
    assert here.picture("png").startswith(b"\x89PNG") and here.picture("pdf").startswith(b"%PDF")
    dot, mermaid = here.picture("dot").decode(), here.picture("mermaid").decode()
    assert "+ attention" in dot and "+ added, ~ changed inside" in dot and "penwidth=2.4" in dot
    assert "+ attention" in mermaid and ":::added" in mermaid and " ==> " in mermaid
    assert "stroke-dasharray" in case("with_attention", True).picture("mermaid").decode()
    svg = here._repr_svg_()
    assert svg is not None and ET.fromstring(svg).tag.endswith("svg")


def test_text_of_strangers() -> None:
    evil = "'</text><script>alert(1)</script><b>'"
    text = NET.replace("doc: A convolution with a gate.", f"doc: {evil}")
    here = specbuild.load(text).diff(specbuild.load(text.replace("as: head", "as: top")))
    for format in ("svg", "dot", "mermaid"):
        assert b"<script" not in here.picture(format)


def test_bytes_are_the_same_on_every_run(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DECODER)
    (tmp_path / "b.yaml").write_text(str(CASES["rewired_skip"][1]).replace("channels: 64", "channels: 48"))
    pictures = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "specbuild", "diff", "a.yaml", "b.yaml", "--draw", f"{seed}.dot"]
        assert (
            subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, check=False).returncode == 1
        )
        pictures.add((tmp_path / f"{seed}.dot").read_bytes())
    assert len(pictures) == 1


def test_time_grows_with_the_steps() -> None:
    def chain(count: int, last: str) -> str:
        convs = "".join(
            f"  - conv: {{channels: 8}}\n    as: {last if i % 3 else 'c'}{i}\n" for i in range(count)
        )
        return f"specbuild: 1\nmodel: Long\ninputs: {{x: {{C: 8, H: 4, W: 4}}}}\nsteps:\n{convs}"

    here = compared(chain(900, "a"), chain(700, "gelu"))
    with measure_cpu_time() as taken:
        seen(here, DetailLevel())
    assert taken.seconds < 6


# -- the command


def test_command(run: Run) -> None:
    Path("b.yaml").write_text(NET.replace("as: head", "as: top"))
    done = run("diff", "net.yaml", "b.yaml", "--draw", "both.svg")
    assert (done.code, done.err) == (1, "wrote both.svg\n") and "renamed  head  -> top" in done.out
    assert "net.yaml → b.yaml" in Path("both.svg").read_text()
    assert run("diff", "net.yaml", "net.yaml", "--draw", "same.mmd").code == 0
    done = run("diff", "net.yaml", "b.yaml", "--draw", "both.txt")
    assert (done.code, done.out) == (2, "") and "use one of .svg" in done.err
    assert not Path("both.txt").exists()


def test_from_python(tmp_path: Path) -> None:
    before, after = specbuild.load(NET), specbuild.load(NET, width=16)
    before.diff(after).draw(tmp_path / "both.svg", theme="dark", title="wider")
    assert "wider" in (tmp_path / "both.svg").read_text()
