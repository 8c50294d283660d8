"""An input that a call may leave out: `inputs: {x: [T, C], mask: {axes: [T], optional: true}}`, and `given(mask)`."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.ir.graph import Block, Skip
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

NET = """\
specbuild: 1
model: Net
inputs: {tokens: {T: 6, C: 4}, mask: {T: 6}}
blocks:
  Pool:
    inputs: {x: [T, C], mask: {axes: [T], optional: true}}
    steps:
      - linear: {features: x.C}
        as: project
      - multiply: [prev, mask]
        when: given(mask)
      - mean: {over: T}
        when: not given(mask)
      - sum: {over: T}
        when: given(mask)
  Layer:
    inputs: {x: [T, C], mask: {axes: [T], optional: true}}
    steps:
      - Pool:
        from: {x: x, mask: mask}
        as: pool
      - add: {of: [x, pool], broadcast: true}
  Gate:
    inputs: {x: [T, C], mask: {axes: [T], optional: true}}
    steps:
      - linear: {features: x.C}
        when: given(mask)
        as: only_with_mask
      - relu
steps:
  - Layer:
    from: [tokens, mask]
    as: masked
  - Layer:
    as: plain
  - Gate:
    as: gate
  - Gate:
    from: {x: prev, mask: mask}
    as: masked_gate
  - reuse: plain
    from: {x: prev, mask: mask}
    as: again
"""


def load_net(code: str) -> Any:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(code, names)
    return names["Net"]().double().eval()


def test_the_net_is_what_the_spec_says() -> None:
    net = load_net(compile_source(build_graph(NET), "torch"))
    tokens = torch.randn(3, 6, 4, dtype=torch.float64)
    mask = (torch.rand(3, 6) < 0.5).double()

    def layer(block: Any, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        out = block.pool.project(x)
        if mask is None:
            return x + out.mean(dim=1, keepdim=True)
        return x + (out * mask[..., None]).sum(dim=1, keepdim=True)

    x = layer(net.plain, layer(net.masked, tokens, mask))
    x = torch.relu(net.masked_gate.only_with_mask(torch.relu(x)))
    torch.testing.assert_close(net(tokens, mask), layer(net.plain, x, mask))
    assert not list(net.gate.parameters())


def test_one_class_for_both_uses_where_only_its_code_differs() -> None:
    code = compile_source(build_graph(NET), "torch")
    assert code.count("mask: torch.Tensor | None = None") == 2  # of Pool and Layer
    assert "if mask is not None" in code
    net = load_net(code)
    assert type(net.masked) is type(net.plain)
    assert type(net.gate) is not type(net.masked_gate)  # only one of them has weights


def test_one_use_gives_the_plain_form() -> None:
    for_all, for_none = (
        NET[: NET.index("steps:\n  - Layer")] + f"steps:\n  - Pool:\n    from: {given}\n"
        for given in ("[tokens, mask]", "tokens")
    )
    code = compile_source(build_graph(for_all), "torch")
    assert "def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor" in code
    assert "None" not in code.partition("def forward")[2].partition("->")[0]
    code = compile_source(build_graph(for_none), "torch")
    assert "def forward(self, x: torch.Tensor) -> torch.Tensor" in code


HANDED_ON = """\
specbuild: 1
model: Net
inputs: {a: {T: 3, C: 2}, b: {T: 3, C: 2}}
blocks:
  Inner:
    inputs: {x: [T, C], m: {axes: [T, C], optional: true}}
    steps:
      - linear: {features: 2}
        when: CONDITION
        as: project
      - multiply: [prev, m]
        when: given(m)
      - tanh
  Outer:
    inputs: {x: [T, C], m: {axes: [T, C], optional: true}}
    steps:
      - Inner:
        from: {x: x, m: m}
        as: inner
      - add: [x, inner]
steps:
  - Outer:
    from: a
    as: first
  - Outer:
    from: [a, b]
    as: second
  - add: [first, second]
