"""Each construct of the language's second edition: what the schema, the guide, an error and the random specs have of it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCHEMA = (ROOT / "schemas/specbuild.schema.json").read_text(encoding="utf-8")
GUIDE = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs/guide").glob("*.md")))
DRAWN = "\n".join(
    p.read_text(encoding="utf-8") for p in sorted((ROOT / "tests/system/random_specs").glob("*.py"))
)
REFUSED = ROOT / "tests/errors/specs"
# A construct: a word of the schema, one of the guide, a spec that is refused, and a word of the generator.
CONSTRUCTS = {
    "let": ('"let"', "let:", "", '"let"'),
    "sizes of prev": ("", "prev.H", "", "prev.{axis}"),
    "expect": ('"expect"', "expect:", "expect", '"expect"'),
    "collect": ('"collect"', "collect:", "collect_alone", '"collect"'),
    "foreach": ('"foreach"', "foreach:", "foreach_lengths", '"foreach"'),
    "splice": ('"splice"', "splice: true", "splice_without_group", '"splice"'),
    "names": ('"names"', "names:", "repeat_names_equal", '"names"'),
    "lists": ('"each"', "each:", "list_input_missing", '"each"'),
    "optional inputs": ('"optional"', "optional: true", "optional_input_absent", '"optional"'),
    "alternatives": ('"when"', "when:", "two_alternatives", "alternatives"),
    "given numbers": ('"values"', "values: [[", "bracket_in_values", '"values"'),
    "tensor files": ('"tensor"', "safetensors", "", "tables.safetensors"),
    "random tables": ('"random"', "random: normal", "", '"random"'),
    "kernels that are values": ('"weight"', "weight:", "given_kernel_axes", "given_kernel"),
    "scan": ('"scan"', "scan:", "scan_state_with_the_axis", "scanned"),
    "free sizes": ('"any"', "any", "free_size_of_a_weight", '"any"'),
    "output order": ('"order"', "order:", "", '"order"'),
    "deployed forms": ("", "transform deploy", "", "try_deployment"),
}


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_a_construct_is_in_schema_guide_errors_and_random_specs(name: str) -> None:
    in_schema, in_guide, refused, drawn = CONSTRUCTS[name]
    assert in_schema in SCHEMA
    assert in_guide in GUIDE
    assert not refused or (REFUSED / f"{refused}.txt").is_file()
    assert drawn in DRAWN
