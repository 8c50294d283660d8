"""The systems do what their descriptions say: where a published source is wrong, the spec is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from specbuild.compiler.pipeline import build_graph, compile_source

SPECS = Path(__file__).parents[2] / "specs"


def made(name: str, variant: str | None = None) -> nn.Module:
    """A system's PyTorch model, ready for inference, with weights that hide nothing."""
    model = build_graph(SPECS / f"{name}.yaml", variant=variant)
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(compile_source(model, "torch"), f"{name}.py", "exec"), scope)
    torch.manual_seed(0)
    net = scope[model.name]()
    assert isinstance(net, nn.Module)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return net.eval()


def gains(block: nn.Module, channels: int) -> torch.Tensor:
    """By how much a gate scales each number of a map of ones with some noise."""
    x = 1 + 0.5 * torch.rand(2, channels, 6, 5)
    with torch.no_grad():
        return block(x) / x


@pytest.mark.parametrize("variant", ["one_layer", "squeezed"])
def test_channel_attention_scales_whole_channels(variant: str) -> None:
    gain = gains(made("micro_expression_channel_attention", variant).get_submodule("attention"), 128)
    torch.testing.assert_close(gain, gain[:, :, :1, :1].expand_as(gain))
    assert gain[0, :, 0, 0].std() > 1e-3
    assert gain.min() > 0 and gain.max() < 1


@pytest.mark.parametrize("variant", ["convolved", "pooled"])
def test_spatial_attention_keeps_a_map(variant: str) -> None:
    gain = gains(made("spatial_attention_net", variant).get_submodule("attention1"), 128)
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain))
    assert gain[0, 0].std() > 1e-3
    assert gain.min() > 0 and gain.max() < 1


def test_attention_map_comes_out() -> None:
    scores, attention_map = made("micro_expression_spatial_attention")(torch.randn(2, 3, 64, 64))
    assert scores.shape == (2, 5)
    assert attention_map.shape == (2, 1, 8, 8)
    assert attention_map.std() > 1e-3


def test_log_probabilities() -> None:
    y = made("spatial_attention_net")(torch.randn(3, 3, 32, 32))
    torch.testing.assert_close(y.exp().sum(1), torch.ones(3))


@pytest.mark.parametrize("size", [24, 31])
def test_behaviour_in_pictures_of_other_sizes(size: int) -> None:
    assert made("behavior_net")(torch.randn(2, 3, size, size)).shape == (2, 5)


def test_embeddings_have_length_one() -> None:
    y = made("face_recognition_spatial_attention")(torch.randn(4, 1, 50, 50))
    torch.testing.assert_close(y.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize("variant", ["learned", "summed"])
def test_padding_counts_nothing(variant: str) -> None:
    net = made("additive_feature_fusion", variant)
    audio, video = torch.randn(2, 40, 64), torch.randn(2, 16, 128)
    heard, seen = torch.ones(2, 40, dtype=torch.bool), torch.ones(2, 16, dtype=torch.bool)
    heard[0, 30:] = False
    seen[0, 5:] = False
    y = net(audio, video, heard, seen)
    other_audio, other_video = audio.clone(), video.clone()
    other_audio[0, 30:] = 9.0
    other_video[0, 5:] = -9.0
    torch.testing.assert_close(net(other_audio, other_video, heard, seen), y)
    assert (net(other_audio, other_video, heard | True, seen | True) - y)[0].abs().max() > 1e-3


def test_additive_attention() -> None:
    net = made("additive_feature_fusion").get_submodule("attention")
    h = torch.randn(2, 7, 64)
    score = torch.tanh(h @ net.hidden.weight.T + net.hidden.bias) @ net.score.weight.T
    torch.testing.assert_close(
        net(h, torch.ones(2, 7, dtype=torch.bool)), (torch.softmax(score, 1) * h).sum(1)
    )


@pytest.mark.parametrize("variant", ["learned_query", "mean_query"])
def test_fusion_weighs_the_cameras(variant: str) -> None:
    fusion = made("face_antispoof_fusion", variant).get_submodule("fusion")
    sources = torch.randn(2, 3, 128)
    learned = dict(fusion.named_parameters())
    assert list(learned) == (["query"] if variant == "learned_query" else [])
    query = learned["query"].expand(2, 128) if learned else sources.mean(1)
    share = torch.softmax(torch.einsum("bsc,bc->bs", sources, query), 1)
    torch.testing.assert_close(fusion(sources), torch.einsum("bs,bsc->bc", share, sources))


def test_self_attention_over_sources() -> None:
    net = made("self_attention_fusion").get_submodule("attention")
    x = torch.randn(2, 3, 128)
    q, k, v = (x @ net.get_submodule(name).weight.T for name in ("query", "key", "value"))
    torch.testing.assert_close(net(x), torch.softmax(q @ k.mT / 128**0.5, -1) @ v)


@pytest.mark.parametrize(
    ("name", "length", "width"),
    [("conv1d_multihead_timeseries", 10, 32), ("micro_expression_self_attention", 30, 64)],
)
def test_every_step_asks_all_steps(name: str, length: int, width: int) -> None:
    """Heads cut by a mere reshape would mix steps with channels: a step would then see only a few others."""
    net = made(name).get_submodule("attention")
    x = torch.randn(1, length, width, requires_grad=True)
    net(x)[0, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad[0].abs().amax(1) > 0).all()


def test_heads_are_those_of_pytorch() -> None:
    net = made("conv1d_multihead_timeseries").get_submodule("attention")
    theirs = nn.MultiheadAttention(32, 4, batch_first=True)
    ours = {name: net.get_submodule(name) for name in ("query", "key", "value", "project")}
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours[n].weight for n in ("query", "key", "value")]))
        theirs.in_proj_bias.copy_(torch.cat([ours[n].bias for n in ("query", "key", "value")]))
        theirs.out_proj.load_state_dict(ours["project"].state_dict())
    x = torch.randn(2, 10, 32)
    torch.testing.assert_close(net(x), theirs(x, x, x)[0])


def test_one_answer_for_a_sequence() -> None:
    assert made("micro_expression_self_attention")(torch.randn(2, 30, 64)).shape == (2, 5)
    assert made("conv1d_multihead_timeseries")(torch.randn(2, 10, 5)).shape == (2, 1)


def attentions(variant: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pooling of the Xception system, a last map, the map with its channels scaled, and the weighted average."""
    pooling = made("multi_attention_xception", variant).get_submodule("pooling")
    x = torch.rand(2, 2048, 3, 3)
    share = torch.softmax(pooling.get_submodule("average").get_submodule("score")(x).flatten(2), -1)
    average = (x.flatten(2) * share).sum(-1)
    return pooling, x, pooling.get_submodule("scaled")(x), average


def test_weighted_average_of_the_same_map() -> None:
    pooling, x, scaled, average = attentions("corrected")
    m = pooling.get_submodule("spatial_map")(scaled)
    attended = (m * scaled).mean((2, 3))
    weighted = (m * scaled).sum((2, 3)) / m.sum((2, 3))
    torch.testing.assert_close(pooling(x), (attended + weighted) / 2 + average)


def test_quirks_of_the_original_are_kept() -> None:
    pooling, x, scaled, average = attentions("faithful")
    assert (scaled / x).min() >= 0.5
    first, second = (pooling.get_submodule(name)(scaled) for name in ("spatial_map", "second_map"))
    pooled = ((first * scaled).mean((2, 3)) + second.mean((2, 3))) / 2
    torch.testing.assert_close(pooling(x), pooled + average)
