"""Where things are in a picture: levels of resolution, order of boxes, and nothing under or over anything else."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from math import hypot
from pathlib import Path

import pytest

import specbuild
from specbuild.diagram import DrawingStyle
from specbuild.diagram.axis_order import merge_orders
from specbuild.diagram.box_shapes import Card
from specbuild.diagram.card_rows import FULL_FORMAT
from specbuild.diagram.label_places import Obstacle, has_overlap, label_bounds
from specbuild.diagram.lattice_lanes import assign_lanes, split_stretches
from specbuild.diagram.page import compose_scene
from specbuild.diagram.panel_placement import PageFormat
from specbuild.diagram.panel_rows import RowDivision
from specbuild.diagram.print_size import fit_width, parse_width
from specbuild.diagram.row_layout import sample_curve
from specbuild.diagram.scene import Curve, Rect, Scene, ShapeGroup, TextLine
from specbuild.diagram.view_model import Box, Link, Panel
from tests.diagram.test_draw import ZOO, frame, frames, scene, seen

pytest.importorskip("pygraphviz")

ROOT = Path(__file__).parents[2]
NETWORKS = sorted((Path(__file__).parent / "networks").glob("*.yaml"))
MODELS = [
    ROOT / f"specbuild/library/models/{name}.yaml" for name in ("gat", "mcan", "skeleton_graph_net", "yolov5")
]
LINES = ("link", "leap", "size")


@cache
def drawn(path: Path) -> Scene:
    return scene(specbuild.load(path))


def title(group: ShapeGroup) -> str:
    """The first text of a box; a symbol has its name, if any, in small letters."""
    return next((s.text for s in group.shapes if isinstance(s, TextLine)), "")


def boxes(path: Path) -> dict[str, tuple[float, float, float, float]]:
    """The frames of the boxes of the main panel, by title."""
    return {title(g): frame(g) for g in drawn(path).groups if g.role == "box"}


def middle(box: tuple[float, float, float, float]) -> float:
    return (box[1] + box[3]) / 2


def picture(name: str) -> Path:
    return next(path for path in [*NETWORKS, *ZOO] if path.stem == name)


@pytest.mark.parametrize("path", [*NETWORKS, *ZOO], ids=lambda p: p.stem)
def test_no_line_is_under_a_box(path: Path) -> None:
    """Lines end at frames; between their ends they are outside of all boxes."""
    groups = drawn(path).groups
    frames = [frame(group) for group in groups if group.role == "box"]
    for group in groups:
        for curve in group.shapes if group.role in LINES else ():
            assert isinstance(curve, Curve)
            for x, y in sample_curve(curve.points):
                inside = [f for f in frames if f[0] + 3 < x < f[2] - 3 and f[1] + 3 < y < f[3] - 3]
                assert not inside, (group.tooltip, (x, y), inside)


@pytest.mark.parametrize("path", [*NETWORKS, *ZOO], ids=lambda p: p.stem)
def test_no_label_is_under_a_line(path: Path) -> None:
    groups = drawn(path).groups
    parts = [
        Obstacle((min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])), (a, b))
        for group in groups
        if group.role in LINES
        for curve in group.shapes
        if isinstance(curve, Curve)
        for a, b in pairwise(sample_curve(curve.points))
    ]
    labels = [s for g in groups if g.role == "label" for s in g.shapes if isinstance(s, TextLine)]
    labels += [
        s
        for g in groups
        if g.role == "box" and isinstance(g.shapes[0], Rect) and g.shapes[0].w == g.shapes[0].h
        for s in g.shapes
        if isinstance(s, TextLine) and s.size == 8
    ]
    for label in labels:
        x0, y0, x1, y1 = label_bounds(label.text, label.x, label.y)
        bounds = (x0 + 1, y0 + 1, x1 - 1, y1 - 1)
        assert not [part for part in parts if has_overlap(bounds, part)], label


@pytest.mark.parametrize("path", [*NETWORKS, *ZOO, *MODELS], ids=lambda p: p.stem)
def test_arrows_touch_what_they_point_to(path: Path) -> None:
    """The tip of an arrow is at the frame of its box, at one of the cards of a stack, or at a circle."""
    groups = drawn(path).groups
    found = {(g.panel, g.key): g for g in groups if g.role == "box"}
    for group in groups:
        for curve in group.shapes if group.role in LINES and group.ends else ():
            assert isinstance(curve, Curve) and group.ends
            if curve.has_arrow:
                x, y = curve.points[-1]
                assert distance_to(found[group.panel, group.ends[1]], x, y) < 2.7, (group.ends, group.tooltip)


def distance_to(box: ShapeGroup, x: float, y: float) -> float:
    """The distance of a point from the outline of a box."""
    shape = box.shapes[0]
    assert isinstance(shape, Rect)
    if shape.w == shape.h and shape.radius >= shape.w / 2 - 1:
        return abs(hypot(x - shape.x - shape.w / 2, y - shape.y - shape.h / 2) - shape.w / 2)

    def distance(bounds: tuple[float, float, float, float]) -> float:
        x0, y0, x1, y1 = bounds
        outside = hypot(max(x0 - x, 0, x - x1), max(y0 - y, 0, y - y1))
        return outside or min(x - x0, x1 - x, y - y0, y1 - y)

    return min(map(distance, frames(box)))


@pytest.mark.parametrize("path", [*NETWORKS, *ZOO, *MODELS], ids=lambda p: p.stem)
def test_one_order_of_axes(path: Path) -> None:
    orders: dict[frozenset[str], set[tuple[str, ...]]] = {}
    for group in drawn(path).groups:
        texts = [s for s in group.shapes if isinstance(s, TextLine)] if group.role == "box" else []
        axes = tuple(s.text for s in texts if s.size == 8 and s.text in ("C", "H", "W", "T", "S", "heads"))
        if len(axes) > 1:
            orders.setdefault(frozenset(axes), set()).add(axes)
    assert all(len(found) == 1 for found in orders.values()), orders


def test_orders_of_axes_are_merged() -> None:
    assert merge_orders([("C", "H", "W"), ("T", "C"), ("H", "W", "heads")]) == ["T", "C", "H", "W", "heads"]


def test_a_unet_is_a_u() -> None:
    """Each level is a row, coarser ones are lower, and a skip connection runs straight across."""
    path = picture("unet")
    found = boxes(path)
    for level in range(1, 5):
        assert middle(found[f"enc{level}"]) == pytest.approx(middle(found[f"dec{level}"]))
        assert found[f"enc{level}"][2] < found[f"dec{level}"][0]
    depths = [middle(found[name]) for name in ("enc1", "enc2", "enc3", "enc4", "bottleneck")]
    assert depths == sorted(depths) and len(set(depths)) == 5
    skips = [g.shapes[0] for g in drawn(path).groups if g.role == "leap"]
    assert len(skips) == 4
    for skip in skips:
        assert isinstance(skip, Curve) and len({round(y, 3) for _, y in skip.points}) == 1
    assert drawn(path).width < 1500


def test_a_unet_is_a_u_on_paper() -> None:
    """On a page of 7 inches the way up does not move to the right: the picture is as wide as asked."""
    page = print_page(picture("unet"), 7 * 72, [])
    assert page.width == pytest.approx(7 * 72)
    found = {title(g): frame(g) for g in page.groups if g.role == "box"}
    middles = [(found[f"up{level}"][0] + found[f"up{level}"][2]) / 2 for level in (1, 2, 3, 4)]
    assert max(middles) - min(middles) < 1
    assert (
        middle(found["enc3"]) == pytest.approx(middle(found["dec3"])) and found["enc3"][2] < found["dec3"][0]
    )


def test_a_row_is_as_long_as_the_page() -> None:
    """The decoder makes the page of DETR wide: its ResNet then has one row."""
    found = boxes(picture("detr"))
    assert found["layer4"][1] < middle(found["maxpool"]) < found["layer4"][3]


def test_a_pooling_pyramid_takes_one_row() -> None:
    """The windows of UPerNet's pooling pyramid have sizes of their own, and none of them a row of its own."""
    found = boxes(ROOT / "specbuild/library/models/upernet.yaml")
    assert len({round(middle(found[f"psp_modules.{i}.0"])) for i in range(4)}) == 1
    heights = [middle(found[name]) for name in ("lateral2", "lateral3", "lateral4", "psp_modules.0.0")]
    assert heights == sorted(heights)


