"""Layers of transformers: the modules of PyTorch and timm, the formulas of the papers, and both backends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    compare_with,
    make_parity_case,
    random_inputs,
    random_tensor,
)
from tests.parity_runner import ParityOf

transformer = lazy_module("timm.models.vision_transformer")
timm_mlp = lazy_module("timm.layers.mlp")
pos_embed = lazy_module("timm.layers.pos_embed_sincos")

TOKENS = "{x: {T: 16, C: 64}}"
PAIR = "{x: {T: 16, C: 64}, memory: {S: 5, C: 64}}"
PARAMETERS = {  # of 64 features and 8 heads, with perceptrons of four times the width
    "TransformerEncoderLayer: {hidden: 256}": (TOKENS, 49_984),
    "TransformerDecoderLayer: {hidden: 256}": (PAIR, 66_752),
    "VisionTransformerLayer: {heads: 8}": (TOKENS, 49_984),
    "GatedPerceptron: {hidden: 172, bias: true}": (TOKENS, 33_432),
    "RotaryAttention: {kv_heads: 2}": (TOKENS, 10_240),
    "GptLayer: {heads: 8}": (TOKENS, 49_984),
    "LayerScale": (TOKENS, 64),
    "CrossAttentionLayer": (PAIR, 50_112),
    "CrossmodalLayer": (PAIR, 49_984),
    "GatedCrossAttention": (PAIR, 49_410),
    "CoAttention": (PAIR, 99_968),
    "RotaryPosition": (TOKENS, 0),
    "LinearBias": (TOKENS, 0),
    "RelativePositionBias": (TOKENS, 256),
}


def listed(inputs: str) -> str:
    return "[x, memory]" if "memory" in inputs else "x"


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    inputs, parameters = PARAMETERS[step]
    outputs = "{x: block.x, y: block.y}" if step == "CoAttention" else ""
    assert load(block_text(step, inputs, listed(inputs), outputs)).parameters == parameters


def heads_of(
    b: Any, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, heads: int = 4, **more: Any
) -> Tensor:
    """PyTorch's own attention, with the weights of a MultiHeadAttention; `mask` is added to the scores."""
    memory = x if memory is None else memory
    layers = [b.query, b.key, b.value]
    bias = None if b.query.bias is None else torch.cat([layer.bias for layer in layers])
    result, _ = F.multi_head_attention_forward(
        x.transpose(0, 1),
        memory.transpose(0, 1),
        memory.transpose(0, 1),
        b.query.weight.shape[0],
        heads,
        None,
        bias,
        None,
        None,
        False,
        0.0,
        b.project.weight,
        b.project.bias,
        training=False,
        need_weights=False,
        attn_mask=mask,
        use_separate_proj_weight=True,
        q_proj_weight=b.query.weight * more.get("factor", 1),
        k_proj_weight=b.key.weight,
        v_proj_weight=b.value.weight,
    )
    return result.transpose(0, 1)


def later(count: int) -> Tensor:
    return torch.full((count, count), -math.inf).triu(1)


def pytorch_state(b: nn.Module, renamed: dict[str, str]) -> dict[str, Tensor]:
    """The weights of a layer under PyTorch's names; those of queries, keys and values are one."""
    state = {}
    for name, value in b.named_parameters():
        attention, _, rest = name.partition(".")
        if rest.startswith(("key.", "value.")):
            continue
        if rest.startswith("query."):
            parts = [b.get_parameter(f"{attention}.{p}.{rest[6:]}") for p in ("query", "key", "value")]
            state[f"{attention}.in_proj_{rest[6:]}"] = torch.cat(parts)
        else:
            state[name.replace(".project.", ".out_proj.")] = value
    return {renamed.get(key, key): value for key, value in state.items()}


def pytorch_encoder(**options: Any) -> Callable[..., Tensor]:
    def reference(b: nn.Module, x: Tensor) -> Tensor:
        layer = nn.TransformerEncoderLayer(24, 4, 32, 0.0, batch_first=True, **options)
        return functional_call(layer, pytorch_state(b, {}), (x,))  # type: ignore[no-any-return]

    return reference


