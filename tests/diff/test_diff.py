"""`specbuild diff`: what it tells, what it recognises, what becomes of weights, and how long it takes."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import specbuild
from specbuild.compiler.pipeline import build_graph, open_spec
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diff import Diff, diff_document, diff_models, report_lines
from specbuild.diff.flatten import flatten_model
from specbuild.diff.fold import format_ranges, split_into_boxes
from specbuild.diff.renames import former_weight_rules
from specbuild.elaborate import elaborate
from specbuild.ir.graph import Block
from specbuild.weights.published_names import convert_published_weights
from tests.cli.test_cli import NET, Run, run, shell, terminal
from tests.cpu_time import measure_cpu_time

__all__ = ["run"]

ROOT = Path(__file__).parents[2]
BACKBONES = ROOT / "specbuild" / "library" / "backbones"
GOLDEN = Path(__file__).with_name("golden")
SPECS = sorted([*(ROOT / "specs").glob("*.yaml"), *BACKBONES.glob("*.yaml")])
GATED = (ROOT / "specs" / "gated_classifier.yaml").read_text(encoding="utf-8")

DECODER = """\
specbuild: 1
model: Decoder
inputs: {image: {C: 3, H: 32, W: 32}}
blocks:
  Stage:
    params: {channels: int}
    steps:
      - conv: {channels: channels, stride: 2, bias: false}
        as: conv
      - batch_norm
      - relu
steps:
  - Stage: {channels: 16}
    as: down1
  - Stage: {channels: 32}
    as: down2
  - Stage: {channels: 64}
    as: down3
  - resize: {like: down2}
    as: up2
  - concat: [up2, down2]
    as: skip2
  - conv: {channels: 32}
    as: conv2
  - resize: {like: down1}
    as: up1
  - concat: [up1, down1]
    as: skip1
  - conv: {channels: 16}
    as: conv1
