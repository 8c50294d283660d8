"""Whole models of the library: published numbers of parameters, outputs as PyTorch's own layers give them, both frameworks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import TOLERANCE, Applied, measure_distance, rename_key
from tests.oracles.randomised import randomise
from tests.parity_runner import ParityOf

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"

# As the authors of the weights count them: https://huggingface.co/openai-community/gpt2, /google-bert, /meta-llama
PUBLISHED = {
    ("gpt2", "gpt2"): 124_439_808,
    ("gpt2", "gpt2_medium"): 354_823_168,
    ("gpt2", "gpt2_large"): 774_030_080,
    ("gpt2", "gpt2_xl"): 1_557_611_200,
    ("llama", "llama2_7b"): 6_738_415_616,
    ("llama", "llama2_13b"): 13_015_864_320,
    ("llama", "llama3_8b"): 8_030_261_248,
    ("bert", "bert_base"): 109_482_240,
    ("bert", "bert_large"): 335_141_888,
    ("eegnet", "eegnet_8_2"): 8 * 64 + 16 * 22 + 16 * 16 + 16 * 16 + 2 * (8 + 16 + 16) + 16 * 8 * 4 + 4,
}


@pytest.mark.parametrize(("file", "variant"), PUBLISHED, ids=lambda x: x)
def test_parameters(file: str, variant: str) -> None:
    assert (
        model_cost(build_graph(MODELS / f"{file}.yaml", variant=variant)).parameters
        == PUBLISHED[file, variant]
    )


SMALL: dict[str, dict[str, Any]] = {
    "gpt2": {"vocabulary": 11, "length": 6, "features": 8, "depth": 2, "heads": 2, "dropout": 0.0},
    "bert": {
        "vocabulary": 11,
        "length": 6,
        "features": 8,
        "depth": 2,
        "heads": 2,
        "hidden": 12,
        "dropout": 0.0,
    },
    "llama": {
        "vocabulary": 11,
        "length": 6,
        "features": 8,
        "depth": 2,
        "heads": 2,
        "kv_heads": 1,
        "hidden": 12,
    },
    "unet": {"widths": [4, 6, 8, 10, 12]},
    "eegnet": {"electrodes": 3, "length": 64, "filters": 2, "kernel": 8, "dropout": 0.0},
}


def give_inputs(name: str) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 11, (2, 6), generator=generator, dtype=torch.int32)
    if name == "bert":
        mask = torch.ones(2, 6, dtype=torch.bool)
        mask[1, 4:] = False
        return [tokens, (tokens % 2).to(torch.int32), mask]
    if name == "unet":
        return [torch.randn(2, 3, 48, 32, generator=generator)]
    if name == "eegnet":
        return [torch.randn(2, 1, 3, 64, generator=generator)]
    return [tokens]


GPT_NAMES = [
    ("attn.qkv.weight", "self_attn.in_proj_weight"),
    ("attn.qkv.bias", "self_attn.in_proj_bias"),
    ("attn.project", "self_attn.out_proj"),
    ("ln_", "norm"),
    ("c_fc", "linear1"),
    ("c_proj", "linear2"),
]


def gpt2(net: Any, tokens: torch.Tensor) -> torch.Tensor:
    layer = nn.TransformerEncoderLayer(
        8, 2, 32, 0, lambda x: F.gelu(x, approximate="tanh"), batch_first=True, norm_first=True
    )
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    encoder.layers.load_state_dict({rename_key(k, GPT_NAMES): v for k, v in net.h.state_dict().items()})
    x = net.wte[tokens.long()] + net.wpe[: tokens.shape[1]]
    hidden = encoder(x, nn.Transformer.generate_square_subsequent_mask(6, dtype=x.dtype), is_causal=True)
    return F.layer_norm(hidden, (8,), net.ln_f.weight, net.ln_f.bias) @ net.wte.T


def bert(net: Any, tokens: torch.Tensor, segments: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0, "gelu", 1e-12, batch_first=True)
    encoder = nn.TransformerEncoder(
        layer, 2, enable_nested_tensor=False
    ).train()  # the fast path has no double precision
    state = dict(net.layers.state_dict())
    for i in range(2):
        for word in ("weight", "bias"):
            parts = [state.pop(f"{i}.self_attn.{name}.{word}") for name in ("query", "key", "value")]
            state[f"{i}.self_attn.in_proj_{word}"] = torch.cat(parts)
            state[f"{i}.self_attn.out_proj.{word}"] = state.pop(f"{i}.self_attn.project.{word}")
    encoder.layers.load_state_dict(state)
    x = net.word_embeddings(tokens) + net.token_type_embeddings(segments) + net.position_embeddings[:6]
    hidden = encoder(net.norm(x), src_key_padding_mask=~mask)
    return [hidden, net.pooler(hidden[:, 0]).tanh()]


def llama(net: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Its layers are compared in `test_transformer_layers.py`."""
    hidden = net.layers(net.embed_tokens(tokens))
    scale = (hidden.square().mean(-1, keepdim=True) + 1e-5).rsqrt()
    return hidden * scale * net.norm.weight @ net.lm_head.weight.T  # type: ignore[no-any-return]