"""


@pytest.mark.parametrize("condition", ["given(m)", "not given(m)"])
def test_an_input_is_not_handed_on_to_a_class_that_has_none(condition: str) -> None:
    graph = build_graph(HANDED_ON.replace("CONDITION", condition))
    net = load_net(compile_source(graph, "torch"))
    assert "class OuterWithM" in compile_source(graph, "keras")
    a, b = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    kept = net.second if condition == "given(m)" else net.first
    assert [name for name, _ in kept.named_parameters()] == ["inner.project.weight", "inner.project.bias"]
    plain = a if condition == "given(m)" else net.first.inner.project(a)
    masked = net.second.inner.project(a) if condition == "given(m)" else a
    torch.testing.assert_close(net(a, b), 2 * a + plain.tanh() + (masked * b).tanh())


def test_keras_agrees(parity_of: ParityOf) -> None:
    def optional_case() -> ParityCase:
        return ParityCase("optional", build_graph(NET), dtype="float64")

    report = parity_of(optional_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


def build(steps: str, inputs: str, given: str = "x") -> Block:
    head = "specbuild: 1\nmodel: M\ninputs: {x: {T: 3, C: 2}, y: {T: 3, C: 2}}\n"
    block = f"blocks: {{Some: {{inputs: {{{inputs}}}, steps: {steps}}}}}\n"
    graph = build_graph(f"{head}{block}steps: [{{Some: , from: {given}}}]\n")
    op = graph.nodes[0].op
    assert isinstance(op, Block)
    return op


MASK = "x: [T, C], m: {axes: [T, C], optional: true}"
TWO = f"{MASK}, n: {{axes: [T, C], optional: true}}"


@pytest.mark.parametrize(
    ("given", "inputs"), [("x", ["x"]), ("[x, y]", ["x", "m"]), ("{x: x, n: y}", ["x", "n"])]
)
def test_an_instance_has_the_inputs_that_are_given(given: str, inputs: list[str]) -> None:
    block = build("[{add: [x, m], when: given(m)}, {multiply: [prev, n], when: given(n)}, relu]", TWO, given)
    assert list(block.inputs) == inputs
    assert [isinstance(node.op, Skip) for node in block.nodes] == [
        name not in inputs for name in ("m", "n", "x")
    ]


def test_sizes_of_an_optional_input() -> None:
    steps = "[{linear: {features: 5 if not given(m) else 2 * m.C}}]"
    assert [build(steps, MASK, given).nodes[0].type["C"] for given in ("x", "[x, y]")] == [5, 4]


def test_an_op_with_an_optional_input_gets_it_only_where_it_is_given() -> None:
    steps = "[{attention: {key: x, value: x, mask: m}}]"
    inputs = "x: [T, C], m: {axes: [S, T], optional: true}"
    head = "specbuild: 1\nmodel: M\ninputs: {x: {T: 3, C: 2}, m: {S: 3, T: 3}}\n"
    block = f"blocks: {{Some: {{inputs: {{{inputs}}}, steps: {steps}}}}}\n"
    graph = build_graph(f"{head}{block}steps: [Some]\n")
    assert isinstance(graph.nodes[0].op, Block)
    assert graph.nodes[0].op.nodes[0].inputs[:3] == ("x", "x", "x")
    assert not any(graph.nodes[0].op.nodes[0].inputs[3:])


@pytest.mark.parametrize(
    ("inputs", "steps", "given", "message", "hint"),
    [
        (MASK, "[{add: [x, m]}]", "x", "the input m is not given here", "when: given(m)"),
        (MASK, "[{add: [x, m], when: given(x)}]", "x", "`x` is not an optional input", "optional: true"),
        (MASK, "[{add: [x, m], when: given(1)}]", "x", "`1` is not an optional input", ""),
        (MASK, "[{add: [x, m], when: given(k)}]", "x", "nothing is named 'k' here", ""),
        (
            MASK,
            "[{linear: {features: m.C}}]",
            "x",
            "the input m is not given here, so it has no sizes",
            "given(m)",
        ),
        (MASK, "[relu]", "[x, y, x]", "Some takes 2 inputs (x and m), but 3 are given", ""),
        (TWO, "[relu]", "{m: x}", "Some also needs the input x", ""),
        (MASK, "[relu]", "{x: x, k: y}", "Some has no input 'k'", "its inputs are x and m"),
        (MASK, "[{relu: , as: m}]", "x", "'m' is already the name of an input", ""),
        ("m: {axes: [T], optional: true}, x: [T, C]", "[relu]", "[x, y]", "a call can leave m out", "last"),
        (
            "m: {axes: [T], optional: true}",
            "[relu]",
            "x",
            "a call can leave m out",
            "after at least one other",
        ),
        ("x: [T, C], m: {axes: [T]}", "[relu]", "[x, y]", "Some takes m with axes T", "add `...`"),
        ("x: [T, C], m: {optional: true}", "[relu]", "[x, y]", "needs 'axes'", ""),
        ("x: [T, C], m: {axes: [T], optional: false}", "[relu]", "[x, y]", "'optional' must be true", ""),
        (
            "x: [T, C], m: {each: [T], optional: true}",
            "[relu]",
            "[x, y]",
            "cannot be combined with 'each'",
            "",
        ),
    ],
)
def test_refused(inputs: str, steps: str, given: str, message: str, hint: str) -> None:
    with pytest.raises((SpecError, SpecErrors), match=re.escape(message)) as caught:
        build(steps, inputs, given)
    assert hint in str(caught.value)


LEFT_OUT = """\
specbuild: 1
model: Net
inputs: {x: {T: 4, C: 4}}
blocks:
  Inner:
    inputs: {x: [T, C], mask: {axes: [T, C], optional: true}}
    steps:
      - multiply: [x, mask]
        when: given(mask)
      - relu
  Outer:
    inputs: {x: [T, C], mask: {axes: [T, C], optional: true}}
    steps:
      - sigmoid:
        from: mask
        when: given(mask)
        as: gate
      - LAST
steps: [Outer]
"""


def test_a_step_whose_input_is_not_given_is_not_given_either() -> None:
    """Before, the value before the step was handed on in its place: here x, as the mask."""
    graph = build_graph(LEFT_OUT.replace("- LAST", "- Inner:\n        from: {x: x, mask: gate}"))
    [outer] = [node.op for node in graph.nodes]
    assert isinstance(outer, Block)
    [inner] = [node.op for node in outer.nodes if isinstance(node.op, Block)]
    assert list(inner.inputs) == ["x"]
    with pytest.raises(SpecError, match="'gate' is left out here, because its input is not given"):
        build_graph(LEFT_OUT.replace("- LAST", "- add: [x, gate]"))