"""


def plain(steps: str, more: str = "") -> str:
    return f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 4, H: 8, W: 8}}}}\n{more}steps:\n{steps}"


CHAIN = plain(
    "  - conv: {channels: 4}\n  - relu\n  - conv: {channels: 4}\n  - relu\n  - mean: {over: [H, W]}\n"
)
WRAPPED = plain(
    "  - Stem:\n    as: stem\n  - conv: {channels: 8}\n    as: second\n",
    "blocks:\n  Stem:\n    steps:\n      - conv: {channels: 6}\n        as: first\n      - relu\n",
)
BARE = plain("  - conv: {channels: 6}\n    as: first\n  - relu\n  - conv: {channels: 8}\n    as: second\n")
TIED = plain("  - conv: {channels: 4}\n    as: a\n  - reuse: a\n    as: b\n")

CASES: dict[str, tuple[str | tuple[Path, str | None], str | tuple[Path, str | None]]] = {
    "deeper": ((BACKBONES / "resnet.yaml", "resnet18"), (BACKBONES / "resnet.yaml", "resnet34")),
    "another_block": ((BACKBONES / "resnet.yaml", "resnet34"), (BACKBONES / "resnet.yaml", "resnet50")),
    "with_attention": ((BACKBONES / "resnet.yaml", "resnet50"), (ROOT / "specs" / "cbam_resnet50.yaml", None)),
    "variants": ((BACKBONES / "resnet.yaml", "resnet50"), (BACKBONES / "resnet.yaml", "resnext50_32x4d")),
    "renamed_steps": (GATED, GATED.replace("as: stem", "as: entry").replace("as: excite", "as: widen")),
    "renamed_block": (GATED, GATED.replace("GatedBlock", "Stage")),
    "wider": (GATED, GATED.replace("width: 32", "width: 48")),
    "wrapped_without_names": (BARE.replace("\n    as: first", ""), WRAPPED.replace("\n        as: first", "")),
    "rewired_skip": (DECODER, DECODER.replace("concat: [up1, down1]", "concat: [up1, image_half]").replace("  - concat: [up1", "  - avg_pool: {kernel: 2}\n    from: image\n    as: image_half\n  - concat: [up1")),
    "rewired_only": (DECODER.replace("down2}\n    as: up2", "down1}\n    as: up2").replace("[up2, down2]", "[up2, down1]"), DECODER.replace("down2}\n    as: up2", "down1}\n    as: up2").replace("[up2, down2]", "[down1, up2]")),
    "another_activation": (GATED, GATED.replace("- add: [gated, shortcut]\n      - relu", "- add: [gated, shortcut]\n      - gelu")),
    "inserted_without_a_name": (CHAIN, CHAIN.replace("steps:\n", "steps:\n  - conv: {channels: 4, kernel: 1}\n")),
    "wrapped": (BARE, WRAPPED),
    "unwrapped": (WRAPPED, BARE),
    "another_input": (GATED, GATED.replace("photo: {C: 3, H: 64, W: 64}", "picture: {C: 1, H: 96, W: 96}")),
    "weights_no_longer_shared": (TIED, TIED.replace("reuse: a", "conv: {channels: 4}")),
    "more_outputs": (DECODER, DECODER + "outputs: {picture: conv1, coarse: conv2}\n"),
    "bias": (DECODER, DECODER.replace("stride: 2, bias: false", "stride: 2")),
    "another_model": (GATED, DECODER),
}  # fmt: skip


@cache
def built(side: str | tuple[Path, str | None]) -> Block:
    return build_graph(side) if isinstance(side, str) else build_graph(side[0], variant=side[1])


@cache
def found(name: str) -> Diff:
    before, after = (built(side) for side in CASES[name])
    return diff_models(before, after)


def compared(before: str, after: str) -> Diff:
    return diff_models(build_graph(before), build_graph(after))


# -------------------------------------------------------------------------------------------------- what is told


@pytest.mark.parametrize("name", CASES)
def test_as_people_read_it(name: str) -> None:
    """After a change that is meant: `SPECBUILD_UPDATE=1 python -m pytest tests/diff/test_diff.py`, then read the difference."""
    text = "".join(f"{line}\n" for line in report_lines(found(name), "a.yaml", "b.yaml"))
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("SPECBUILD_UPDATE"):
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text


def test_nothing_golden_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_a_model_is_itself(path: Path) -> None:
    here = diff_models(built((path, None)), built((path, None)))
    assert here.equal
    assert not here.weights or {w.fate for w in here.weights} == {"unchanged"}
    assert here.matching.path_after == {step: step for step in here.before.steps}
    [line] = report_lines(here, "a", "b")
    assert str(line) == "a and b are the same model: the same steps, wiring, sizes and names"


def test_words_and_order_of_keys_do_not_matter() -> None:
    other = GATED.replace("doc: A convolution and a gate, added to a shortcut.", "doc: Other words.")
    other = other.replace(
        "{channels: channels, stride: stride, bias: false}",
        "{bias: false, stride: stride, channels: channels, kernel: 3}",
    )
    assert other != GATED and compared(GATED, other).equal


def test_a_parameter_that_nothing_uses_is_told_and_changes_nothing() -> None:
    before = plain("  - relu\n", "params: {n: 1}\n")
    here = compared(before, before.replace("n: 1", "n: 2"))
    assert here.equal
    assert str(report_lines(here, "a", "b")[0]) == "n: 1 -> 2"


# ------------------------------------------------------------------------------------------------ what is recognised


@pytest.mark.parametrize("name", CASES)
def test_the_other_way_round(name: str) -> None:
    """What one side adds, the other removes; what is matched is matched both ways."""
    forth = found(name)
    back = diff_models(forth.after.model, forth.before.model)
    assert forth.equal == back.equal
    assert {s.path for s in forth.added} == {s.path for s in back.removed}
    assert {s.path for s in forth.removed} == {s.path for s in back.added}
    assert set(forth.matching.path_after.items()) == {
        (new, old) for old, new in back.matching.path_after.items()
    }
    assert len(forth.weights_with_fate("unchanged")) == len(back.weights_with_fate("unchanged"))


def test_every_step_has_one_fate() -> None:
    for name in CASES:
        here = found(name)
        assert len(here.before.steps) == len(here.matching.path_after) + len(here.removed)
        assert len(here.after.steps) == len(here.matching.path_before) + len(here.added)
        assert len(set(here.matching.path_after.values())) == len(here.matching.path_after)


def test_renamed_steps_and_groups() -> None:
    here = compared(GATED, GATED.replace("as: body", "as: stages").replace("as: squeeze", "as: narrow"))
    assert not (here.added or here.removed or here.changed or here.rewired)
    assert here.renamed["body.3.gated.squeeze"] == "stages.3.gated.narrow"
    assert here.renamed["stem.gated.squeeze"] == "stem.gated.narrow"
    assert "stem.conv" not in here.renamed


def test_a_renamed_step_that_is_also_otherwise() -> None:
    """The block tells where it went: what is at the same place in it is the same step."""
    here = compared(GATED, GATED.replace("as: stem", "as: entry").replace("bias: false}", "bias: true}"))
    assert here.renamed["stem.conv"] == "entry.conv"
    assert [c.subject for c in here.changed["entry.conv"]] == ["bias"]


def test_what_is_put_between_rewires_nothing() -> None:
    text = DECODER.replace(
        "  - concat: [up1, down1]\n", "  - dropout: {rate: 0.1}\n    as: less\n  - concat: [less, down1]\n"
    )
    here = compared(DECODER, text)
    assert [step.path for step in here.added] == ["less"]
    assert [(r.path, r.is_consequence) for r in here.rewired.values()] == [("skip1", True)]
    assert not [line for line in report_lines(here, "a", "b") if line.label == "rewired"]


def test_a_skip_from_elsewhere_is_rewired() -> None:
    here = compared(DECODER, DECODER.replace("concat: [up1, down1]", "concat: [down1, up1]"))
    [rewired] = here.rewired.values()
    assert (rewired.path, rewired.before, rewired.after, rewired.is_consequence) == (
        "skip1", ("up1", "down1.relu"), ("down1.relu", "up1"), False,
    )  # fmt: skip
    assert not here.equal


def test_steps_without_names_are_known_by_what_is_around_them() -> None:
    here = compared(
        CHAIN, CHAIN.replace("  - mean", "  - sigmoid\n  - mean").replace("steps:\n", "steps:\n  - relu\n")
    )
    assert {step.path for step in here.added} == {"relu1", "sigmoid"}
    assert here.matching.path_after["relu1"] == "relu2" and here.matching.path_after["relu2"] == "relu3"
    assert not here.renamed, "nobody gave them a name, and they have no weights"


def test_the_same_steps_of_two_blocks_are_not_taken_for_each_other() -> None:
    """layer4.1 ends in what the mean reads, as layer4.2 does in a deeper one: its steps stay its own."""
    here = found("deeper")
    assert all(new == old for old, new in here.matching.path_after.items())


def test_marks_for_a_drawing() -> None:
    old, new = found("rewired_skip").marks_by_path()
    assert new["image_half"] == {"added"} and "image_half" not in old
    assert new["skip1"] == old["skip1"] == {"rewired"}
    old, new = compared(
        GATED, GATED.replace("as: stem", "as: entry").replace("reduction: 8", "reduction: 4")
    ).marks_by_path()
    assert old["stem.gated.squeeze"] == new["entry.gated.squeeze"] == {"changed", "renamed"}


# --------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_weights_are_those_of_the_model(path: Path) -> None:
    model = built((path, None))
    here = [
        (f"{step.path}.{name}", h.shape, h.is_trainable)
        for step in flatten_model(model).steps.values()
        for name, h in step.weights.items()
    ]
    assert sorted(here) == sorted((h.path, h.shape, h.is_trainable) for h in locate_weights(model, "torch"))


@pytest.mark.parametrize("name", CASES)
def test_every_weight_has_one_fate(name: str) -> None:
    here = found(name)
    before = {h.path: h.shape for h in locate_weights(here.before.model, "torch")}
    after = {h.path: h.shape for h in locate_weights(here.after.model, "torch")}
    assert {w.before: w.shape_before for w in here.weights if w.before} == before
    assert {w.after: w.shape_after for w in here.weights if w.after} == after
    assert sum(w.before is not None for w in here.weights) == len(before)
    assert sum(w.after is not None for w in here.weights) == len(after)
    for w in here.weights:
        assert (w.fate == "unchanged") == (
            w.before == w.after and w.shape_before == w.shape_after and w.before is not None
        )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (GATED, GATED.replace("as: stem", "as: entry"), {"stem.{rest}": "entry.{rest}"}),
        (
            GATED,
            GATED.replace("as: squeeze", "as: narrow"),
            {"stem.gated.squeeze.{rest}": "stem.gated.narrow.{rest}", "body.{i}.gated.squeeze.{rest}": "body.{i}.gated.narrow.{rest}"},
        ),
        (GATED, GATED.replace("as: shortcut", "as: bypass").replace("gated, shortcut", "gated, bypass"), {"stem.shortcut.{rest}": "stem.bypass.{rest}", "body.0.shortcut.{rest}": "body.0.bypass.{rest}"}),
        (
            GATED,
            GATED.replace("as: stem", "as: entry").replace("as: excite", "as: widen"),
            {"body.{i}.gated.excite.{rest}": "body.{i}.gated.widen.{rest}", "stem.gated.excite.{rest}": "entry.gated.widen.{rest}", "stem.{rest}": "entry.{rest}"},
        ),
        (BARE, WRAPPED, {"first.{rest}": "stem.first.{rest}"}),
        (WRAPPED, BARE, {"stem.first.{rest}": "first.{rest}"}),
        (
            plain("  - weight: {axes: {C: 4}}\n    as: scale\n  - multiply: [x, scale]\n"),
            plain("  - weight: {axes: {C: 4}}\n    as: gamma\n  - multiply: [x, gamma]\n"),
            {"scale": "gamma"},
        ),
    ],
    ids=["group", "in_a_repeat", "some_of_a_repeat", "group_and_in_it", "wrapped", "unwrapped", "free"],
)  # fmt: skip
def test_rules_carry_what_moved(before: str, after: str, expected: dict[str, str]) -> None:
    """In the new spec's `weights`, they bring every old value to where it belongs."""
    here = compared(before, after)
    moved = former_weight_rules(here)
    assert moved == expected
    section = "".join(f"    {json.dumps(was)}: {json.dumps(now)}\n" for was, now in moved.items())
    model = build_graph(f"{after}weights:\n  former:\n{section}")
    old = {h.path: h for h in locate_weights(here.before.model, "torch")}
    new = {h.path: h for h in locate_weights(model, "torch")}
    entries = {h.framework_path: np.full(h.framework_shape, i, "float32") for i, h in enumerate(old.values())}
    carried = convert_published_weights(model, "former", entries)
    for w in here.weights:
        assert w.before is not None and w.after is not None
        assert np.array_equal(carried[new[w.after].framework_path], entries[old[w.before].framework_path])


