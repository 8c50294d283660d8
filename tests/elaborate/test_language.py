"""What each small spec of tests/specs/ is there to show."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError

SPECS = Path(__file__).parents[1] / "specs"


def text(name: str, backend: str = "torch", variant: str | None = None, **params: Any) -> str:
    return compile_source(build_graph(SPECS / f"{name}.yaml", params, variant), backend)


def made(name: str, variant: str | None = None, **params: Any) -> nn.Module:
    model = build_graph(SPECS / f"{name}.yaml", params, variant)
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(compile_source(model, "torch"), f"{name}.py", "exec"), scope)
    torch.manual_seed(0)
    net = scope[model.name]()
    assert isinstance(net, nn.Module)
    return net.eval()


def holders(net: nn.Module) -> set[str]:
    """The first part of every weight's path."""
    return {path.partition(".")[0] for path in net.state_dict()}


def refused(name: str, old: str, new: str) -> SpecError:
    """The complaint about a spec in which one thing is changed."""
    source = (SPECS / f"{name}.yaml").read_text()
    assert source.count(old) == 1
    with pytest.raises(SpecError) as caught:
        build_graph(source.replace(old, new))
    return caught.value


def line(error: SpecError) -> int:
    assert error.location is not None
    return error.location.line


def test_taps() -> None:
    head, first, second, group = made("taps")(torch.randn(2, 3, 12, 10))
    assert head.shape == (2, 3)
    assert first.shape == second.shape == group.shape == (2, 4, 12, 10)
    assert not torch.equal(second, group)


def test_tap_into_nothing() -> None:
    error = refused("taps", "trunk.stage.1.norm", "trunk.stage.1.nrom")
    assert (error.code, line(error)) == ("SB202", 29)
    assert "did you mean 'trunk.stage.1.norm'" in error.hint


def test_what_no_output_needs_is_dropped() -> None:
    assert set(made("dropped").state_dict()) == {
        f"trunk.{n}.{w}" for n in ("first", "second") for w in ("weight", "bias")
    }


def test_imported_model_before_its_classifier() -> None:
    net = made("imports")
    assert holders(net) == {"backbone", "gate", "head"}
    assert set(net.get_submodule("backbone").state_dict()) == {"conv1.weight", "conv1.bias"}
    assert net.state_dict()["backbone.conv1.weight"].shape[0] == 8  # of the variant `wide`


def test_reuse() -> None:
    net = made("reuse")
    assert holders(net) == {"encoder", "project", "score"}
    left, right = torch.randn(2, 1, 2, 8, 8)
    torch.testing.assert_close(net(left, right), net(right, left))


def test_reuse_in_a_repeat() -> None:
    assert set(made("tied").state_dict()) == {
        f"pair.{i}.cell.{w}" for i in (0, 1) for w in ("weight", "bias")
    }


def test_groups() -> None:
    assert {"stem.0.weight", "stem.1.running_var", "body.1.0.bias", "projection.0.weight"} <= set(
        made("groups").state_dict()
    )
    assert "projection" not in holders(made("groups", "same"))
    assert holders(made("groups", "flat")) == {"stem", "projection"}
    assert "body.4.0.weight" in made("groups", "deep").state_dict()


def test_branches_are_named() -> None:
    assert {
        "narrow.0.weight",
        "wide.0.weight",
        "pooled.1.weight",
        "value.weight",
        "gate.0.weight",
        "there.weight",
    } <= set(made("branches").state_dict())


def test_expected_shape() -> None:
    error = refused("expect", "{C: width, H: 2, W: 3}", "{C: width, H: 2, W: 4}")
    assert (error.code, line(error)) == ("SB402", 10)
    assert "{C: 6, H: 2, W: 4}" in error.message and "{C: 6, H: 2, W: 3}" in error.message


def test_table() -> None:
    x = torch.randn(2, 6, 4)
    position = torch.tensor([[math.sin(t / 10 ** (c / 4)) for c in range(4)] for t in range(6)])
    torch.testing.assert_close(made("table")(x), x.cumsum(1) + position)


def test_lists() -> None:
    net = made("list_params", "deep")
    assert net.state_dict()["stage2.layers_.2.0.weight"].shape == (6, 6, 5, 3)
    assert "widths: tuple[int, ...] = (4, 6)" in text("list_params")


def test_blocks_as_parameters() -> None:
    assert "cell1.attention.linear1.weight" in made("block_params").state_dict()
    assert "cell1.attention.conv.weight" in made("block_params", "other").state_dict()
    assert not any("attention" in path for path in made("block_params", "bare").state_dict())
    assert 'approximate="tanh"' in text("block_params", variant="smooth")
    assert made("block_params").state_dict()["scaled.layer.weight"].shape == (16, 8, 3, 3)


def test_named_outputs() -> None:
    zeta, alpha, same = made("outputs_mapping")(x := torch.randn(2, 5, 4))
    assert (zeta.shape, alpha.shape) == ((2, 3), (2, 5, 6))
    torch.testing.assert_close(same, x)
    assert '"zeta": ' in text("outputs_mapping", "keras")


def test_listed_outputs() -> None:
    pooled, first, trunk = made("outputs_list")(torch.randn(2, 3, 8, 8))
    assert (pooled.shape, first.shape, trunk.shape) == ((2, 5), (2, 4, 8, 8), (2, 5, 8, 8))


