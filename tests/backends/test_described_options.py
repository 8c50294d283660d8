"""Docstrings of emitted classes say nothing of inputs and parameters that the class lacks."""

from __future__ import annotations

import ast
import re

import pytest

from specbuild import load
from specbuild.backends.described_options import leave_out_sentences

SPEC = """specbuild: 1
model: Net
inputs: {{x: {{T: 5, C: 8}}, mask: {{axes: {{S: 5}}, dtype: bool}}}}
blocks:
  Pool:
    doc: |
      The mean of tokens.

      `mask` is true at tokens that count; `scale` multiplies them. With `wide`, they are twice as many.
      It has no bias.
    params: {{scale: 1, wide: false}}
    inputs: {{x: [T, C], mask: {{axes: [S], dtype: bool, optional: true}}}}
    steps:
      - linear: {{features: x.C, bias: false}}
        from: x
      - conv: {{channels: 2 * x.C, kernel: 1, over: T}}
        when: wide
      - scale: {{by: scale}}
      - do:
          - rename: {{axes: {{S: T}}}}
            as: here
          - where: {{then: scale, condition: here, value: 0}}
        from: mask
        when: given(mask)
        as: masked
steps:
  - Pool: {arguments}
    from: {sources}
"""


def find_docstring(arguments: str, sources: str, name: str, backend: str) -> str:
    source = load(SPEC.format(arguments=arguments, sources=sources)).source(backend)
    [found] = [
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name
    ]
    return " ".join((ast.get_docstring(found) or "").split())


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_only_what_the_class_has_is_described(backend: str) -> None:
    plain = find_docstring("{}", "x", "Pool", backend)
    assert plain.startswith("The mean of tokens. It has no bias. Input"), plain
    scaled = find_docstring("{wide: true}", "x", "Pool", backend)
    assert "With `wide`" in scaled and "`mask`" not in scaled


@pytest.mark.parametrize(
    ("paragraph", "absent", "present", "kept"),
    [
        ("A. `b` is. C.", {"b"}, set(), "A. C."),
        ("A; `b` is. C.", {"b"}, set(), "A. C."),
        ("`b` is; and more. C.", {"b"}, set(), "C."),
        ("`b` and `c` are.", {"b"}, {"c"}, "`b` and `c` are."),
        ("`b` is.", {"c"}, set(), "`b` is."),
        ("See arXiv 1.2 of `d`.", {"b"}, set(), "See arXiv 1.2 of `d`."),
        ("- `b` is.\n- C.", {"b"}, set(), "- `b` is.\n- C."),
        ("`b` is.", {"b"}, set(), ""),
    ],
)
def test_sentences(paragraph: str, absent: set[str], present: set[str], kept: str) -> None:
    assert leave_out_sentences(paragraph, absent, present) == kept


def test_attention_of_the_library() -> None:
    text = "specbuild: 1\nmodel: Net\ninputs: {x: {T: 5, C: 8}}\nsteps: [{MultiHeadAttention: {heads: 2}}]\n"
    source = load(text).source("torch")
    described = source[source.index("class MultiHeadAttention") : source.index("def __init__")]
    assert not re.search(r"mask|position_bias|kv_heads|fused|S counts", described)
    with_mask = text.replace("C: 8}}", "C: 8}, m: {axes: {S: 5}, dtype: bool}}")
    with_mask = with_mask.replace("heads: 2}}", "heads: 2}, from: {x: x, mask: m}}")
    described = load(with_mask).source("torch")
    assert "`mask` is true where a token may be attended to" in described and "position_bias" not in described