def test_weights_that_a_load_by_name_would_mix_up() -> None:
    here = found("inserted_without_a_name")
    assert {(w.before, w.after) for w in here.weights_with_fate("moved")} == {
        ("conv1.kernel", "conv2.kernel"), ("conv1.bias", "conv2.bias"), ("conv2.kernel", "conv3.kernel"), ("conv2.bias", "conv3.bias"),
    }  # fmt: skip
    assert [w.after for w in here.colliding_weights] == ["conv2.kernel", "conv2.bias"]
    assert "warning: 2 of the moved weights" in "\n".join(map(str, report_lines(here, "a", "b")))


def test_another_op_at_the_same_path_keeps_no_weights() -> None:
    """A transposed convolution's kernel may have the shape of a convolution's, and means something else."""
    before = plain("  - conv: {channels: 4}\n    as: a\n")
    here = compared(before, plain("  - conv_transpose: {channels: 4, kernel: 3, padding: 1}\n    as: a\n"))
    assert [c.subject for c in here.changed["a"]] == ["op"]
    assert {w.fate for w in here.weights} == {"added", "removed"}


# -------------------------------------------------------------------------------------------------------- folding


def test_boxes() -> None:
    def unfolded(found: list[tuple[int, ...]]) -> list[list[list[int]]]:
        return [[sorted(r) for r in ranges] for ranges in split_into_boxes(found)]

    assert unfolded([()]) == [[]]
    assert unfolded([(0,), (1,), (3,)]) == [[[0, 1, 3]]]
    assert unfolded([(0, 0), (0, 1), (1, 0), (1, 1)]) == [[[0, 1], [0, 1]]]
    assert unfolded([(0, 0), (0, 1), (1, 0)]) == [[[0], [0, 1]], [[1], [0]]]
    assert format_ranges([5, 0, 1, 2]) == "0-2,5"


