"""MultiHeadAttention beside PyTorch's and timm's: separate and fused, masks, memories, fewer heads, both backends."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specbuild import load
from specbuild.diagnostics.errors import SpecError
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    TOLERANCE,
    block_text,
    check_parity,
    make_parity_case,
    measure_difference,
    random_tensor,
)
from tests.parity_runner import ParityOf

timm_attention = lazy_module("timm.layers.attention")

TOKENS = "x: {T: 7, C: 24}"
MEMORY = "memory: {S: 5, C: 12}"
PADDING = "mask: {axes: {S: 7}, dtype: bool}"
PAIRS = "mask: {axes: {T: 7, S: 5}, dtype: bool}"
CASES = {  # arguments and inputs
    "plain": ("", [TOKENS]),
    "causal": ("causal: true", [TOKENS]),
    "fused": ("fused: true, bias: false", [TOKENS]),
    "padding": ("", [TOKENS, PADDING]),
    "memory": ("", [TOKENS, MEMORY]),
    "memory and pairs": ("fused: true", [TOKENS, MEMORY, PAIRS]),
    "groups": ("kv_heads: 2, causal: true", [TOKENS]),
    "fused groups and padding": ("kv_heads: 1, fused: true", [TOKENS, PADDING]),
    "groups, memory and pairs": ("kv_heads: 2, output_bias: false", [TOKENS, MEMORY, PAIRS]),
}
PARAMETERS = {  # of 64 features and 8 heads
    "MultiHeadAttention": 16_640,
    "MultiHeadAttention: {fused: true}": 16_640,
    "MultiHeadAttention: {fused: true, bias: false}": 16_448,
    "MultiHeadAttention: {kv_heads: 1, bias: false, output_bias: false}": 9_216,
    "MultiHeadAttention: {kv_heads: 2, bias: false, output_bias: false}": 10_240,
    "MultiHeadAttention: {kv_heads: 2, fused: true}": 10_400,
}


def attention_text(name: str) -> str:
    arguments, inputs = CASES[name]
    given = ", ".join(f"{key}: {key}" for key in (text.partition(":")[0] for text in inputs))
    block = "MultiHeadAttention: {" + ", ".join(filter(None, ["heads: 4", arguments])) + "}"
    return block_text(block, "{" + ", ".join(inputs) + "}", "{" + given + "}")


def built(name: str) -> Any:
    net: Any = load(attention_text(name)).build("torch").eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(random_tensor(*parameter.shape, seed=parameter.numel()) / 4)
    return net


def random_inputs(name: str) -> list[Tensor]:
    """Return the inputs of a case; a mask lets each query attend to one key at least."""
    found = []
    for text in CASES[name][1]:
        if text is TOKENS or text is MEMORY:
            found.append(random_tensor(3, *((7, 24) if text is TOKENS else (5, 12))).requires_grad_())
            continue
        mask = random_tensor(3, *((7, 5) if text is PAIRS else (7,)), seed=5) > 0
        mask[..., 0] = True
        found.append(mask)
    return found


@pytest.mark.parametrize("block", PARAMETERS)
def test_parameters(block: str) -> None:
    assert load(block_text(block, "{x: {T: 16, C: 64}}")).parameters == PARAMETERS[block]


@pytest.mark.parametrize("name", CASES)
def test_keras_agrees(name: str, parity_of: ParityOf) -> None:
    def heads_case(name: str) -> ParityCase:
        return make_parity_case(attention_text(name))

    check_parity(parity_of(heads_case))


class Formula(nn.Module):
    """Equation 1 of arXiv 1706.03762 for each head; adjacent heads share keys and values (arXiv 2305.13245)."""

    def __init__(self, block: nn.Module, name: str) -> None:
        super().__init__()
        self.block = copy.deepcopy(block)
        self.causal = "causal" in CASES[name][0]
        self.has_memory = MEMORY in CASES[name][1]

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        block: Any = self.block
        memory = others[0] if self.has_memory else x
        if hasattr(block, "qkv"):
            shared = (block.qkv.out_features - 24) // 2
            parts = list(block.qkv(x).split([24, shared, shared], 2))
        else:
            parts = [block.query(x), block.key(memory), block.value(memory)]
        query, key, value = (part.unflatten(2, (-1, 6)).transpose(1, 2) for part in parts)
        key, value = (part.repeat_interleave(4 // part.shape[1], 1) for part in (key, value))
        scores = query @ key.transpose(2, 3) / 6**0.5
        for mask in others[self.has_memory :]:
            allowed = mask.bool()[:, None] if mask.ndim == 3 else mask.bool()[:, None, None]
            scores = scores.masked_fill(~allowed, -math.inf)
        if self.causal:
            scores = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -math.inf)
        return block.project((scores.softmax(3) @ value).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CASES)
def test_formula(name: str) -> None:
    net = built(name)
    inputs = random_inputs(name)
    theirs = Formula(net.block, name)
    pairs = list(zip(net.parameters(), theirs.parameters(), strict=True))
    assert measure_difference(net, theirs, inputs, pairs) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("name", ["plain", "causal", "padding", "memory"])
def test_pytorchs_layer(name: str) -> None:
    net, (x, *others) = built(name), random_inputs(name)
    block, width = net.block, net.block.key.in_features
    layer = nn.MultiheadAttention(24, 4, kdim=width, vdim=width, batch_first=True)
    kernels = [block.query.weight, block.key.weight, block.value.weight]
    names = ["in_proj_weight"] if width == 24 else ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    values = [torch.cat(kernels)] if width == 24 else kernels
    state = dict(zip(names, values, strict=True))
    state["in_proj_bias"] = torch.cat([block.query.bias, block.key.bias, block.value.bias])
    state |= {f"out_proj.{key}": value for key, value in block.project.state_dict().items()}
    layer.load_state_dict(state, strict=True)
    memory = others[0] if name == "memory" else x
    padding = ~others[0] if name == "padding" else None
    later = torch.ones(7, 7).triu(1).bool() if name == "causal" else None
    theirs, _ = layer(x, memory, memory, key_padding_mask=padding, attn_mask=later)
    torch.testing.assert_close(net(x, *others), theirs, rtol=1e-11, atol=1e-11)


@torch.no_grad()
def test_fused_is_timms() -> None:
    net, [x] = built("fused"), random_inputs("fused")
    theirs = timm_attention.Attention(24, num_heads=4)
    state = {key.replace("project", "proj"): value for key, value in net.block.state_dict().items()}
    theirs.load_state_dict(state, strict=True)
    torch.testing.assert_close(net(x), theirs(x), rtol=1e-11, atol=1e-11)


@torch.no_grad()
def test_dropout_is_of_the_weights_and_only_in_training() -> None:
    net: Any = load(block_text("MultiHeadAttention: {heads: 4, dropout: 1}", "{x: {T: 7, C: 24}}")).build(
        "torch"
    )
    x = random_tensor(3, 7, 24)
    torch.testing.assert_close(net.train()(x), net.block.project.bias.expand(3, 7, 24))
    assert net.eval()(x).std(1).min() > 0


def test_heads_must_fit() -> None:
    with pytest.raises(SpecError, match="axis C of size 24 cannot be split into 5 x 4"):
        load(block_text("MultiHeadAttention: {heads: 5}", "{x: {T: 7, C: 24}}"))
    with pytest.raises(SpecError, match="8 heads of the query cannot share 3"):
        load(block_text("MultiHeadAttention: {kv_heads: 3}", "{x: {T: 7, C: 24}}"))
