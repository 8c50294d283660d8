"""Texts that YAML makes of damaged lists: which defaults of parameters are refused, and which stay text."""

from __future__ import annotations

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.default_types import describe_broken_list

HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4, H: 8, W: 8}}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("3, 4]", "is text with a `]` that no bracket opens"),
        ("3, 4, [5", "is text with a `[` that is never closed"),
        ("[3, 4)", "is text with a `)` that no bracket opens"),
        ("max(3, 4", "is text with a `(` that is never closed"),
        ("3, 4", "is text with commas, and no list"),
        ("-3 , .5,1e3,", "is text with commas, and no list"),
        ("relu", ""),
        ("max(3, [4, 5][0])", ""),
        ("a, b", ""),
        ("3", ""),
        ("", ""),
    ],
)
def test_what_is_wrong(text: str, fault: str) -> None:
    assert describe_broken_list(text) == fault


@pytest.mark.parametrize(
    "params", ["{depths: '3, 4'}", "{depths: {default: '3, 4'}}", "{depths: {default: 'a]'}}"]
)
def test_a_default(params: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(f"{HEAD}params: {params}\nsteps: [relu]\n")
    assert caught.value.code == "SB102" and caught.value.hint.startswith("write a list as [3, 4, 6, 3]")


def test_a_quoted_number_is_an_expression() -> None:
    """A text where a number belongs is read as an expression, so a quoted number is that number."""
    quoted = build_graph(f"{HEAD}steps:\n  - conv: {{channels: '8', kernel: '3'}}\n")
    assert quoted.type.sizes == {"C": 8, "H": 8, "W": 8}