def test_a_change_of_every_instance_is_told_once() -> None:
    here = [str(line) for line in report_lines(found("wider"), "a", "b")]
    assert sum("body" in line and line.startswith("changed") for line in here) == 5
    assert any(line.split()[:2] == ["changed", "body.*.conv"] for line in here)
    assert any(line.split()[:2] == ["reshaped", "body.1-3.conv.kernel"] for line in here)


# ----------------------------------------------------------------------------------------------------- the command


def test_exit_codes(run: Run) -> None:
    Path("b.yaml").write_text(NET.replace("as: head", "as: top"))
    assert run("diff", "net.yaml", "net.yaml").code == 0
    done = run("diff", "net.yaml", "b.yaml")
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[:3] == ["net.yaml -> b.yaml", "", "renamed  head  -> top"]
    assert run("diff", "net.yaml").code == 2
    assert run("diff", "-", "-").code == 2


def test_variants_and_settings(run: Run) -> None:
    done = run("diff", "net.yaml@small", "net.yaml@large")
    assert done.code == 1
    assert done.out.startswith("net.yaml@small -> net.yaml@large\n\nparam    width  8 -> 32\n")
    assert run("diff", "net.yaml@small", "net.yaml").code == 0
    assert run("diff", "net.yaml@large", "net.yaml", "--set-b", "width=32").code == 0
    assert run("diff", "net.yaml", "net.yaml", "--set-a", "classes=3").code == 1
    Path("odd@small").write_text(NET)
    assert run("diff", "odd@small", "net.yaml").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["net.yaml@smal", "net.yaml"],
            "error[SB202]: GateNet has no variant 'smal'\n --> A:1:10\n  |\n1 | net.yaml@smal\n  |          ^\n"
            "  = help: did you mean 'small'?\n",
        ),
        (
            ["net.yaml", "nowhere.yaml"],
            "error[SB001]: cannot read `nowhere.yaml`: there is no such file\n  = help: check the path\n",
        ),
        (
            ["net.yaml", "no@where.yaml"],
            "error[SB001]: cannot read `no@where.yaml`: there is no such file\n  = help: check the path\n",
        ),
        (
            ["net.yaml", "net.yaml", "--set-b", "width"],
            "error[SB003]: `--set-b` takes name=value\n --> --set-b:1:1\n  |\n1 | width\n  | ^\n"
            "  = help: for example: --set-b classes=10\n",
        ),
        (
            ["net.yaml", "net.yaml", "--set-a", "widht=4"],
            "error[SB101]: GateNet has no parameter 'widht'\n --> --set-a widht:1:1\n  |\n1 | 4\n  | ^\n"
            "  = help: did you mean 'width'?\n",
        ),
    ],
)  # fmt: skip
def test_faults(run: Run, arguments: list[str], said: str) -> None:
    done = run("diff", *arguments)
    assert (done.code, done.out) == (3, "")
    assert done.err == said


