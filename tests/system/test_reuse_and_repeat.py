"""Reuse and repeats: what the emitted files compute, against a few lines of PyTorch with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from specbuild.backends import load_backend
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

backend = load_backend("torch")
SPECS = Path(__file__).parents[1] / "specs" / "regressions"

# A reference gets the emitted model, whose layers it uses, and the inputs.
Reference = Callable[..., tuple[Tensor, ...]]
REFERENCES: dict[str, Reference] = {}


def reference(function: Reference) -> Reference:
    REFERENCES[function.__name__] = function
    return function


def attend(query: Tensor, memory: Tensor) -> Tensor:
    scores = query @ memory.transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ memory


@reference
def weight_then_batch(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    return (net.a.linear(net.q).mean(0) + net.a.linear(x).mean(1),)


@reference
def batch_then_weight(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    def apply(block: Any, x: Tensor) -> Tensor:
        return block.group_norm(block.conv(x)).flatten(2).softmax(2).transpose(1, 2)

    of_x, of_q = apply(net.a, x), apply(net.a, net.q[None])[0]
    return of_x, of_q, (of_x + of_q) * apply(net.c, net.q[None])[0]


@reference
def decoder_queries(net: Any, image: Tensor) -> tuple[Tensor, ...]:
    memory = net.memory(image)
    x = net.queries.repeat(len(image), 1, 1)
    for layer in net.decoder:
        normed = layer.normed(x)
        x = x + attend(normed, normed)
        x = x + attend(x, memory)
        x = x + layer.linear(x)
    return (net.head(x),)


@reference
def inducing_points(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    def apply(block: Any, x: Tensor, y: Tensor) -> Tensor:
        q = block.q(x)
        return q + (q + attend(q, block.k(y))).mean(1, keepdim=True)

    points = net.points.repeat(len(x), 1, 1)
    gathered = apply(net.gathered, points, x)
    return (apply(net.gathered, apply(net.given, x, gathered), points),)


@reference
def class_token(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    of_weight = net.first.moved(net.token)
    joined = torch.cat([of_weight.repeat(len(x), 1, 1), x], 1)
    of_value = net.first.moved(joined.mean(1))
    return torch.cat([of_value[:, None], joined], 1), of_weight, of_value


@reference
def learned_input(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    start = net.start.repeat(len(x), 1, 1, 1)
    body = start
    for unit in net.body.unit:
        body = unit.prelu(unit.batch_norm(unit.conv(body)))
    return (body + net.norm(start) + x,)


@reference
def norms_of_weights(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    w = net.w[None]
    block = net.a
    a = block.local_response_norm(block.conv(block.prelu(block.group_norm(w))).repeat_interleave(2, dim=2))
    other = F.max_pool1d(net.activated(net.conv(x.transpose(1, 2))), 2)
    return (torch.cat([other, a.repeat(len(x), 1, 1)], 2).transpose(1, 2),)


@reference
def nested_weight(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    outer = net.outer.inner.linear(net.w.flatten()).reshape(2, 4).mean(0)
    return (outer + net.inner.linear(x.flatten(1)).reshape(-1, 2, 4),)


@reference
def two_streams(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    def apply(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        for layer in getattr(net, "stack", ()):
            a, b = layer.la(a) + b, layer.lb(b) * a
        return a, b

    y = net.y(x)
    a, b = apply(x, y)
    return a, a, b, apply(y, x)[1]


@reference
def cells(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    before, now, results, extra = x, x, [], x
    for cell in net.cells:
        extra = cell.conv(before)
        before, now = now, cell.next(extra + now)
        results.append(now)
    return now, before, results[0], extra


@reference
def memory_first(net: Any, m: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    found = x
    for layer in net.named:
        found = attend(x, m)
        x = x + layer.linear(found)
    plain = x
    for layer in net.plain:
        plain = layer.linear(attend(plain, m))
    return x, found, found, plain


@reference
def reused_groups(net: Any, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    def stack(x: Tensor) -> Tensor:
        return net.stack[2](net.stack[1](net.stack[0](x)))

    def deep(x: Tensor) -> Tensor:
        x = F.gelu(net.group["inner"](net.group["0"](x)))
        return net.deep[1][0](net.deep[0][0](x).tanh()).tanh()

    def gated(x: Tensor) -> Tensor:
        return net.left(x) * net.right[0](x).sigmoid()

    of_x, of_y = deep(stack(x)), deep(stack(y))
    return gated(of_x), gated(of_y), stack(stack(gated(of_x))), net.group["inner"](of_x)


@reference
def reused_only(net: Any, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    first, *others = [layer[0] for layer in net.stack]
    out = first(y).tanh()
    for layer in others:
        out = layer(out).tanh()
    return (first(x).tanh() + out,)


@reference
def reused_paths(net: Any, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    encoder = net.encoder

    def unit(block: Any, x: Tensor) -> Tensor:
        return block.down(block.up(x).tanh())

    def tail(x: Tensor) -> Tensor:
        x = unit(encoder.body[1], unit(encoder.body[0], x))
        return encoder.tail["mix"](encoder.tail["0"](x)) + embed

    embed = encoder.embed(x)
    of_x, of_y = tail(embed), unit(encoder.last, tail(encoder.embed(y)))
    down = encoder.last.down(encoder.last.up(of_x))
    return unit(encoder.last, of_x), of_y, encoder.tail["mix"](of_y), down


@reference
def reused_values(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    table = torch.arange(1, 5, dtype=x.dtype)[:, None]
    x = x + net.w
    for _ in range(2):
        x = net.group["moved"](x) * net.group_scale + table
    return (x * net.w + table,)


@reference
def edited_streams(net: Any, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    first, last = net.stack["0"], net.stack["2"]
    return (last.la(first.la(x)) - last.lb(x),)


@reference
def reused_sizes(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    return (net.a.linear(x) + net.a.linear(net.q).mean(0),)


@reference
def groups_in_a_list(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    """Each member of a repeat is read by itself, so that Keras holds them in a list."""
    for levels in (net.inside.levels, net.outside):
        first = levels[0](x)
        x = first + levels[1](first)
    return (x,)


@reference
def block_of_two_ranks(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    """In Keras, one class is built for values of several ranks."""

    def apply(block: Any, x: Tensor) -> Tensor:
        rows = block.linear(x).flatten(0, -2)  # the channels of a batch norm are the second axis
        return F.silu(block.batch_norm(rows)).unflatten(0, x.shape[:-1])

    return (apply(net.whole, apply(net.tokens, x).amax(1)),)


@reference
def tables_with_and_without_batch(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    """The first table is made for a value with a batch, the second for one without; a row is in a row."""
    places = torch.arange(1, 7, dtype=x.dtype)[:, None].expand(6, 4)
    for linear, _ in net.deep.body:
        x = linear(x).tanh()
    return (x + places,)


VARIANTS = {"two_streams": ("one", "none")}
CASES = [(name, v) for name in REFERENCES for v in (None, *VARIANTS.get(name, ()))]
LABELS = [f"{name}-{variant}" if variant else name for name, variant in CASES]


def test_every_file_has_a_reference() -> None:
    assert {path.stem for path in SPECS.glob("*.yaml")} >= set(REFERENCES)


@pytest.mark.parametrize(("name", "variant"), CASES, ids=LABELS)
def test_values_and_gradients(name: str, variant: str | None) -> None:
    model = build_graph(SPECS / f"{name}.yaml", variant=variant)
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(compile_source(model, "torch"), f"{name}.py", "exec"), scope)
    torch.manual_seed(0)
    net = scope[model.name]().double().eval()
    for weight in net.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    shapes = [[x[axis] for axis in backend.natural_order(x)] for x in model.inputs.values()]
    inputs = [torch.randn(2, *shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    results, expected = net(*inputs), REFERENCES[name](net, *inputs)
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == len(expected)
    torch.testing.assert_close(results, expected)
    weights = [*(w for w in net.parameters() if w.requires_grad), *inputs]
    gradients = [
        torch.autograd.grad(sum((x.sin() * x).sum() for x in values), weights, allow_unused=True)
        for values in (results, expected)
    ]
    torch.testing.assert_close(*gradients)


def parity_case(name: str, variant: str | None) -> ParityCase:
    return ParityCase(name, build_graph(SPECS / f"{name}.yaml", variant=variant), dtype="float64")


@pytest.mark.parametrize(("name", "variant"), CASES, ids=LABELS)
def test_parity(name: str, variant: str | None, parity_of: ParityOf) -> None:
    report = parity_of(parity_case)
    assert not report.error, report.error
    assert report.is_equal, str(report)
