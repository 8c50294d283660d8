"""Edits of a known network: what they change, and that all else keeps its place and its weights."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from specbuild import load
from specbuild.api import Model
from specbuild.compiler.pipeline import build_graph
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate import notes
from specbuild.ir.cost import family_costs
from specbuild.ir.graph import Block, distinct_blocks

ROOT = Path(__file__).parents[1]
BACKBONES = ROOT.parent / "specbuild" / "library" / "backbones"

HEAD = """
specbuild: 1
model: Edited
imports: {{ResNet: "library:backbones/resnet.yaml"}}
inputs: {{image: {{C: 3, H: 64, W: 64}}}}
params: {{reduction: 16}}
steps:
  - ResNet: {{variant: {variant}}}
edits:
{edits}
"""
ATTENTION = """
  - insert: {CBAM: {reduction: reduction}}
    after: layer*.*.bn3
    as: attention
"""
IDENTITY = ATTENTION + "    start: identity\n"
FROZEN = """
  - freeze: "*1"
  - freeze: layer[2-3]
  - freeze: layer4.0
"""


def edited(edits: str, variant: str = "resnet18") -> Model:
    """A ResNet under another name with these edits: a list, or one edit to a line."""
    lines = edits if edits.startswith("\n") else "\n".join(f"  - {line}" for line in edits.splitlines())
    return load(HEAD.format(variant=variant, edits=lines))


def steps(model: Block) -> list[str]:
    """Every step by its whole path."""
    found = []
    for node in model.nodes:
        found.append(node.name)
        if isinstance(node.op, Block):
            found += [f"{node.name}.{inner}" for inner in steps(node.op)]
    return found


# -- weights -------------------------------------------------------------------------------------


def test_what_begins_as_the_identity_learns() -> None:
    model = edited(IDENTITY.replace("bn3", "bn2")).build("torch")
    model(torch.randn(2, 3, 32, 32)).square().sum().backward()
    scales = [p.grad for name, p in model.named_parameters() if name.endswith("attention_scale")]
    assert len(scales) == 8 and all(grad is not None and grad.abs() > 0 for grad in scales)


@pytest.fixture(scope="module")
def in_keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A ResNet-18 with attention that begins as the identity beside the original; two with frozen parts."""
    folder = tmp_path_factory.mktemp("edited")
    edits = IDENTITY.replace("layer*.*.bn3", "layer[3-4].*.bn2").replace("CBAM", "SqueezeExcitation")
    text = HEAD.format(variant="resnet18", edits=edits)
    nested = HEAD.format(
        variant="resnet18", edits=FROZEN.replace('"*1"', "*1").replace("freeze: ", "freeze: net.")
    )
    texts = {
        "original": text[: text.index("edits:")],
        "edited": text,
        "flat": HEAD.format(variant="resnet18", edits=FROZEN),
        "nested": nested.replace("{variant: resnet18}", "{variant: resnet18}\n    as: net"),
    }
    for name, written in texts.items():
        (folder / f"{name}.yaml").write_text(written)
    command = [
        sys.executable,
        "-m",
        "tests.elaborate.edited_keras",
        *(folder / f"{name}.yaml" for name in texts),
    ]
    done = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_keras_takes_the_weights_of_the_original_by_their_paths(in_keras: dict[str, Any]) -> None:
    inner = [f"attention/fc{n}/{part}" for n in (1, 2) for part in ("bias", "kernel")]
    names = [*inner, "attention_scale"]
    assert in_keras["identity"] == {
        "new": [f"layer{n}/{i}/{name}" for n in (3, 4) for i in (0, 1) for name in names],
        "lost": [],
        "same": True,
    }