def test_faults_of_both_are_told(run: Run) -> None:
    Path("a.yaml").write_text(NET.replace("relu", "rleu"))
    Path("b.yaml").write_text(NET.replace("sigmoid", "sigmiod"))
    done = run("diff", "a.yaml", "b.yaml")
    assert (done.code, done.out) == (3, "")
    assert "'relu'" in done.err and "'sigmoid'" in done.err
    assert run("diff", "a.yaml", "a.yaml").err.count("error[") == 1


def test_two_revisions(tmp_path: Path) -> None:
    """What comes from standard input imports what the file beside it does."""
    folder = tmp_path / "models"
    folder.mkdir()
    gate = NET[NET.index("  Gate:") : NET.index("inputs: {image")]
    (folder / "gates.yaml").write_text(f"specbuild: 1\nblocks:\n{gate}")
    text = NET.replace(f"blocks:\n{gate}", "imports: {Gate: ./gates.yaml#Gate}\n")
    assert "blocks:" not in text
    (folder / "net.yaml").write_text(text.replace("repeat: 3", "repeat: 5"))
    done = shell("diff", "-", str(folder / "net.yaml"), stdin=text.encode())
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"added    gates.3-4  Gate {reduction: 4}  (2 x 6 steps, 84 parameters)\n" in done.stdout
    assert (
        shell("diff", str(folder / "net.yaml"), "-", stdin=(folder / "net.yaml").read_bytes()).returncode == 0
    )