def unet(net: Any, x: torch.Tensor) -> torch.Tensor:
    def convolve(block: Any, x: torch.Tensor) -> torch.Tensor:
        for unit in (block.conv1, block.conv2):
            x = F.relu(unit.bn(F.conv2d(x, unit.conv.weight, padding=1)))
        return x

    kept = []
    for block in (net.down1, net.down2, net.down3, net.down4):
        x = convolve(block, x)
        kept.append(x)
        x = F.max_pool2d(x, 2)
    x = convolve(net.bottom, x)
    for step in (net.up4, net.up3, net.up2, net.up1):
        skip = kept.pop()
        wide = F.interpolate(x, skip.shape[2:], mode="bilinear")
        x = convolve(step.up, torch.cat([wide, skip], 1))
    return net.scores(x)  # type: ignore[no-any-return]


def eegnet(net: Any, x: torch.Tensor) -> torch.Tensor:
    x = net.norm1(F.conv2d(F.pad(x, (3, 4)), net.temporal.weight))
    x = F.elu(net.norm2(F.conv2d(x, net.spatial.weight, groups=2)))
    x = F.conv2d(F.pad(F.avg_pool2d(x, (1, 4)), (7, 8)), net.depthwise.weight, groups=4)
    x = F.elu(net.norm3(F.conv2d(x, net.pointwise.weight)))
    return net.classifier(F.avg_pool2d(x, (1, 8)).flatten(1))  # type: ignore[no-any-return]


REFERENCES: dict[str, Callable[..., Any]] = {
    "gpt2": gpt2,
    "bert": bert,
    "llama": llama,
    "unet": unet,
    "eegnet": eegnet,
}


@torch.no_grad()
@pytest.mark.parametrize("name", REFERENCES)
def test_same_outputs(name: str) -> None:
    net: Any = load(MODELS / f"{name}.yaml", **SMALL[name]).build("torch")
    inputs = give_inputs(name)
    randomise(Applied(net, inputs), inputs[0])
    net.eval()
    ours, theirs = net(*inputs), REFERENCES[name](net, *inputs)
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, list) else [(ours, theirs)]
    for a, b in pairs:
        assert measure_distance(a, b) < TOLERANCE


PARITY = [*REFERENCES, "attention_unet"]


def parity_case(name: str) -> ParityCase:
    file, variant = ("unet", name) if name == "attention_unet" else (name, None)
    model = build_graph(MODELS / f"{file}.yaml", SMALL[file], variant)
    return ParityCase(name, model, batch=2, modes=("forward", "gradients"), dtype="float64")


@pytest.mark.parametrize("name", PARITY)
def test_parity(name: str, parity_of: ParityOf) -> None:
    report = parity_of(parity_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)
