"""Weights of another size made to fit: how it is declared, which numbers come out, and what is refused."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import specbuild
from specbuild.cli import main
from specbuild.compiler.pipeline import build_graph
from specbuild.compiler.weight_locations import locate_weights, to_framework
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block
from specbuild.weights.adapt import adapt_weights
from specbuild.weights.adapt_options import parse_adaptation
from specbuild.weights.initial import initialize_weights
from specbuild.weights.matching import MatchedWeights, MatchExceptions, NamingScheme, match_weights
from specbuild.weights.report import WeightReport, build_report

Array = np.ndarray[Any, Any]
BACKBONES = Path(specbuild.__file__).parent / "library" / "backbones"

NET = """
specbuild: 1
model: Net
params: {{groups: 1, window: 3, count: 10, middle: 8}}
inputs: {{image: {{C: {channels}, H: {height}, W: {width}}}, words: {{axes: {{T: 6}}, dtype: int32}}}}
steps:
  - conv: {{channels: 8, kernel: window, stride: 4, padding: 0, groups: groups}}
    from: image
    as: patches
  - conv: {{channels: middle, kernel: 1, groups: 2}}
    as: grouped
  - conv: {{channels: 8, kernel: 1}}
    as: joined
  - weight: {{axes: {{C: 8, H: {height} // 4, W: {width} // 4}}, init: normal(1)}}
    as: places
  - add: [joined, places]
  - flatten: {{axes: [H, W], into: T}}
    as: tokens
  - weight: {{axes: {{T: 2, C: 8}}}}
    as: first
  - concat: {{of: [first, tokens], over: T}}
  - layer_norm:
    as: norm
  - weight: {{axes: {{T: 2 + ({height} // 4) * ({width} // 4), C: 8}}, init: normal(1)}}
    as: position
  - add: [norm, position]
  - mean: {{over: T}}
    as: seen
  - embedding: {{count: count, features: 8}}
    from: words
    as: read
  - weight: {{axes: {{T: 6, C: 8}}, init: normal(1)}}
    as: order
  - add: [read, order]
  - mean: {{over: T}}
    as: heard
  - add: [seen, heard]
  - linear: {{features: 3}}
    as: head
"""
LINEAR = """
specbuild: 1
model: Net
inputs: {{image: {{C: {channels}, H: 8, W: 8}}}}
steps:
  - unflatten: {{axis: H, into: {{rows: -1, h: 2}}}}
  - unflatten: {{axis: W, into: {{columns: -1, w: 2}}}}
  - flatten: {{axes: {order}}}
  - linear: {{features: 4}}
    as: embed
"""


def net(channels: int = 3, height: int = 16, width: int = 16, **parameters: Any) -> Block:
    return build_graph(NET.format(channels=channels, height=height, width=width), parameters)


def values(model: Block) -> dict[str, Array]:
    return initialize_weights(locate_weights(model, "torch"), seed=3)


def made(
    model: Block, old: Block, *ways: str, names: str = "torch", missing: tuple[str, ...] = (), seed: int = 0
) -> MatchedWeights:
    """The first weights of one model carried into another."""
    entries = values(old) if names == "specbuild" else to_framework(locate_weights(old, names), values(old))
    found = match_weights(model, entries, [NamingScheme(names)])
    return adapt_weights(model, found, tuple(map(parse_adaptation, ways)), seed)


def told(model: Block, found: MatchedWeights, *ways: str, missing: tuple[str, ...] = ()) -> WeightReport:
    declared = MatchExceptions(missing, (), tuple(map(parse_adaptation, ways)))
    return build_report(found, declared, [h.path for h in locate_weights(model, "torch")])


# -- how it is declared ----------------------------------------------------------------------------


def test_a_declaration_is_read() -> None:
    found = parse_adaptation(" *.position = resample( prefix = 2, from=14x14,to=16x20, align_corners=false )")
    assert (found.pattern, found.mode, found.old_sides, found.new_sides, found.prefix) == (
        "*.position", "resample", (14, 14), (16, 20), 2,
    )  # fmt: skip
    assert not found.align_corners and not found.antialias
    assert not parse_adaptation("a=resample(antialias=true)").align_corners
    assert parse_adaptation("a=b=mean").pattern == "a=b"
    assert parse_adaptation("a=repeat()").old_sides is None


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("conv1", "it is not PATTERN=MODE", "'conv1=repeat'"),
        ("=repeat", "it is not PATTERN=MODE", ""),
        ("conv1=repeat(", "it is not PATTERN=MODE", ""),
        ("conv1=repaet", "there is no mode 'repaet'", "did you mean 'repeat'?"),
        ("conv1=repeat(prefix=1)", "there is no option 'prefix'", "the options are from and to"),
        ("a=resample(form=3x3)", "there is no option 'form'", "did you mean 'from'?"),
        ("a=resample(from=3x3, from=3x3)", "'from' is given twice", ""),
        ("a=resample(from)", "'from' has no value", ""),
        ("a=resample(from=3xx3)", "'3xx3' is not a size", "write 14x14"),
        ("a=resample(from=0x3)", "'0x3' is not a size", "write 14x14"),
        ("a=resample(from=3x3, to=9)", "`from` and `to` have different numbers of sides", ""),
        ("a=resample(prefix=-1)", "'-1' is not a number of rows", ""),
        ("a=resample(antialias=yes)", "antialias must be true or false, not 'yes'", ""),
        (
            "a=resample(antialias=true, align_corners=true)",
            "antialias and align_corners exclude each other",
            "",
        ),
        ("a\x1b[31m=b", "there is no mode 'b'", ""),
    ],
)
def test_what_cannot_be_read(text: str, reason: str, hint: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_adaptation(text)
    assert error.value.code == "SB806"
    assert reason in error.value.message and hint in error.value.hint
    assert "\x1b" not in error.value.message


# -- input channels --------------------------------------------------------------------------------

KERNEL = "patches.kernel"


@pytest.mark.parametrize("names", ["specbuild", "torch", "keras"])
@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_modes(names: str, channels: int) -> None:
    """The same numbers whatever names and order the file has; its other weights are carried as they are."""
    model, old = net(channels), net(3)
    before = values(old)
    kernel = before[KERNEL].astype("float64")
    repeated = kernel[:, [0, 1, 2, 0, 1, 2, 0][:channels]] * (3 / channels)
    wanted = {
        "repeat": kernel.sum(1, keepdims=True) if channels == 1 else repeated,
        "mean": np.repeat(kernel.sum(1, keepdims=True) / channels, channels, 1),
    }
    if channels > 3:
        more = (8, channels - 3, 3, 3)
        kernels = [h for h in locate_weights(model, "torch") if h.path == KERNEL]
        drawn = initialize_weights(kernels, seed=5)[KERNEL]
        wanted["zero"] = np.concatenate([kernel, np.zeros(more, "float32")], 1)
        wanted["random"] = np.concatenate([kernel, drawn[:, 3:]], 1)
        assert np.abs(drawn[:, 3:]).min() > 0
    for mode, expected in wanted.items():
        for pattern in ("patches", "patches.kernel", "pat*"):
            found = made(model, old, f"{pattern}={mode}", names=names, seed=5)
            assert not found.exception_count and len(found.adapted) == 1
            assert found.values[KERNEL].dtype == np.float32
            np.testing.assert_allclose(found.values[KERNEL], expected, rtol=1e-7, err_msg=mode)
        assert all(np.array_equal(found.values[p], v) for p, v in before.items() if p != KERNEL)


@pytest.mark.parametrize(("order", "sides"), [("[h, w, C]", "2x2x{}"), ("[C, h, w]", "{}x2x2")])
def test_a_linear_map_of_patches(order: str, sides: str) -> None:
    """With the order of its inputs told, the new channels are where the model has them."""
    old, model = (build_graph(LINEAR.format(channels=n, order=order)) for n in (3, 4))
    way = f"embed=zero(from={sides.format(3)}, to={sides.format(4)})"
    found = made(model, old, way).values["embed.kernel"]
    at = [int(n) for n in sides.format(4).split("x")]
    channels = np.moveaxis(found.reshape(4, *at), 1 + at.index(4), 1).reshape(4, 4, 4)
    before = values(old)["embed.kernel"].reshape(4, *(n - (n == 4) for n in at))
    np.testing.assert_array_equal(channels[:, :3], np.moveaxis(before, 1 + at.index(4), 1).reshape(4, 3, 4))
    assert not channels[:, 3].any()
    assert made(model, old, way).adapted[0].description == f"zero of {sides.format(3)} to {sides.format(4)}"


# -- tables ----------------------------------------------------------------------------------------


def test_a_grid_that_the_model_tells() -> None:
    """Rows before it and sides are read off what the table is added to, though 18 x 8 places would make a square."""
    model, old = net(3, 72, 32), net(3, 64, 64)
    found = made(model, old, "position=resample", "places=resample")
    assert [a.description for a in found.adapted] == [
        "resample 16x16 to 18x8",
        "resample 16x16 to 18x8 after 2 rows",
    ]
    before, after = values(old)["position.value"], found.values["position.value"]
    np.testing.assert_array_equal(after[:2], before[:2])
    corners = [0, 7, 17 * 8, 17 * 8 + 7]
    np.testing.assert_allclose(after[2:][corners], before[2:][[0, 15, 240, 255]], rtol=1e-6)
    grid = before[2:].reshape(16, 16, 8).transpose(2, 0, 1)
    same = made(net(3, 72, 32), old, "position=resample(to=18x8)", "places=resample").values["position.value"]
    np.testing.assert_array_equal(after, same)
    map_ = MatchedWeights(
        NamingScheme("specbuild"), mismatched_values={"places.value": grid.astype("float32")}
    )
    map_.mismatched = [
        u
        for u in match_weights(model, values(old), [NamingScheme("specbuild")]).mismatched
        if u.path == "places.value"
    ]
    places = adapt_weights(model, map_, [parse_adaptation("places=resample")]).values["places.value"]
    np.testing.assert_allclose(places.reshape(8, -1).T, after[2:], rtol=0, atol=1e-6)


def test_tables_that_the_model_tells_nothing_of() -> None:
    """Squares, with as few rows before them as there can be; a row of places if one side is told."""
    model = build_graph(NET.format(channels=3, height=16, width=16).replace("T: 6", "T: 17"))
    old = build_graph(NET.format(channels=3, height=16, width=16).replace("T: 6", "T: 10"))
    assert made(model, old, "order=resample").adapted[0].description == "resample 3x3 to 4x4 after 1 row"
    assert made(model, old, "order=resample(to=17)").adapted[0].description == "resample 10 to 17"
    assert (
        made(model, old, "order=resample(from=2x5, to=17x1)").adapted[0].description == "resample 2x5 to 17x1"
    )
    assert (
        made(net(count=17), net(count=5), "read=resample").adapted[0].description
        == "resample 2x2 to 4x4 after 1 row"
    )


def test_as_many_places_on_another_grid() -> None:
    found = made(net(), net(), "position=resample(from=2x8, to=4x4, prefix=2)")
    assert [(a.description, a.weight.actual) for a in found.adapted] == [
        ("resample 2x8 to 4x4 after 2 rows", "(18, 8)")
    ]
    assert not np.allclose(found.values["position.value"], values(net())["position.value"])
    assert not made(net(), net(), "position=resample(from=4x4, to=4x4)").adapted


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "old", "way", "message", "hint"),
    [
        (partial(net, 4), partial(net, 3), "patches=resample", "it is only for tables", ""),
        (partial(net, 1), partial(net, 3), "patches=zero", "it keeps all old channels, but the model has fewer", "use repeat or mean"),
        (partial(net, 4), partial(net, 3), "patches=repeat(from=3, to=4)", "the channels of a convolution are known", ""),
        (partial(net, 4, window=4), partial(net, 3), "patches=mean", "other sizes differ too", "--allow-missing"),
        (partial(net, 4, groups=4), partial(net, 4, groups=2), "patches=mean", "which channels were in which group", "initial values"),
        (partial(net, middle=4), partial(net), "joined=zero", "it keeps all old channels", ""),
        (partial(net, middle=4), partial(net), "grouped=mean", "other sizes differ too", ""),
        (partial(net, 3, 16, 32), partial(net, 3), "position=repeat", "only for the kernels of conv, conv_transpose and linear", ""),
        (partial(net, 3, 16, 32), partial(net, 3), "position=resample(from=3x5)", "the file has 18 rows, not 2 and 3x5", "state"),
        (partial(net, 3, 16, 32), partial(net, 3), "position=resample(to=5x5)", "the model has 34 rows, not 2 and 5x5", "state"),
        (partial(net, 3, 16, 32), partial(net, 3, 16, 20), "position=resample", "the grid of the 22 rows in the file after 2 is unknown", "from="),
        (partial(net, count=7), partial(net, count=12), "read=resample", "the grid of the 12 rows in the file is unknown", "from="),
    ],
)  # fmt: skip
def test_what_cannot_be_adapted(
    model: partial[Block], old: partial[Block], way: str, message: str, hint: str
) -> None:
    with pytest.raises(SpecError) as error:
        made(model(), old(), way)
    assert error.value.code == "SB807"
    assert message in error.value.message and hint in error.value.hint, error.value


def test_a_linear_map_must_be_told_its_channels() -> None:
    old, model = (build_graph(LINEAR.format(channels=n, order="[h, w, C]")) for n in (3, 4))
    with pytest.raises(SpecError, match="which inputs are channels") as error:
        made(model, old, "embed=repeat")
    assert "'embed=repeat(from=12, to=16)'" in error.value.hint
    with pytest.raises(SpecError, match="are 12 and 20 inputs, not 12 and 16"):
        made(model, old, "embed=repeat(from=4x3, to=4x5)")
    with pytest.raises(SpecError, match="exactly one side must differ"):
        made(model, old, "embed=repeat(from=3x4, to=2x8)")


def test_channels_are_no_grid() -> None:
    old, model = (
        build_graph(f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: {n}}}}}\nsteps:\n  - weight: {{axes: {{C: {n}}}, init: ones}}\n    as: scale\n  - multiply: [x, scale]\n")
        for n in (4, 9)
    )  # fmt: skip
    with pytest.raises(SpecError, match="channels are not a grid"):
        made(model, old, "scale=resample")
    assert told(model, made(model, old)).adapt_options == ()


# -- what is told ----------------------------------------------------------------------------------


def test_the_report_names_each() -> None:
    model = net(4, 16, 32)
    ways = ("patches=mean", "position.*=resample", "norm=repeat")
    found = made(model, net(3), *ways)
    lines = list(told(model, found, *ways, missing=("places",)).format_lines())
    assert lines == [
        "12 of 15 matched, 2 adapted, 1 new (places), 0 mismatched, 0 left over",
        "  adapted  patches.kernel (8, 4, 3, 3); patches.weight is (8, 3, 3, 3) in the file: mean",
        "  adapted  position.value (34, 8); position is (18, 8) in the file: resample 4x4 to 4x8 after 2 rows",
        "  new      places.value (8, 4, 8); places is (8, 4, 4) in the file",
        "  note: no tensor of another size is adapted by 'norm=repeat'",
    ]


def test_what_is_not_declared_is_an_error_that_tells_how() -> None:
    model = net(4, 16, 32)
    answer = told(model, made(model, net(3)))
    assert not answer.is_complete and not answer.adapted
    assert answer.mismatch_error("a.pt").hint == (
        "--adapt 'patches=repeat' --adapt 'places=resample' --adapt 'position=resample' to adapt them; "
        "--allow-missing 'patches.kernel' --allow-missing 'places' --allow-missing 'position' to use initial values"
    )
    assert (
        told(model, made(model, net(3), "patches=zero"))
        .mismatch_error("a")
        .hint.startswith("--adapt 'places=")
    )


def test_one_of_another_type_is_not_adapted() -> None:
    entries = {
        **to_framework(locate_weights(net(3), "torch"), values(net(3))),
        "patches.weight": np.zeros((8, 3, 3, 3), "int8"),
    }
    found = adapt_weights(
        net(4), match_weights(net(4), entries, [NamingScheme("torch")]), [parse_adaptation("patches=zero")]
    )
    assert [u.path for u in found.mismatched] == [KERNEL] and not found.adapted


# -- from file to file -----------------------------------------------------------------------------

PAIR = """
specbuild: 1
model: Pair
imports: {ResNet: library:backbones/resnet.yaml}
inputs: {colour: {C: 3, H: 32, W: 32}, depth: {C: 1, H: 32, W: 32}}
steps:
  - ResNet: {variant: resnet18, classes: 3}
    from: colour
    as: near
  - ResNet: {variant: resnet18, classes: 3}
    from: depth
    as: far
  - add: [near, far]
"""


def test_one_file_for_two_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    numpy_files: Any = pytest.importorskip("safetensors.numpy")
    monkeypatch.chdir(tmp_path)
    Path("pair.yaml").write_text(PAIR)
    model = build_graph(BACKBONES / "resnet.yaml", {"classes": 3}, "resnet18")
    numpy_files.save_file(to_framework(locate_weights(model, "torch"), values(model)), "one.safetensors")
    arguments = ["weights", "convert", "pair.yaml", "one.safetensors", "-o", "two.safetensors", "--json"]
    into = ["--from", "torchvision", "--into", "near", "--into", "far", "--adapt", "far.conv1=repeat"]
    assert main([*arguments, *into]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["names"] == "torchvision (into near and far)"
    assert said["matched"] == said["weights"] - 1 and not said["left_over"] + said["new"] + said["mismatched"]
    assert said["adapted"] == [
        {"path": "far.conv1.kernel", "shape": [64, 1, 7, 7], "name": "conv1.weight", "expected_shape": [64, 1, 7, 7],
         "actual": "(64, 3, 7, 7)", "adaptation": "repeat"},
    ]  # fmt: skip
    found, wanted = numpy_files.load_file("two.safetensors"), values(model)
    for path, value in wanted.items():
        np.testing.assert_array_equal(found[f"near.{path}"], value)
        if path != "conv1.kernel":
            np.testing.assert_array_equal(found[f"far.{path}"], value)
    grey = wanted["conv1.kernel"].sum(1, keepdims=True, dtype="float64")
    np.testing.assert_allclose(found["far.conv1.kernel"], grey, rtol=1e-7)
    assert main([*arguments, *into, "--into", "fra", "--force"]) == 2
    assert main([*arguments, "--adapt", "conv1", "--force"]) == 2
    assert main([*arguments, *into[:-1], "far.conv1=zero", "--force"]) == 1


def test_both_emitted_files_give_the_same(tmp_path: Path, monkeypatch: Any) -> None:
    """Weights for another number of channels and another grid, in PyTorch's form and in that of Keras."""
    torch, keras = pytest.importorskip("torch"), pytest.importorskip("keras")
    numpy_files: Any = pytest.importorskip("safetensors.numpy")
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NET.format(channels=4, height=24, width=16))
    old = specbuild.load(NET.format(channels=3, height=16, width=16)).build("torch").eval()
    numpy_files.save_file(
        {name: value.numpy() for name, value in old.state_dict().items()}, "old.safetensors"
    )
    ways = ["--adapt", "patches=repeat", "--adapt", "*=resample", "--from", "torch"]
    for names in ("torch", "keras"):
        file = [f"{names}.safetensors", "--to", names]
        assert main(["weights", "convert", "net.yaml", "old.safetensors", "-o", *file, *ways]) == 0
    model = specbuild.load(Path("net.yaml"))
    ours, theirs = model.build("torch").eval(), model.build("keras")
    state = numpy_files.load_file("torch.safetensors")
    ours.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=True)
    kept = numpy_files.load_file("keras.safetensors")
    assert {variable.path for variable in theirs.weights} == set(kept)
    for variable in theirs.weights:
        variable.assign(kept[variable.path])
    random = np.random.default_rng(0)
    image, words = random.normal(size=(2, 4, 24, 16)).astype("float32"), random.integers(0, 10, (2, 6))
    with torch.no_grad():
        a = ours(torch.from_numpy(image), torch.from_numpy(words)).numpy()
        before = old(torch.from_numpy(image[:, :3, :16]), torch.from_numpy(words)).numpy()
    b = keras.ops.convert_to_numpy(
        theirs([image.transpose(0, 2, 3, 1), words.astype("int32")], training=False)
    )
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert np.abs(a - before).max() > 1e-2