KEPT = {
    "remove: layer1.0": "layer1.0.",
    "remove: 'layer[2-3].1.relu'": "",
    "insert: {dropout: {rate: 0.5}}, after: layer2.0": "",
    "insert: relu, before: layer2.0.downsample.1": "",
    "insert: batch_norm, after: layer2.0.downsample.0": "",
    "replace: maxpool, with: {avg_pool: {kernel: 2}}": "",
    "replace: '**:relu', with: gelu": "",
    "replace: fc, with: {linear: {features: 3}}": "fc.",
    "set: layer4.*.conv2, to: {dilation: 2}": "",
    "rewire: layer1.0.relu2, from: bn2": "",
}


@cache
def original(backend: str) -> dict[str, tuple[int, ...]]:
    return {
        h.framework_path: h.shape
        for h in locate_weights(build_graph(BACKBONES / "resnet.yaml", variant="resnet18"), backend)
    }


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("edit", KEPT)
def test_steps_that_were_not_edited_keep_their_weights(edit: str, backend: str) -> None:
    """Under the same paths, in the same shapes; those of `KEPT` alone are gone or changed."""
    before = original(backend)
    after = {h.framework_path: h.shape for h in locate_weights(edited(f"{{{edit}}}").graph, backend)}
    apart = "." if backend == "torch" else "/"
    gone = KEPT[edit].replace(".", apart)
    changed = {name for name in before if after.get(name) != before[name]}
    assert all(gone and name.startswith(gone) for name in changed), sorted(changed)


# -- what each verb does -------------------------------------------------------------------------


def new_and_gone(edits: str, variant: str = "resnet18") -> tuple[list[str], list[str]]:
    before = steps(build_graph(BACKBONES / "resnet.yaml", variant=variant))
    after = steps(edited(edits, variant).full_graph)
    return [s for s in after if s not in before], [s for s in before if s not in after]


def test_insert_goes_between_a_step_and_its_readers() -> None:
    model = edited("{insert: {dropout: {rate: 0.1}}, after: layer1.0.bn2, as: drop}").graph
    block = model.find_node("layer1.0")
    assert block is not None and isinstance(block.op, Block)
    inner = block.op
    reader = inner.find_node("attention")
    assert reader is not None and reader.inputs == ("drop",)
    assert inner.find_node("drop").inputs == ("bn2",)  # type: ignore[union-attr]


def test_readers_by_name_read_what_was_inserted() -> None:
    text = """
specbuild: 1
model: Net
inputs: {image: {C: 3, H: 8, W: 8}}
steps:
  - conv: {channels: 3}
    as: a
  - relu:
    as: b
  - add: [a, b]
    as: sum
edits:
  - insert: {batch_norm: {}}
    after: a
    as: between
"""
    model = load(text).graph
    assert model.find_node("b").inputs == ("between",)  # type: ignore[union-attr]
    assert model.find_node("sum").inputs == ("between", "b")  # type: ignore[union-attr]


def test_a_later_insert_stands_nearer() -> None:
    edits = "{insert: relu, after: conv1, as: first}\n{insert: gelu, after: conv1, as: second}"
    model = edited(edits).graph
    assert model.find_node("second").inputs == ("conv1",)  # type: ignore[union-attr]
    assert model.find_node("first").inputs == ("second",)  # type: ignore[union-attr]
    assert model.find_node("bn1").inputs == ("first",)  # type: ignore[union-attr]


def test_a_later_edit_sees_what_an_earlier_one_inserted_and_not_what_it_removed() -> None:
    new, gone = new_and_gone("{insert: CBAM, after: layer4.1, as: gate}\n{remove: layer4.gate.spatial}")
    assert "layer4.gate.channel" in new and "layer4.gate.spatial" not in new and not gone
    with pytest.raises(SpecError, match=r"'layer4\.1\.bn2' matches no step"):
        edited("{remove: layer4.1}\n{remove: layer4.1.bn2}")


def test_an_edit_does_not_meet_what_it_inserted() -> None:
    new, _ = new_and_gone("{insert: SpatialAttention, after: '**:conv', as: look}")
    assert sum(re.search(r"look[12]?$", name) is not None for name in new) == 1 + 8 * 2 + 3
    assert sum(re.search(r"look[12]?\.conv$", name) is not None for name in new) == 1 + 8 * 2 + 3