def pytorch_decoder(**options: Any) -> Callable[..., Tensor]:
    def reference(b: nn.Module, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        layer = nn.TransformerDecoderLayer(24, 4, 32, 0.0, batch_first=True, **options)
        allowed = None if mask is None else ~mask
        masks = {"tgt_mask": later(7), "memory_key_padding_mask": allowed}
        return functional_call(layer, pytorch_state(b, {}), (x, memory), masks)  # type: ignore[no-any-return]

    return reference


def turn(x: Tensor, halves: bool, base: float = 10000.0) -> Tensor:
    """Equation 34 of arXiv 2104.09864, as a product of complex numbers."""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[-2])[:, None] * base ** (-torch.arange(half) / half)
    parts = x.unflatten(-1, (2, half)).transpose(-1, -2) if halves else x.unflatten(-1, (half, 2))
    turned = torch.view_as_complex(parts.contiguous()) * torch.polar(torch.ones_like(angle), angle)
    result = torch.view_as_real(turned)
    return (result.transpose(-1, -2) if halves else result).flatten(-2)


def rotary(b: Any, x: Tensor, halves: bool = True, causal: bool = True, base: float = 10000.0) -> Tensor:
    size = 6
    q, k, v = (layer(x).unflatten(-1, (-1, size)).transpose(1, 2) for layer in (b.q_proj, b.k_proj, b.v_proj))
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = turn(q, halves, base) @ turn(k, halves, base).transpose(2, 3) / size**0.5
    scores = scores + later(x.shape[1]) if causal else scores
    return b.o_proj((scores.softmax(3) @ v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def root_norm(layer: Any, x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * layer.weight  # type: ignore[no-any-return]


def swiglu(b: Any, x: Tensor) -> Tensor:
    gate = x @ b.gate_proj.weight.T
    return (gate * torch.sigmoid(gate) * (x @ b.up_proj.weight.T)) @ b.down_proj.weight.T  # type: ignore[no-any-return]


def llama(b: Any, x: Tensor) -> Tensor:
    x = x + rotary(b.self_attn, root_norm(b.input_layernorm, x), base=500.0)
    return x + swiglu(b.mlp, root_norm(b.post_attention_layernorm, x))


def gpt(b: Any, x: Tensor) -> Tensor:
    q, k, v = (part.unflatten(2, (4, 6)).transpose(1, 2) for part in b.attn.qkv(b.ln_1(x)).chunk(3, 2))
    found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + b.attn.project(found.transpose(1, 2).flatten(2))
    inner = b.c_fc(b.ln_2(x))
    inner = 0.5 * inner * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
    return x + b.c_proj(inner)  # type: ignore[no-any-return]


def t5_encoder(b: Any, x: Tensor, bias: Tensor) -> Tensor:
    scores = bias.flatten(0, 1)
    x = x + heads_of(b.attention, root_norm(b.norm1, x), mask=scores, factor=6**0.5)
    return x + b.wo(torch.relu(b.wi(root_norm(b.norm2, x))))  # type: ignore[no-any-return]


def t5_decoder(b: Any, x: Tensor, memory: Tensor) -> Tensor:
    x = x + heads_of(b.attention, root_norm(b.norm1, x), mask=later(7), factor=6**0.5)
    x = x + heads_of(b.cross.attention, root_norm(b.cross.norm, x), memory, factor=6**0.5)
    y = root_norm(b.norm2, x)
    gate = F.gelu(b.inner.wi_0(y), approximate="tanh")
    return x + b.wo(gate * b.inner.wi_1(y))  # type: ignore[no-any-return]


def perceptron(b: Any, x: Tensor, activate: Callable[[Tensor], Tensor] = F.gelu) -> Tensor:
    return b.fc2(activate(b.fc1(x)))  # type: ignore[no-any-return]


def cross(b: Any, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
    added = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)[:, None, None].expand(-1, 4, 7, -1)
    x = x + heads_of(b.attention, b.norm1(x), b.norm_memory(memory), added.flatten(0, 1))
    return x + perceptron(b.mlp, b.norm2(x))


def crossmodal(b: Any, x: Tensor, memory: Tensor) -> Tensor:
    b = b.layer
    x = x + heads_of(b.attention, b.norm1(x), b.norm1(memory))
    return x + perceptron(b.mlp, b.norm2(x), torch.relu)


def flamingo(b: Any, x: Tensor, memory: Tensor) -> Tensor:
    x = x + torch.tanh(b.attn_gate) * heads_of(b.attn, b.norm1(x), memory)
    return x + torch.tanh(b.ff_gate) * perceptron(b, b.norm2(x))


def resampler(b: Any, x: Tensor) -> Tensor:
    latents = b.latents.expand(len(x), -1, -1)
    for layer in b.stack:
        asking = layer.norm_latents(latents)
        seen = torch.cat([layer.norm_media(x), asking], 1)
        latents = latents + heads_of(layer.attn, asking, seen)
        latents = latents + perceptron(layer, layer.norm(latents))
    return b.norm(latents)  # type: ignore[no-any-return]


def co_attention(b: Any, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    found = []
    for half, own, other in ((b.x_layer, x, y), (b.co_attention_half, y, x)):
        own = half.norm1(own + heads_of(half.attention, own, other))
        found.append(half.norm2(own + perceptron(half.mlp, own)))
    return tuple(found)


def query_transformer(b: Any, features: Tensor) -> Tensor:
    x = b.norm(b.query_tokens).expand(len(features), -1, -1)
    for pair in b.layers:
        one = pair.first
        x = one.norm1(x + heads_of(one.self_attn, x))
        x = one.norm2(x + heads_of(one.multihead_attn, x, features))
        x = one.norm3(x + one.linear2(F.gelu(one.linear1(x))))
        two = pair.second
        x = two.norm1(x + heads_of(two.self_attn, x))
        x = two.norm2(x + two.linear2(F.gelu(two.linear1(x))))
    return x


def conformer(b: Any, x: Tensor) -> Tensor:
    def half(part: Any, x: Tensor) -> Tensor:
        return 0.5 * part.linear2(F.silu(part.linear1(part.norm(x))))  # type: ignore[no-any-return]

    x = x + half(b.ffn1, x)
    x = x + heads_of(b.self_attn, b.self_attn_layer_norm(x))
    part = b.conv_module
    y = F.glu(part.pointwise1(part.layer_norm(x)), 2).transpose(1, 2)
    y = F.conv1d(y, part.depthwise.weight, part.depthwise.bias, padding=2, groups=24)
    norm = part.norm
    y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    x = x + part.pointwise2(F.silu(y).transpose(1, 2))
    x = x + half(b.ffn2, x)
    return b.final_layer_norm(x)  # type: ignore[no-any-return]


def place_in_bucket(offset: int, both_ways: bool) -> int:
    """Section 2.1 of arXiv 1910.10683, for 8 buckets and distances up to 16."""
    side, first = (4, 4 if offset > 0 else 0) if both_ways else (8, 0)
    distance = abs(offset) if both_ways else max(-offset, 0)
    exact = side // 2
    if distance < exact:
        return first + distance
    grown = exact
    while (
        grown < side - 1 and distance >= exact * (16 / exact) ** ((grown + 1 - exact) / (side - exact)) - 1e-9
    ):
        grown += 1
    return first + grown


def relative_bias(both_ways: bool) -> Callable[..., Tensor]:
    def reference(b: Any, x: Tensor) -> Tensor:
        count = range(x.shape[1])
        index = torch.tensor([[place_in_bucket(s - t, both_ways) for s in count] for t in count])
        return b.relative_attention_bias[:, index]  # type: ignore[no-any-return]

    return reference


X, MEMORY = "x: {T: 7, C: 24}", "memory: {S: 5, C: 24}"
ONE, TWO = f"{{{X}}}", f"{{{X}, {MEMORY}}}"
MASKED = f"{{{X}, {MEMORY}, mask: {{axes: {{S: 5}}, dtype: bool}}}}"
LONG = "{x: {T: 23, C: 4}}"
NAMED = "{x: x, memory: memory, mask: mask}"
CASES: dict[str, tuple[str, str, Callable[..., Any]]] = {  # inputs, what the block reads, the reference
    "TransformerEncoderLayer: {heads: 4, hidden: 32, dropout: 0}": (ONE, "x", pytorch_encoder()),
    "TransformerEncoderLayer: {heads: 4, hidden: 32, dropout: 0, norm_first: true, activation: gelu}": (
        ONE,
        "x",
        pytorch_encoder(norm_first=True, activation="gelu"),
    ),
    "TransformerDecoderLayer: {heads: 4, hidden: 32, dropout: 0}": (
        MASKED,
        "{x: x, memory: memory, memory_mask: mask}",
        pytorch_decoder(),
    ),
    "TransformerDecoderLayer: {heads: 4, hidden: 32, dropout: 0, norm_first: true}": (
        TWO,
        "[x, memory]",
        pytorch_decoder(norm_first=True),
    ),
    "RotaryPosition: {}": (ONE, "x", lambda b, x: turn(x, False)),
    "RotaryPosition: {layout: halves, base: 50}": (ONE, "x", lambda b, x: turn(x, True, 50.0)),
    "RotaryAttention: {heads: 4, kv_heads: 2}": (ONE, "x", rotary),
    "RotaryAttention: {heads: 4, layout: pairs, bias: true, causal: false}": (
        ONE,
        "x",
        lambda b, x: rotary(b, x, False, False),
    ),
    "GatedPerceptron: {hidden: 9}": (ONE, "x", swiglu),
    "LlamaLayer: {heads: 4, kv_heads: 1, hidden: 32, base: 500}": (ONE, "x", llama),
    "GptLayer: {heads: 4, dropout: 0}": (ONE, "x", gpt),
    "T5Layer: {heads: 4, hidden: 32, dropout: 0}": (
        f"{{{X}, bias: {{heads: 4, T: 7, S: 7}}}}",
        "{x: x, position_bias: bias}",
        t5_encoder,
    ),
    "T5Layer: {heads: 4, hidden: 32, dropout: 0, gated: true, causal: true}": (
        TWO,
        "[x, memory]",
        t5_decoder,
    ),
    "CrossAttentionLayer: {heads: 4}": (MASKED, NAMED, cross),
    "CrossmodalLayer: {heads: 4, dropout: 0}": (TWO, "[x, memory]", crossmodal),
    "GatedCrossAttention: {heads: 4, ratio: 2}": (TWO, "[x, memory]", flamingo),
    "PerceiverResampler: {latents: 3, depth: 2, heads: 4, ratio: 2}": ("{x: {S: 5, C: 24}}", "x", resampler),
    "CoAttention: {heads: 4, ratio: 2, dropout: 0}": (TWO, "[x, memory]", co_attention),
    "QueryTransformer: {queries: 3, channels: 24, pairs: 2, heads: 4, hidden: 32, dropout: 0}": (
        "{x: {S: 5, C: 16}}",
        "x",
        query_transformer,
    ),
    "ConformerLayer: {heads: 4, hidden: 32, kernel: 5, dropout: 0}": (ONE, "x", conformer),
    "RelativePositionBias: {heads: 3, buckets: 8, farthest: 16}": (LONG, "x", relative_bias(True)),
    "RelativePositionBias: {heads: 3, buckets: 8, farthest: 16, both_ways: false}": (
        LONG,
        "x",
        relative_bias(False),
    ),
}


def text_of(step: str) -> str:
    inputs, sources, _ = CASES[step]
    outputs = "{x: block.x, y: block.y}" if step.startswith("CoAttention") else ""
    return block_text(step, inputs, sources, outputs)


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    inputs, _, reference = CASES[step]
    values = random_inputs(inputs)
    if "PositionBias" in step:  # it depends on the length alone
        values = [x.detach() for x in values]
    compare_formula(text_of(step), reference, values)


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_the_layer_of_vision_transformers_is_timms(scale: float) -> None:
    theirs = transformer.Block(
        24, 4, qkv_bias=True, init_values=scale or None, norm_layer=transformer.LayerNorm
    )
    block = f"VisionTransformerLayer: {{heads: 4, layer_scale: {scale}}}"
    compare_with(theirs, block, random_tensor(3, 7, 24), names=[("project", "proj")])


def test_swiglu_is_timms() -> None:
    names = [("gate_proj", "fc1_g"), ("up_proj", "fc1_x"), ("down_proj", "fc2")]
    block = "GatedPerceptron: {hidden: 9, bias: true}"
    compare_with(timm_mlp.SwiGLU(24, 9), block, random_tensor(3, 7, 24), names=names)


@torch.no_grad()
def test_rotary_pairs_are_timms() -> None:
    x = random_tensor(2, 4, 7, 24)
    net: Any = load(block_text("RotaryPosition: {}", "{x: {heads: 4, T: 7, C: 24}}")).build("torch")
    bands = 10000.0 ** (-torch.arange(12) / 12)
    angle = (torch.arange(7)[:, None] * bands).repeat_interleave(2, 1)
    theirs = pos_embed.apply_rot_embed(x, angle.sin(), angle.cos())
    torch.testing.assert_close(net(x), theirs, rtol=1e-11, atol=1e-11)


@torch.no_grad()
@pytest.mark.parametrize("heads", [8, 12])
def test_slopes_of_linear_bias(heads: int) -> None:
    """Powers of 1/2 for 8 heads; for 12, those and every second one of 16 heads."""
    net: Any = load(block_text(f"LinearBias: {{heads: {heads}}}", "{x: {T: 7, C: 4}}")).build("torch")
    bias = net(torch.zeros(1, 7, 4)).reshape(heads, 7, 7)
    slopes = [2 ** -(i + 1.0) for i in range(8)] + [2 ** -(i / 2) for i in (1, 3, 5, 7)]
    distance = torch.tensor([[float(-abs(t - s)) for s in range(7)] for t in range(7)])
    expected = torch.tensor(slopes[:heads])[:, None, None] * distance
    torch.testing.assert_close(bias, expected, rtol=1e-6, atol=1e-6)