def test_outputs_of_a_block() -> None:
    scores, large = made("block_outputs")(torch.randn(2, 3, 8, 8))
    assert (scores.shape, large.shape) == ((2, 2), (2, 4, 8, 8))


def test_integers() -> None:
    net = made("integers")
    tokens, zeros = torch.randint(0, 20, (2, 7), dtype=torch.int32), torch.zeros(2, 7, 8)
    torch.testing.assert_close(net(tokens, zeros), net.state_dict()["embed.weight"][tokens.long()].mean(1))


def test_numbered_members() -> None:
    net = made("counted")
    assert [net.state_dict()[f"stack.{i}.conv.weight"].shape[0] for i in range(4)] == [4, 8, 12, 16]
    assert net(torch.randn(1, 3, 16, 16)).shape == (1, 16, 8, 8)
    assert (net(torch.randn(1, 3, 16, 16)) < 0).any()  # the last member has no ReLU


def test_descriptions_are_told() -> None:
    for backend in ("torch", "keras"):
        source = text("described", backend)
        for told in (
            "# a comment above a layer",
            "# the whole cell",
            "# two lines",
            "width: channels of the hidden layer",
            "A documented block.",
        ):
            assert told in source
        assert '"quotes", a back\\\\slash, {braces} and a # sign.' in source


def test_several_inputs() -> None:
    net = made("several_inputs")
    assert net.state_dict()["forth.m.weight"].shape == (3 + 7, 7)
    assert net.state_dict()["back.q.weight"].shape == (8, 7)
    assert net(torch.randn(2, 3, 6, 5), torch.randn(2, 4, 7)).shape == (2, 6 + 8)


def test_words_in_text() -> None:
    assert 'approximate="tanh"' in text("words", variant="fast")
    assert "norm_" not in holders(made("words", "fast"))
    assert made("words", "other")(torch.randn(2, 4, 6, 5)).shape == (2, 4, 6)
    assert made("words").state_dict()["conv.weight"].std() == pytest.approx(0.05, rel=0.3)


def test_free_weights_begin_as_told() -> None:
    state = made("weights").state_dict()
    assert state["position"].std() == pytest.approx(0.02, rel=0.5)
    assert state["gamma"].tolist() == pytest.approx([1e-5] * 4)
    assert state["alpha"].shape == (1,) and state["alpha"] == 0


def test_defaults_that_speak_of_others() -> None:
    assert [w.shape[0] for n, w in made("defaults").state_dict().items() if n.endswith("weight")] == [
        16,
        18,
        4,
    ]
    assert [w.shape[0] for n, w in made("defaults", "odd").state_dict().items() if n.endswith("weight")] == [
        13,
        16,
        3,
    ]
    assert made("defaults", width=2).state_dict()["conv1.weight"].shape[0] == 8


def test_repeats() -> None:
    net = made("repeats")
    assert net(torch.randn(2, 6, 4), torch.randn(2, 3, 5)).shape == (2, 6, 5)
    assert {"decoder.2.mine.weight", "once.0.weight", "layers_.1.weight"} <= set(net.state_dict())
    assert "never" not in holders(net)


def test_nested_names() -> None:
    assert {
        "outer.inner.0.weight",
        "outer.norm.weight",
        "body.1.left.0.weight",
        "body.1.right.weight",
        "deep.0.2.weight",
    } <= set(made("nested").state_dict())


def test_steps_without_a_name_leave_names_to_the_author() -> None:
    """Whether the author's comes before or after."""
    assert holders(made("given_names")) == {"conv1", "conv", "conv2", "conv3"}


def test_maps_and_sequences() -> None:
    assert made("sequence")(torch.randn(2, 3, 8, 6)).shape == (2, 2, 8, 6)


def test_variants() -> None:
    assert made("backbone", "wide").state_dict()["conv1.weight"].shape[0] == 8
    assert made("backbone", "wide", width=5).state_dict()["conv1.weight"].shape[0] == 5
    with pytest.raises(SpecError) as caught:
        build_graph(SPECS / "backbone.yaml", variant="wild")
    assert "did you mean 'wide'" in caught.value.hint


def test_a_row_with_values_that_are_read_is_called_in_pieces() -> None:
    """Its layers stay one row, under the names that they would have; values are those of its members."""
    net = made("pieces")
    assert isinstance(net.first, nn.Sequential) and "0.conv.weight" in net.first.state_dict()
    image = torch.randn(2, 3, 16, 12)
    _, one, three, *_ = net(image)
    x = net.first[0](image)
    assert torch.equal(one, x) and torch.equal(three, net.first[2](net.first[1](x)))
    assert "stage_3 = self.stage[2:4](stage_1)" in text("pieces")


def test_a_step_with_a_given_kernel_is_called_what_the_file_calls_it() -> None:
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 3, H: 8, W: 8}}\nsteps:\n"
        "  - weight: {axes: {O: 4, I: 3, H: 3, W: 3}}\n    as: k\n"
        "  - conv: {weight: k}\n    from: x\n  - relu\n  - add: [prev, conv]\n"
    )
    assert [node.name for node in build_graph(text).nodes] == ["k", "conv", "relu", "add"]