def test_labels_of_steps_without_a_name() -> None:
    """`relu` is each of them, `relu2` the second; what is beside it keeps its number."""
    assert new_and_gone("{remove: layer1.0.relu}")[1] == ["layer1.0.relu1", "layer1.0.relu2"]
    assert new_and_gone("{remove: layer1.0.relu1}") == ([], ["layer1.0.relu1"])
    assert new_and_gone("{insert: relu, after: layer1.0.conv1}") == (["layer1.0.relu"], [])
    assert new_and_gone("{remove: layer2.0.downsample.batch_norm}")[1] == ["layer2.0.downsample.1"]


def test_several_side_by_side_are_numbered() -> None:
    assert new_and_gone("{insert: {dropout: {rate: 0.1}}, after: layer1.*, as: drop}") == (
        ["layer1.drop1", "layer1.drop2"],
        [],
    )


def test_a_place_for_a_block_that_holds_none_gives_its_name() -> None:
    """`use: attention` in the library's ResNet, where no attention is chosen; where one is, the name is taken."""
    model = edited("{insert: CBAM, after: layer1.0.bn2, as: attention}").graph
    block = model.find_node("layer1.0")
    assert block is not None and isinstance(block.op, Block)
    assert block.op.find_node("add").inputs == ("attention", "downsample")  # type: ignore[union-attr]
    text = HEAD.format(
        variant="resnet18, attention: CBAM", edits="  - {insert: CBAM, after: layer1.0.bn2, as: attention}"
    )
    with pytest.raises(SpecError, match="BasicBlock already has a step 'attention'"):
        load(text)


def test_replaced_steps_take_the_same_inputs() -> None:
    model = edited("{replace: layer1.0.add, with: multiply}").graph
    block = model.find_node("layer1.0")
    assert block is not None and isinstance(block.op, Block)
    node = block.op.find_node("add")
    assert node is not None and node.inputs == ("attention", "downsample") and node.op.name == "multiply"  # type: ignore[union-attr]


def test_expressions_read_the_files_parameters_and_what_goes_in() -> None:
    model = edited(
        "{insert: {conv: {channels: x.C * reduction // 8, kernel: 1}}, after: layer4, as: wide}"
    ).graph
    assert model.find_node("wide").type["C"] == 1024  # type: ignore[union-attr]
    assert "self.wide = nn.Conv2d(512, 1024, 1)" in edited(
        "{insert: {conv: {channels: x.C * reduction // 8, kernel: 1}}, after: layer4, as: wide}"
    ).source("torch")


def test_removed_steps_pass_on_what_goes_in() -> None:
    model = edited("{remove: layer3}\n{remove: layer4}").graph
    assert model.find_node("fc").type["C"] == 1000  # type: ignore[union-attr]
    assert model.find_node("pooled").type["C"] == 128  # type: ignore[union-attr]


def test_edits_of_an_imported_file_come_before_those_of_the_importing() -> None:
    text = """
specbuild: 1
model: Twice
imports: {Edits: ./specs/edits.yaml}
inputs: {image: {C: 3, H: 12, W: 10}}
steps:
  - Edits:
    as: inner
edits:
  - replace: inner.backbone.stage2.0.attention.gate
    with: hard_sigmoid
"""
    from specbuild.compiler.pipeline import elaborate_model, open_spec
    from specbuild.frontend.source import Source

    found = elaborate_model(*open_spec(Source(text, "tests/twice.yaml"), ROOT)).full_graph
    paths = [path for _, path in found.applied_edits]
    assert "inner.backbone.stage2.0.norm2" in paths
    assert paths.count("inner.backbone.stage2.0.attention.gate") == 1


# -- one instance, one class ---------------------------------------------------------------------