def test_tokens_are_no_levels() -> None:
    """A masked autoencoder has 196, 49 and 50 tokens, which are no resolutions: it is one row after another."""
    found = boxes(ROOT / "specbuild/library/models/masked_autoencoder.yaml")
    assert middle(found["norm"]) == pytest.approx(middle(found["decoder_embed"]), abs=20)


def test_a_pyramid_has_its_maps_one_below_the_other() -> None:
    found = boxes(picture("swin_feature_pyramid"))
    for name in ("lateral{}", "smooth{}"):
        heights = [middle(found[name.format(level)]) for level in (2, 3, 4, 5)]
        assert heights == sorted(heights)


def test_a_backbone_without_a_decoder_is_a_row() -> None:
    found = boxes(picture("densenet"))
    assert middle(found["block1"]) == pytest.approx(middle(found["transition1"]))


def test_fusions_are_in_the_order_of_the_spec() -> None:
    found = boxes(picture("rgbd_segmentation"))
    heights = [middle(found[f"fusion{i}"]) for i in (1, 2, 3, 4)]
    assert heights == sorted(heights)


STREAMS = """specbuild: 1
model: Streams
inputs: {color: {C: 3, H: 8, W: 8}, depth: {C: 3, H: 8, W: 8}}
steps:
  - {conv: {channels: 4}, from: color, as: color1, draw: {row: 1}}
  - do:
      - {conv: {channels: 4}, as: a}
      - {conv: {channels: 4}, as: b}
      - relu
    from: depth
    as: depth1
    draw: {row: 3}
  - {add: [color1, depth1], as: fusion, draw: {row: 2}}
  - {conv: {channels: 4}, as: head}
"""
NO_ROWS = re.sub(r",? *draw: {row: .}", "", STREAMS)


