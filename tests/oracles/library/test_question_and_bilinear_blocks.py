"""Fusions by products and by attention of a question: their sizes, the papers' formulas, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import (
    TOLERANCE,
    block_text,
    build_net,
    check_parity,
    compare_formula,
    make_parity_case,
    measure_distance,
    random_inputs,
    random_tensor,
)
from tests.parity_runner import ParityOf

TWO = "{x: {C: 64}, y: {C: 64}}"
REGIONS = "{question: {C: 64}, regions: {T: 16, C: 64}}"
PARAMETERS = {  # of 64 features each, as published code has them
    "FactorizedHighOrder: {features: 64, hidden: 64}": (TWO, "[x, y]", "", 91_456),
    "BlockFusion: {features: 64, hidden: 64, chunks: 4, rank: 5}": (TWO, "[x, y]", "", 23_360),
    "CompactBilinear: {features: 128}": (TWO, "[x, y]", "", 0),
    "MultiplicativeInteraction: {features: 64}": (TWO, "[x, y]", "", 270_400),
    "HighwayFusion": (TWO, "[x, y]", "", 8_256),
    "AttentionFusion: {features: 64}": (TWO, "[x, y]", "", 8_578),
    "StackedAttention: {hidden: 64}": (
        "{question: {C: 64}, regions: {R: 16, C: 64}}",
        "[question, regions]",
        "",
        2 * (2 * 64 * 64 + 64 + 65),
    ),
    "TopDownAttention: {hidden: 64}": (
        REGIONS,
        "[question, regions]",
        "{y: block.found}",
        2 * (128 * 64 + 64) + 64,
    ),
    "GlimpseFusion: {hidden: 64}": (
        "{x: {C: 64, H: 5, W: 4}, question: {C: 64}}",
        "[x, question]",
        "",
        8_386,
    ),
    "ParallelCoAttention: {hidden: 64}": (
        "{words: {T: 5, C: 64}, regions: {R: 16, C: 64}}",
        "[words, regions]",
        "{word: block.word, region: block.region}",
        12_416,
    ),
    "MultimodalAdaptationGate": (
        "{text: {T: 5, C: 64}, visual: {T: 5, C: 64}, acoustic: {T: 5, C: 64}}",
        "[text, visual, acoustic]",
        "",
        24_960,
    ),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, sources, outputs, parameters = PARAMETERS[step]
    assert load(block_text(step, inputs, sources, outputs)).parameters == parameters


def signed_root(z: Tensor, factor: int = 1) -> Tensor:
    z = z.unflatten(1, (-1, factor)).sum(2)
    return F.normalize(z.sign() * (z.abs() + 1e-12).sqrt())


def high_order(b: Any, x: Tensor, y: Tensor) -> Tensor:
    first = b.linear0_0(x) * b.linear1_0(y)
    second = b.linear0_1(x) * b.linear1_1(y) * first
    return b.linear_out(torch.cat([signed_root(first, 3), signed_root(second, 3)], 1))  # type: ignore[no-any-return]


def chunked(b: Any, x: Tensor, y: Tensor) -> Tensor:
    parts = []
    for merge, one, other in zip(b.merges, b.linear0(x).chunk(2, 1), b.linear1(y).chunk(2, 1), strict=True):
        product = merge.merge_linear0(one) * merge.merge_linear1(other)
        parts.append(signed_root(product.view(len(x), 3, 2).sum(1)))
    return b.linear_out(torch.cat(parts, 1))  # type: ignore[no-any-return]


def multiplied(b: Any, x: Tensor, y: Tensor) -> Tensor:
    products = torch.stack([(x[i][:, None, None] * b.W * y[i][:, None]).sum((0, 1)) for i in range(len(x))])
    return products + b.U(x) + b.V(y)  # type: ignore[no-any-return]


def highway(b: Any, x: Tensor, y: Tensor) -> Tensor:
    share = torch.sigmoid(b.gate(torch.cat([x, y], 1)))
    return share * x + (1 - share) * y


def attention_fusion(b: Any, *parts: Tensor) -> Tensor:
    share = b.attention(torch.cat(parts, 1)).softmax(1)
    mapped = [layer(part) for layer, part in zip(b.encoding_projections, parts, strict=True)]
    return sum(share[:, i : i + 1] * part for i, part in enumerate(mapped))  # type: ignore[return-value]


def stacked(b: Any, question: Tensor, regions: Tensor) -> Tensor:
    for hop in b.hops:
        h = torch.tanh(regions @ hop.image_map.weight.T + hop.question_map(question)[:, None])
        share = (h @ hop.score.weight[0] + hop.score.bias).softmax(1)
        question = question + (share[..., None] * regions).sum(1)
    return question


def top_down(b: Any, question: Tensor, regions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    both = torch.cat([regions, question[:, None].expand(-1, regions.shape[1], -1)], 2)
    score = (torch.tanh(b.inner(both)) * torch.sigmoid(b.gate(both))) @ b.score.weight[0]
    share = score.masked_fill(~mask, -torch.inf).softmax(1)
    return (share[..., None] * regions).sum(1), share


def glimpse(b: Any, x: Tensor, question: Tensor) -> Tensor:
    x = F.normalize(x)
    inner = torch.relu(F.conv2d(x, b.v_conv.weight) + b.q_lin(question)[..., None, None])
    share = b.x_conv(inner).flatten(2).softmax(2)
    return (share @ x.flatten(2).transpose(1, 2)).flatten(1)


def parallel(b: Any, words: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    q, v = words.transpose(1, 2), regions.transpose(1, 2)
    c = torch.tanh(words @ b.W_b.weight.T @ v)
    wv, wq = b.W_v.weight @ v, b.W_q.weight @ q
    region = torch.softmax(b.w_hv.weight @ torch.tanh(wv + wq @ c), 2)
    word = torch.softmax(b.w_hq.weight @ torch.tanh(wq + wv @ c.transpose(1, 2)), 2)
    return (word * q).sum(2), (region * v).sum(2)


def bilinear_attention(b: Any, regions: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    u, v = torch.relu(b.U(regions)), torch.relu(b.V(words))
    logits = torch.stack([(u * p) @ v.transpose(1, 2) + o for p, o in zip(b.p, b.offset, strict=True)], 1)
    share = logits.flatten(2).softmax(2).view_as(logits)
    joint = (u[:, None].transpose(2, 3) @ share * v[:, None].transpose(2, 3)).sum(3)
    return joint, share


def adapted(b: Any, text: Tensor, visual: Tensor, acoustic: Tensor) -> Tensor:
    seen = torch.relu(b.W_hv(torch.cat([visual, text], 2))) * b.W_v(visual)
    heard = torch.relu(b.W_ha(torch.cat([acoustic, text], 2))) * b.W_a(acoustic)
    move = seen + heard
    share = text.norm(dim=2) / (move.norm(dim=2) + 1e-6) * 0.5
    return b.LayerNorm(text + share.clamp(max=1)[..., None] * move)  # type: ignore[no-any-return]


def bottleneck(b: Any, *streams: Tensor) -> tuple[Tensor, ...]:
    *own, shared = streams
    found, said = [], []
    for part, x in zip((b.x_layer, b.y_layer), own, strict=True):
        layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True, norm_first=True)
        state = {}
        for name, value in part.named_parameters():
            if name.startswith("self_attn.query."):
                kind = name.rpartition(".")[2]
                parts = [part.get_parameter(f"self_attn.{p}.{kind}") for p in ("query", "key", "value")]
                state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
            elif not name.startswith(("self_attn.key.", "self_attn.value.")):
                state[name.replace(".project.", ".out_proj.")] = value
        y = functional_call(layer, state, (torch.cat([x, shared], 1),))
        found.append(y[:, : x.shape[1]])
        said.append(y[:, x.shape[1] :])
    return (*found, (said[0] + said[1]) / 2)


VECTORS = "{x: {C: 5}, y: {C: 7}}"
CASES: dict[str, tuple[str, str, str, Callable[..., Any]]] = {  # inputs, sources, outputs, the reference
    "FactorizedHighOrder: {features: 4, hidden: 6, factor: 3, dropout: 0}": (
        VECTORS,
        "[x, y]",
        "",
        high_order,
    ),
    "BlockFusion: {features: 5, hidden: 4, chunks: 2, rank: 3}": (VECTORS, "[x, y]", "", chunked),
    "MultiplicativeInteraction: {features: 4}": (VECTORS, "[x, y]", "", multiplied),
    "HighwayFusion: {}": ("{x: {C: 5}, y: {C: 5}}", "[x, y]", "", highway),
    "AttentionFusion: {features: 4}": (
        "{x: {C: 5}, y: {C: 7}, z: {C: 3}}",
        "[x, y, z]",
        "",
        attention_fusion,
    ),
    "StackedAttention: {hidden: 6}": (
        "{question: {C: 8}, regions: {R: 5, C: 8}}",
        "[question, regions]",
        "",
        stacked,
    ),
    "TopDownAttention: {hidden: 6}": (
        "{question: {C: 4}, regions: {T: 5, C: 8}, mask: {axes: {T: 5}, dtype: bool}}",
        "[question, regions, mask]",
        "{found: block.found, share: block.share}",
        top_down,
    ),
    "GlimpseFusion: {hidden: 6, dropout: 0}": (
        "{x: {C: 8, H: 3, W: 4}, question: {C: 5}}",
        "[x, question]",
        "",
        glimpse,
    ),
    "ParallelCoAttention: {hidden: 6}": (
        "{words: {T: 5, C: 8}, regions: {R: 7, C: 4}}",
        "[words, regions]",
        "{word: block.word, region: block.region}",
        parallel,
    ),
    "BilinearAttention: {hidden: 6}": (
        "{regions: {R: 5, C: 8}, words: {T: 7, C: 4}}",
        "[regions, words]",
        "{joint: {of: block.joint, order: [G, C]}, share: {of: block.share, order: [G, R, T]}}",
        bilinear_attention,
    ),
    "MultimodalAdaptationGate: {beta: 0.5, dropout: 0}": (
        "{text: {T: 5, C: 8}, visual: {T: 5, C: 4}, acoustic: {T: 5, C: 3}}",
        "[text, visual, acoustic]",
        "",
        adapted,
    ),
    "BottleneckFusion: {heads: 2, hidden: 12, dropout: 0}": (
        "{x: {T: 5, C: 8}, y: {T: 7, C: 8}, shared: {T: 2, C: 8}}",
        "[x, y, shared]",
        "{x: block.x, y: block.y, shared: block.shared}",
        bottleneck,
    ),
}
SKETCH = "CompactBilinear: {features: 6, seed: 3}"  # few places: none stays empty, where the root of rounding would stand


def text_of(step: str) -> str:
    if step == SKETCH:
        return block_text(SKETCH, VECTORS, "[x, y]")
    inputs, sources, outputs, _ = CASES[step]
    return block_text(step, inputs, sources, outputs)


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    inputs, _, _, reference = CASES[step]
    compare_formula(text_of(step), reference, random_inputs(inputs))


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step))


@pytest.mark.parametrize("step", [*CASES, SKETCH])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


@torch.no_grad()
def test_compact_bilinear_is_the_sketch_of_all_products() -> None:
    """Of the outer product, with the sum of both places and the product of both signs (arXiv 1606.01847, section 3.1)."""
    x, y = random_tensor(3, 5), random_tensor(3, 7, seed=1)
    net: Any = build_net(text_of(SKETCH), [x, y])
    sketches = []
    for seed, size in ((3, 5), (4, 7)):
        alone = block_text(f"CountSketch: {{features: 6, seed: {seed}}}", f"{{x: {{C: {size}}}}}")
        sketches.append(load(alone).build("torch")(torch.eye(size)))
    for sketch in sketches:
        assert (sketch.abs().sum(1) == 1).all() and ((sketch == 0) | (sketch.abs() == 1)).all()
    total = torch.zeros(3, 6)
    for i, one in enumerate(sketches[0]):
        for j, other in enumerate(sketches[1]):
            place = (int(one.abs().argmax()) + int(other.abs().argmax())) % 6
            total[:, place] += one.sum() * other.sum() * x[:, i] * y[:, j]
    assert (
        measure_distance(net(x, y), signed_root(total)) < TOLERANCE * 1e3
    )  # places that are 0 hold rounding