def classes(edits: str, variant: str = "resnet18") -> list[str]:
    source = edited(edits, variant).source("torch")
    return [
        line.split("(")[0].removeprefix("class ") for line in source.splitlines() if line.startswith("class ")
    ]


def test_instances_that_are_edited_alike_are_one() -> None:
    before = len(distinct_blocks(build_graph(BACKBONES / "resnet.yaml", variant="resnet18")))
    assert len(distinct_blocks(edited("{replace: '**.bn1', with: instance_norm}").full_graph)) == before


def test_an_edit_of_every_instance_changes_the_class() -> None:
    assert classes("{insert: {dropout: {rate: 0.1}}, after: layer*.*.bn2}") == ["BasicBlock", "Edited"]


def test_an_edit_of_some_instances_makes_a_second_class_with_a_name_that_says_what_it_is() -> None:
    where = "after: 'layer[3-4].*.bn1'"
    assert classes(f"{{insert: {{dropout: {{rate: 0.1}}}}, {where}, as: regulariser}}") == [
        "BasicBlock",
        "BasicBlockWithRegulariser",
        "Edited",
    ]
    assert classes("{remove: layer4.*.relu2}") == ["BasicBlock", "BasicBlockWithoutRelu2", "Edited"]


def test_where_a_block_has_a_place_for_it_an_argument_says_who_has_it() -> None:
    source = edited("{insert: SqueezeExcitation, after: layer4.*.bn2, as: attention}").source("torch")
    assert "use_attention: bool = False" in source
    assert source.count("use_attention=True") == 2
    assert "    use_attention: whether it has attention\n" in source


def test_attributes_set_for_some_become_parameters_with_the_usual_value() -> None:
    source = edited("{set: layer4.*.conv2, to: {dilation: 2}}").source("torch")
    assert "dilation: int = 1" in source and "padding=dilation" in source
    assert "dilation=2" in source and classes("{set: layer4.*.conv2, to: {dilation: 2}}") == [
        "BasicBlock",
        "Edited",
    ]


# -- what is told --------------------------------------------------------------------------------


def test_notes() -> None:
    model = edited(
        "{remove: fc}\n{insert: CBAM, after: layer*.*.bn2, as: attention}\n{set: conv1, to: {stride: 1}}"
    )
    assert [note.message for note in notes.edit_notes(model.full_graph)] == [
        "removed fc",
        "inserted CBAM after 8 steps: layer1.0.bn2, layer1.1.bn2, layer2.0.bn2, 4 more, layer4.1.bn2",
        "set stride of conv1",
    ]


def test_edits_of_the_library_have_no_notes() -> None:
    """Only its own edits are news to the author of a spec."""
    model = load("""\
specbuild: 1
model: Net
imports: {ResNet: "library:backbones/keras_resnet.yaml"}
inputs: {image: {C: 3, H: 64, W: 64}}
steps:
  - ResNet: {depths: [1, 1, 1, 1]}
    as: backbone
edits:
  - {set: backbone.res_net.fc, to: {features: 7}}
""")
    found = [note.message for note in notes.edit_notes(model.full_graph)]
    assert found == ["set features of backbone.res_net.fc"]


def test_the_edit_is_blamed_after_which_the_fault_stays() -> None:
    """An edit that breaks something may be followed by one that mends it."""
    mended = "{set: layer2.0.conv1, to: {stride: 1}}\n{set: layer2.0.downsample.0, to: {stride: 1}}"
    edited(mended)
    with pytest.raises(SpecError, match="after this edit: add needs equal axes") as caught:
        edited(f"{mended}\n{{insert: {{conv: {{channels: 7}}}}, after: layer3.0.bn2}}\n{{remove: relu}}")
    assert caught.value.location is not None and "layer3.0.bn2" in caught.value.location.text
    assert caught.value.trail[0].startswith("detected at library:backbones/resnet.yaml:")