def test_rows_are_those_that_the_spec_numbers(tmp_path: Path) -> None:
    """Steps without a number are in the row of what they read; only the picture depends on the numbers."""
    path = tmp_path / "streams.yaml"
    path.write_text(STREAMS)
    found = {name: middle(box) for name, box in boxes(path).items()}
    assert found["color"] == found["color1"] < found["fusion"] == found["head"] == found["output"]
    assert found["head"] < found["depth"] == found["depth1.a"] == found["depth1.b"]
    without = tmp_path / "without.yaml"
    without.write_text(NO_ROWS)
    hinted, plain = specbuild.load(path), specbuild.load(without)
    code, plain_code = (model.source("torch").partition("\nimport")[2] for model in (hinted, plain))
    assert code == plain_code
    assert plain.diff(hinted).equal


def test_a_row_begins_where_the_spec_says(tmp_path: Path) -> None:
    path = tmp_path / "chain.yaml"
    steps = [f"  - {{conv: {{channels: 4}}, as: c{i}}}" for i in range(6)]
    steps[4] = steps[4].replace("}, as", "}, draw: {row: new}, as")
    path.write_text(
        "\n".join(["specbuild: 1", "model: M", "inputs: {x: {C: 4, H: 8, W: 8}}", "steps:", *steps])
    )
    found = boxes(path)
    assert middle(found["c0"]) == pytest.approx(middle(found["c3"]))
    assert middle(found["c0"]) < middle(found["c4"])
    assert found["c4"][0] < found["c1"][0]