def test_as_json(run: Run) -> None:
    Path("b.yaml").write_text(NET.replace("as: head", "as: top").replace("repeat: 3", "repeat: 2"))
    done = run("diff", "net.yaml", "b.yaml", "--json")
    here = json.loads(done.out)
    assert done.code == 1
    assert (here["a"], here["b"], here["equal"]) == ("net.yaml", "b.yaml", False)
    assert here["renamed"] == {"head": "top"}
    assert set(here["removed"]) == {
        f"gates.2.{n}" for n in ("mean", "squeeze", "relu", "excite", "gate", "multiply")
    }
    assert here["before"]["parameters"] - here["after"]["parameters"] == 42
    assert here["rules"] == {"head.{rest}": "top.{rest}"}
    assert {w["fate"] for w in here["weights"]} == {"unchanged", "moved", "removed"}
    assert json.loads(run("diff", "net.yaml", "net.yaml", "--json").out)["equal"] is True


def test_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NET)
    (tmp_path / "b.yaml").write_text(NET.replace("- sigmoid:", "- tanh:"))
    seen = terminal("diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert "\x1b[33mchanged\x1b[0m" in seen
    assert "\x1b" not in terminal("diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), NO_COLOR="1")


# ----------------------------------------------------------------------------------------------------------- time


def chain(n: int, name: str = "a", activation: str = "relu", first: str = "") -> Block:
    steps = "".join(f"  - conv: {{channels: 4}}\n    as: {name}{i}\n  - {activation}\n" for i in range(n))
    return elaborate(*open_spec(plain(first + steps)))


@pytest.mark.slow
def test_time_grows_with_the_steps() -> None:
    """2,500 steps against as many take about a second; quadratic work would take minutes."""
    before = chain(1250)
    for after in (
        chain(1250, first="  - gelu\n"),
        chain(1250, "b"),
        chain(1250, "b", "gelu"),
        chain(1250, "a", "gelu"),
    ):
        with measure_cpu_time() as taken:
            found = diff_models(before, after)
            report_lines(found, "a", "b")
            diff_document(found)
        assert taken.seconds < 8


def test_nothing_of_a_spec_reaches_the_terminal_raw(run: Run) -> None:
    Path("b.yaml").write_text(NET)
    odd = "[red]b[link].yaml"
    Path(odd).write_text(NET.replace("as: head", "as: top"))
    assert "[red]b[link].yaml" in run("diff", "net.yaml", odd).out
    escape = "\x1b[31mb.yaml"
    Path(escape).write_text(NET)
    assert "\x1b" not in run("diff", "net.yaml", escape).out


def test_from_python() -> None:
    here = diff_models(specbuild.load(NET).graph, specbuild.load(NET, width=16).graph)
    assert here.total_costs[1].parameters == specbuild.load(NET, width=16).parameters