def test_a_fault_of_the_spec_is_not_blamed_on_an_edit() -> None:
    with pytest.raises(SpecError) as caught:
        load(HEAD.format(variant="resnet19", edits="  - {remove: fc}"))
    assert caught.value.location is not None and "resnet19" in caught.value.location.text


# -- what is not trained -------------------------------------------------------------------------

LEFT = ("layer4.1.", "fc.")  # what `FROZEN` leaves


def test_frozen_parts_stay_in_torch() -> None:
    model = edited(FROZEN).build("torch")
    for mode in (model, model.train(), model.eval().train()):
        before = {name: x.clone() for name, x in mode.named_buffers() if "num_batches" not in name}
        mode(torch.randn(2, 3, 64, 64))
        moved = {
            name for name, x in mode.named_buffers() if name in before and not torch.equal(x, before[name])
        }
        assert moved == {name for name in before if name.startswith(LEFT)}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith(LEFT)}


@pytest.mark.parametrize("model", [lambda: edited(FROZEN), lambda: load(ROOT / "specs" / "frozen.yaml")])
def test_frozen_parameters_are_counted(model: Callable[[], Model]) -> None:
    found = model()
    kept = sum(p.numel() for p in found.build("torch").parameters() if not p.requires_grad)
    assert 0 < found.cost.frozen == kept < found.parameters
    assert sum(share.cost.frozen for share in family_costs(found.graph).values()) == kept


@pytest.mark.slow
def test_frozen_parts_stay_in_keras(in_keras: dict[str, Any]) -> None:
    torch_model = edited(FROZEN)
    for found, around in zip(in_keras["frozen"], ("", "net/"), strict=True):
        left = tuple(around + name.replace(".", "/") for name in LEFT)
        kept = [
            (around + h.framework_path, h.is_trainable) for h in locate_weights(torch_model.graph, "keras")
        ]
        assert found["trained"] == sorted(name for name, trained in kept if trained and name.startswith(left))
        assert found["moved"] == sorted(
            name for name, trained in kept if not trained and name.startswith(left)
        )
        assert found["after loading"] == len(found["trained"])


def test_what_stands_in_a_frozen_block_is_not_named_again() -> None:
    source = edited("{freeze: 'layer[1-4].**'}").source("torch")
    assert source.count("requires_grad_") == 1 and "self.layer1," in source and "self.layer1[0]" not in source


WITHOUT_INPUT = """
specbuild: 1
model: Net
inputs: {{x: {{C: 3}}}}
steps:
  - weight: {{axes: {{C: 3}}}}
    as: bias
  - add: {{of: [x, bias], broadcast: true}}
edits:
  - {{replace: bias, with: {step}}}
"""


def test_a_step_without_inputs_is_replaced_by_another() -> None:
    for step in (
        "{weight: {axes: {C: 3}, init: ones}}",
        "{const: {axes: {C: 3}, value: 2}}",
        "relu, from: x",
    ):
        graph = build_graph(WITHOUT_INPUT.format(step=step))
        assert [node.name for node in graph.nodes] == ["bias", "add"]
        assert graph.nodes[0].inputs == (("x",) if "relu" in step else ())


def test_a_replacement_that_needs_inputs_has_to_name_them() -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(WITHOUT_INPUT.format(step="relu"))
    assert (caught.value.code, caught.value.hint) == ("SB209", "name the input with `from`")


def test_a_frozen_step_that_is_replaced_is_trained() -> None:
    assert "requires_grad_" not in edited(
        "{freeze: fc}\n{replace: fc, with: {linear: {features: 3}}}"
    ).source("torch")
    assert "requires_grad_" in edited("{replace: fc, with: {linear: {features: 3}}}\n{freeze: fc}").source(
        "torch"
    )


def test_freezing_within_some_instances_makes_a_second_class() -> None:
    assert classes("{freeze: layer1.*.bn1}") == ["BasicBlockWithFrozenBn1", "BasicBlock", "Edited"]