@pytest.mark.parametrize("name", ["cbam_resnet50", "unet", "rgbd_segmentation"])
def test_blocks_are_frames_inside_of_others(name: str) -> None:
    """Each block stands in the first box that uses it, or on the page if the picture would be too wide."""
    view = seen(specbuild.load(picture(name)))
    page = compose_scene(view, "LR", lambda box: "", PageFormat(is_nested=True))
    drawn = {(g.panel, g.key): frame(g) for g in page.groups if g.role == "box"}
    on_page = {g.panel for g in page.groups if g.role == "panel"} | {view.panels[0].key}
    openers: dict[str, list[tuple[str, str]]] = {}
    for group in page.groups:
        if group.opens:
            openers.setdefault(group.opens, []).append((group.panel, group.key))
    for panel in view.panels:
        inside = [drawn[panel.key, box.key] for box in panel.boxes]
        holders = [opener for opener in openers.get(panel.key, []) if encloses(drawn[opener], inside)]
        assert len(holders) == (panel.key not in on_page), panel.title
    assert len(on_page) < len(view.panels) and page.width < 3100


def encloses(outer: tuple[float, ...], inside: list[tuple[float, float, float, float]]) -> bool:
    return all(
        outer[0] < x0 and outer[1] < y0 and x1 < outer[2] and y1 < outer[3] for x0, y0, x1, y1 in inside
    )


def test_lanes_keep_values_apart() -> None:
    """Two values along one line get two lanes; the links of one value share one."""
    around = [(1, 1), (0, 1), (0, 3), (0, 5), (1, 5)]
    shorter = [(1, 3), (0, 3), (0, 5), (0, 7), (1, 7)]
    first, second, third = map(split_stretches, (around, shorter, around))
    counts = assign_lanes([("a", first), ("b", second), ("a", third)])
    assert counts[True, 0] == 2
    assert first[1].offset == third[1].offset != second[1].offset


def test_a_connection_added_at_the_start_of_a_row_is_marked() -> None:
    """Where rows are broken, links from the row above keep their change."""
    panel = Panel(
        "p",
        "P",
        "",
        tuple(Box(f"n{i}", "card", "block", f"step {i}") for i in range(8)),
        (
            *(Link(f"n{i}", f"n{i + 1}") for i in range(7)),
            Link("n3", "n7", change="added"),
        ),
    )
    cards = {box.key: Card(box, 0.0) for box in panel.boxes}
    rows = RowDivision(panel, cards, True, 150.0).split_rows()
    assert len(rows) > 1
    assert [link.change for row in rows for link in row.skip_links] == ["added"]


@pytest.mark.parametrize(
    ("width", "points"), [("3.3in", 237.6), ("84mm", 238.11), ("240pt", 240), ("7", None)]
)
def test_widths(width: str, points: float | None) -> None:
    found = parse_width(width)
    assert found is None if points is None else found == pytest.approx(points, abs=0.1)


@pytest.mark.parametrize("name", ["resnet", "densenet", "unet", "rgbd_segmentation"])
def test_text_can_be_read_on_paper(name: str) -> None:
    """A picture is as wide as asked or says that it is wider; no text is smaller than 6 pt."""
    notes: list[str] = []
    asked = 7 * 72
    page = print_page(picture(name), asked, notes)
    sizes = [s.size for g in page.groups for s in g.shapes if isinstance(s, TextLine)]
    assert min(sizes) >= 6 - 0.01
    assert (page.width == pytest.approx(asked)) == (not any("in wide" in note for note in notes))
    assert page.width < 10 * 72


