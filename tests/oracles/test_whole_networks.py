"""Networks that the library's blocks make: GAT, networks for questions about pictures, Conformer, wav2vec 2.0, TFT; the papers'
formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.parity.compare import ParityCase
from specbuild.weights.published_names import convert_published_weights
from tests.oracles.library.shelf import TOLERANCE, Applied, check_parity, measure_difference, random_tensor
from tests.oracles.randomised import randomise
from tests.parity_runner import ParityOf

MODELS = Path(__file__).parents[2] / "specbuild" / "library" / "models"

PUBLISHED = {  # PyTorch Geometric's example for Cora; Hugging Face's wav2vec2-base without what masked frames are
    "gat": 92_373,
    "wav2vec2": 94_371_712 - 768,
}


@pytest.mark.parametrize("file", PUBLISHED)
def test_parameters(file: str) -> None:
    assert load(MODELS / f"{file}.yaml").parameters == PUBLISHED[file]


def attend(a: Any, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
    """Two heads; a mask is true at tokens of the memory that there are."""
    q, k, v = (
        layer(y).unflatten(2, (2, -1)).transpose(1, 2)
        for layer, y in ((a.query, x), (a.key, memory), (a.value, memory))
    )
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None], -torch.inf)
    return a.project((scores.softmax(3) @ v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def encode(layer: Any, x: Tensor, mask: Tensor | None = None, activation: Any = F.relu) -> Tensor:
    x = layer.norm1(x + attend(layer.self_attn, x, x, mask))
    return layer.norm2(x + layer.linear2(activation(layer.linear1(x))))  # type: ignore[no-any-return]


def listen(conv: Any, x: Tensor, edges: Tensor, heads: int) -> Tensor:
    """Equations 3 to 5 of arXiv 1710.10903: batch, nodes, heads, features."""
    h = conv.lin(x).unflatten(2, (heads, -1))
    hearing, speaking = (h * conv.att_dst).sum(3), (h * conv.att_src).sum(3)
    scores = F.leaky_relu(hearing[:, :, None] + speaking[:, None], 0.2)
    shares = scores.masked_fill(~edges[..., None], -torch.inf).softmax(2)
    return torch.einsum("btsh,bshc->bthc", shares, h)


def graph_attention(net: Any, x: Tensor, edges: Tensor) -> Tensor:
    x = F.elu(listen(net.conv1, x, edges, 2).flatten(2) + net.conv1.bias)
    return listen(net.conv2, x, edges, 2).mean(2) + net.conv2.bias  # type: ignore[no-any-return]


def stacked_attention(net: Any, regions: Tensor, question: Tensor, lengths: Tensor) -> Tensor:
    words = net.embedding(question)
    states = [
        net.reader(sentence[None, :length])[0][0, -1] for sentence, length in zip(words, lengths, strict=True)
    ]
    u, v = torch.stack(states), net.region_map(regions).tanh()
    for hop in net.attention.hops:
        h = torch.tanh(hop.image_map(v) + hop.question_map(u)[:, None])
        u = u + (hop.score(h).softmax(1) * v).sum(1)
    return net.answer(u)  # type: ignore[no-any-return]


def bend(layer: Any, x: Tensor) -> Tensor:
    return layer.inner(x).tanh() * layer.gate(x).sigmoid()  # type: ignore[no-any-return]


def bottom_up(net: Any, regions: Tensor, question: Tensor, mask: Tensor) -> Tensor:
    v = regions / regions.norm(dim=2, keepdim=True)
    q = net.reader(net.embedding(question))[0][:, -1]
    a = net.attention
    scores = a.score(bend(a, torch.cat([v, q[:, None].expand(-1, v.shape[1], -1)], 2)))[..., 0]
    found = (scores.masked_fill(~mask, -torch.inf).softmax(1)[..., None] * v).sum(1)
    return net.answer(bend(net.joint_map, bend(net.question_map, q) * bend(net.region_map, found)))  # type: ignore[no-any-return]


def flatten_attention(a: Any, x: Tensor, mask: Tensor) -> Tensor:
    scores = a.linear(F.relu(a.fc(x))).masked_fill(~mask[..., None], -torch.inf)
    return a.linear_merge((scores.softmax(1) * x).sum(1))  # type: ignore[no-any-return]


def co_attention(
    net: Any, regions: Tensor, question: Tensor, region_mask: Tensor, word_mask: Tensor
) -> Tensor:
    x, y = net.lstm(net.embedding(question))[0], net.img_feat_linear(regions)
    for layer in net.enc_list:
        x = encode(layer, x, word_mask)
    for layer in net.dec_list:
        y = layer.norm1(y + attend(layer.self_attn, y, y, region_mask))
        y = layer.norm2(y + attend(layer.multihead_attn, y, x, word_mask))
        y = layer.norm3(y + layer.linear2(F.relu(layer.linear1(y))))
    both = flatten_attention(net.attflat_lang, x, word_mask) + flatten_attention(
        net.attflat_img, y, region_mask
    )
    return net.proj(net.proj_norm(both))  # type: ignore[no-any-return]


def conformer(net: Any, spectrum: Tensor) -> Tensor:
    """The layers are compared in tests of their own."""
    first, _, second, _ = net.subsampling
    x = F.relu(F.conv2d(spectrum[:, None], first.weight, first.bias, stride=2))
    x = F.relu(F.conv2d(x, second.weight, second.bias, stride=2))
    return net.layers(net.projection(x.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


def wave_encoder(net: Any, wave: Tensor) -> Tensor:
    x = wave.transpose(1, 2)
    strides = [5, 2, 2, 2, 2, 2, 2]
    for i, (layer, stride) in enumerate(zip(net.feature_extractor.conv_layers, strides, strict=True)):
        x = F.conv1d(x, layer.conv.weight, stride=stride)
        if i == 0:
            x = F.group_norm(x, x.shape[1], layer.layer_norm.weight, layer.layer_norm.bias)
        x = F.gelu(x)
    x = net.feature_projection(net.feature_norm(x.transpose(1, 2)))
    p = net.position
    kernel = torch._weight_norm(p.weight_v, p.weight_g.view(1, 1, -1), 2)
    near = F.conv1d(x.transpose(1, 2), kernel, p.bias, padding=kernel.shape[2] // 2, groups=2)[..., :-1]
    x = net.norm(x + F.gelu(near).transpose(1, 2))
    for layer in net.layers:
        x = encode(layer, x, activation=F.gelu)
    return x


def gated_skip(b: Any, x: Tensor, skip: Tensor) -> Tensor:
    return b.norm(skip + F.glu(b.gate(x)))  # type: ignore[no-any-return]


def temporal_fusion(net: Any, series: Tensor, past: Tensor, future: Tensor) -> Tensor:
    """Figure 2 of arXiv 1912.09363; selections, gated residual networks and attention are compared in tests of their own."""

    def embed(b: Any, x: Tensor) -> Tensor:
        return x[..., None] * b.weight + b.bias  # type: ignore[no-any-return]

    static = net.series_selection(embed(net.series_embedding, series))
    context = net.selection_context(static)
    seen = net.past_selection(embed(net.past_embedding, past), context)
    known = net.future_selection(embed(net.future_embedding, future), context)
    state = (net.initial_h(static)[None], net.initial_c(static)[None])
    history, state = torch.nn.LSTM.forward(net.encoder, seen, state)
    ahead, _ = torch.nn.LSTM.forward(net.decoder, known, state)
    local = gated_skip(net.local, torch.cat([history, ahead], 1), torch.cat([seen, known], 1))
    enriched = net.enriched(local, net.enrichment_context(static))
    attended = gated_skip(net.attended, net.attention(enriched), enriched)
    fused = gated_skip(net.fused, net.processed(attended), local)
    return net.quantile_output(fused[:, past.shape[1] :])  # type: ignore[no-any-return]


Case = tuple[Mapping[str, Any], Callable[[], list[Tensor]], Callable[..., Tensor]]
QUESTION = {"answers": 5, "vocabulary": 6, "words": 4, "length": 4, "count": 3, "region_features": 6}


def make_words() -> Tensor:
    return torch.tensor([[1, 2, 3, 0], [5, 4, 1, 2]], dtype=torch.int32)


def make_mask(*lengths: int, size: int) -> Tensor:
    return torch.arange(size) < torch.tensor(lengths)[:, None]


CASES: dict[str, Case] = {
    "gat": (
        {"classes": 3, "nodes": 5, "features": 6, "hidden": 4, "heads": 2, "last_heads": 2, "dropout": 0.0},
        lambda: [
            random_tensor(2, 5, 6).requires_grad_(),
            (random_tensor(2, 5, 5, seed=1) > 0.3) | torch.eye(5).bool(),
        ],
        graph_attention,
    ),
    "stacked_attention_net": (
        {**QUESTION, "features": 8, "hidden": 4, "dropout": 0.0},
        lambda: [
            random_tensor(2, 3, 6).requires_grad_(),
            make_words(),
            torch.tensor([3, 4], dtype=torch.int32),
        ],
        stacked_attention,
    ),
    "bottom_up_vqa": (
        {**QUESTION, "hidden": 8},
        lambda: [random_tensor(2, 3, 6).requires_grad_(), make_words(), make_mask(2, 3, size=3)],
        bottom_up,
    ),
    "mcan": (
        {**QUESTION, "features": 8, "heads": 2, "depth": 2, "hidden": 4, "dropout": 0.0},
        lambda: [
            random_tensor(2, 3, 6).requires_grad_(),
            make_words(),
            make_mask(2, 3, size=3),
            make_mask(3, 4, size=4),
        ],
        co_attention,
    ),
    "conformer": (
        {"frames": 25, "bands": 9, "features": 8, "depth": 2, "heads": 2, "kernel": 3, "dropout": 0.0},
        lambda: [random_tensor(2, 25, 9).requires_grad_()],
        conformer,
    ),
    "temporal_fusion": (
        {
            "statics": 2,
            "observed": 3,
            "known": 2,
            "past_length": 4,
            "future_length": 3,
            "hidden": 4,
            "heads": 2,
            "dropout": 0.0,
        },
        lambda: [random_tensor(2, *shape).requires_grad_() for shape in ((2,), (4, 3), (3, 2))],
        temporal_fusion,
    ),
    "wav2vec2": (
        {
            "samples": 2000,
            "channels": 6,
            "features": 8,
            "depth": 2,
            "heads": 2,
            "hidden": 12,
            "kernel": 4,
            "groups": 2,
            "dropout": 0.0,
        },
        lambda: [random_tensor(2, 2000, 1).requires_grad_()],
        wave_encoder,
    ),
}


@pytest.mark.parametrize("file", CASES)
def test_formula(file: str) -> None:
    parameters, make_inputs, reference = CASES[file]
    net, inputs = load(MODELS / f"{file}.yaml", **parameters).build("torch"), make_inputs()
    randomise(Applied(net, inputs), inputs[0])
    net.eval()
    assert measure_difference(net, lambda *values: reference(net, *values), inputs) < TOLERANCE


def parity_case(file: str) -> ParityCase:
    model = build_graph(MODELS / f"{file}.yaml", dict(CASES[file][0]))
    return ParityCase(file, model, batch=2, modes=("forward", "gradients"), dtype="float64")


@pytest.mark.parametrize("file", ["mcan", "wav2vec2"])
def test_parity(file: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


PUBLISHED_NAMES: Sequence[str] = [
    "encoder.pos_conv_embed.conv.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
]


@pytest.mark.parametrize("length", PUBLISHED_NAMES)
def test_published_names_of_wav2vec(length: str) -> None:
    """Hugging Face's names, with PyTorch's older and newer weight norm."""
    spec = load(MODELS / "wav2vec2.yaml", **CASES["wav2vec2"][0])
    ours = spec.build("torch").state_dict()
    direction = length.replace("original0", "original1").replace("weight_g", "weight_v")
    renamed = {
        "position.weight_g": length,
        "position.weight_v": direction,
        "position.bias": "encoder.pos_conv_embed.conv.bias",
    }
    parts = [
        ("self_attn.query", "attention.q_proj"),
        ("self_attn.key", "attention.k_proj"),
        ("self_attn.value", "attention.v_proj"),
        ("self_attn.project", "attention.out_proj"),
        ("norm1", "layer_norm"),
        ("norm2", "final_layer_norm"),
        ("linear1", "feed_forward.intermediate_dense"),
        ("linear2", "feed_forward.output_dense"),
        ("feature_norm", "feature_projection.layer_norm"),
    ]
    entries = {"masked_spec_embed": torch.zeros(8).numpy()}
    for key, value in ours.items():
        name = renamed.get(key, key)
        if name.startswith(("layers", "norm")):
            name = "encoder." + name.replace("norm.", "layer_norm.", 1)
        if name.startswith("feature_projection."):
            name = name.replace("feature_projection.", "feature_projection.projection.")
        for mine, theirs in parts:
            name = (
                name.replace(f".{mine}.", f".{theirs}.")
                if not name.startswith(mine)
                else name.replace(mine, theirs)
            )
        entries[name] = (value.view(1, 1, -1) if key == "position.weight_g" else value).numpy()
    carried = convert_published_weights(spec.graph, "huggingface", entries)
    assert {key: value.shape for key, value in carried.items()} == {
        k: tuple(v.shape) for k, v in ours.items()
    }