def test_a_column_holds_what_fits_on_a_page() -> None:
    """Panels that would make a printed picture higher than a page are left out; a higher one says so."""
    notes: list[str] = []
    model = specbuild.load(picture("visual_question_answering"))
    svg = model.picture("svg", None, DrawingStyle(width=3.3 * 72), notes.append).decode()
    assert "Not shown in detail: ResNet" in svg and not any("in high" in note for note in notes)
    height = re.search(r'height="([0-9.]+)pt"', svg)
    assert height and float(height[1]) <= 9 * 72
    specbuild.load(picture("unet")).picture("svg", None, DrawingStyle(width=3.3 * 72), notes.append)
    assert any("in high, more than a page" in note for note in notes)


@pytest.mark.parametrize("name", ["yolo", "unet", "unet_plus_plus", "t5"])
def test_a_page_holds_what_fits_without_counts(name: str) -> None:
    """Where a picture would be larger than a page, its boxes show no counts, and a note says so."""
    notes: list[str] = []
    page = print_page(picture(name), 7 * 72, notes)
    assert page.width <= 7 * 72 + 1 and page.height <= 9 * 72 * 1.02
    sizes = [s.size for g in page.groups for s in g.shapes if isinstance(s, TextLine)]
    assert min(sizes) >= 6 - 0.01
    assert notes == ["the picture has no counts, since it would be larger than a page with them"]


def test_items_of_one_list_have_no_labels() -> None:
    """The maps of a U-Net++ are what its blocks read; a label at each would only say so again."""
    groups = drawn(ROOT / "specbuild/library/models/nested_unet.yaml").groups
    labels = [s.text for g in groups if g.role == "label" for s in g.shapes if isinstance(s, TextLine)]
    assert not [label for label in labels if label.startswith("maps")]


def test_labels_are_inside_of_their_panel() -> None:
    """On paper, the label of a link right of all boxes is not under the panel beside it."""
    page = print_page(ROOT / "specbuild/library/models/upernet.yaml", 7 * 72, [])
    frames_of_panels = [
        s for g in page.groups if g.role == "panel" for s in g.shapes[:1] if isinstance(s, Rect)
    ]
    labels = [s for g in page.groups if g.role == "label" for s in g.shapes if isinstance(s, TextLine)]
    main = [label for label in labels if label.text.endswith(("c2", "c3", "c4", "c5"))]
    assert len(main) >= 4 and frames_of_panels
    for label in main:
        right = label.x + label.width / 2
        assert not [f for f in frames_of_panels if label.x < f.x < right and f.y < label.y < f.y + f.h], label


def print_page(path: Path, width: float, notes: list[str]) -> Scene:
    drawing = seen(specbuild.load(path))
    views = {True: drawing, False: drawing.without_counts()}
    return fit_width(
        lambda direction, page: compose_scene(
            views[page.cards is FULL_FORMAT], direction, lambda box: "", page
        ),
        PageFormat(),
        width,
        "LR",
        notes.append,
    )


def test_a_picture_without_counts_and_legend() -> None:
    model = specbuild.load(picture("unet"))
    style = DrawingStyle(shows_counts=False, has_legend=False, width=500)
    svg = model.picture("svg", None, style).decode()
    assert "params" not in svg and "MACs" not in svg and "sb-legend" not in svg
    assert re.search(r'width="[0-9.]+pt" height="[0-9.]+pt"', svg)


def test_arrows_from_the_side_are_not_hidden_by_a_stack() -> None:
    """In a picture that runs down, they end at the cards behind the box of a repeat, which are drawn over them."""
    groups = scene(specbuild.load(picture("visual_question_answering")), None, "TB").groups
    stacked = next(g for g in groups if g.role == "box" and title(g) == "looks")
    right = max(s.x + s.w for s in stacked.shapes if isinstance(s, Rect))
    bounds = frame(stacked)
    tips = [s.points[-1] for g in groups if g.role == "link" for s in g.shapes if isinstance(s, Curve)]
    beside = [x for x, y in tips if bounds[1] < y < bounds[3] and bounds[2] - 3 < x < right + 3]
    assert beside == [pytest.approx(right, abs=1)]
