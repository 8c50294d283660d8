"""`specbuild library search`: by names, those of other libraries, papers, authors, years and tags."""

from __future__ import annotations

import json

import pytest

from specbuild.frontend.document import BlockDef
from specbuild.frontend.editor_schema import library_blocks, read_blocks
from specbuild.frontend.library import full_library_index
from specbuild.frontend.schema import checker
from specbuild.summary.search import list_kinds, search_library, split_words
from tests.cli.test_cli import Run, run

__all__ = ["run"]

BLOCKS = library_blocks()

FIRST = {  # what is found first
    "se": "SqueezeExcitation",
    "SE": "SqueezeExcitation",
    "squeeze and excitation": "SqueezeExcitation",
    "1709.01507": "SqueezeExcitation",
    "arXiv:1709.01507": "SqueezeExcitation",
    "SEBlock": "SqueezeExcitation",
    "squeeze_excite": "SqueezeExcitation",
    "squeezeexcitation": "SqueezeExcitation",
    "Hu 2017": "SqueezeExcitation",
    "MHSA": "MultiHeadAttention",
    "multi-head self-attention": "MultiHeadAttention",
    "attention is all you need": "MultiHeadAttention",
    "Radenovic": "GeneralizedMean",
    "GeM": "GeneralizedMean",
    "fpn": "FeaturePyramid",
    "bifpn": "BidirectionalPyramid",
    "MUTAN": "TuckerFusion",
    "iAFF": "IterativeAttentionalFusion",
    "grouped-query": "MultiHeadAttention",
    "LayerNorm": "layer_norm",
    "resnet50": "ResNet",
    "lstm bidirectional": "lstm",
    "bidirectional gru": "gru",
    "resize bilinear": "resize",
    "Dense": "linear",
    "BiLSTM": "lstm",
    "nn.Upsample": "resize",
    "Conv2DTranspose": "conv_transpose",
}


@pytest.mark.parametrize("query", FIRST)
def test_what_is_found_first(query: str) -> None:
    assert search_library(query)[0].name == FIRST[query]


def test_every_word_must_match() -> None:
    assert search_library("squeeze Woo") == []
    assert {entry.name for entry in search_library("Woo gate spatial")} >= {"CBAM", "SpatialAttention"}


def test_short_words_are_found_whole() -> None:
    assert "DenseBlock" not in {entry.name for entry in search_library("se")}
    assert "DenseBlock" in {entry.name for entry in search_library("dens")}


def test_only_of_a_kind() -> None:
    found = search_library("attention", "necks")
    assert found and {entry.kind for entry in found} == {"necks"}
    assert {"attention", "necks", "norm"} <= set(list_kinds())


def test_words_of_names() -> None:
    assert split_words("SEBlock squeeze_excite ConvLSTM2D") == [
        "se",
        "block",
        "squeeze",
        "excite",
        "conv",
        "lstm2d",
    ]
    assert split_words("1709.01507, A2-Nets") == ["1709.01507", "a2", "nets"]


@pytest.mark.parametrize("block", BLOCKS.values(), ids=lambda block: block.name)
def test_every_block_says_where_it_comes_from(block: BlockDef) -> None:
    about = block.about
    assert about.title and about.authors and about.year, "add `about` to the block or to its file"
    if about.arxiv and "/" not in about.arxiv:
        assert 2000 + int(about.arxiv[:2]) == about.year, "the year of its number at arXiv"


def test_the_command(run: Run) -> None:
    shown = run("library", "search", "1709.01507").out
    assert shown.startswith("SqueezeExcitation")
    assert "Hu et al. 2017, Squeeze-and-excitation networks, arXiv 1709.01507" in " ".join(shown.split())
    found = json.loads(run("library", "search", "squeeze", "excitation", "--json").out)["found"]
    assert found[0]["name"] == "SqueezeExcitation" and found[0]["kind"] == "attention"
    assert found[0]["file"] == "library:attention/squeeze_excitation.yaml" and found[0]["year"] == 2017
    assert json.loads(run("library", "search", "no such thing", "--json").out)["found"] == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["search", "sqeeze_excite"], "did you mean 'squeeze_excite'?"),
        (["search", "se", "--kind", "atention"], "did you mean 'attention'?"),
        (["search", "attention " * 3_600], "more than 200 characters name nothing"),
        (["show", "SEBlock"], "here it is SqueezeExcitation"),
        (["show", "SqueezExcitation"], "did you mean 'SqueezeExcitation'?"),
    ],
)
def test_hints(run: Run, arguments: list[str], hint: str) -> None:
    refused = run("library", *arguments)
    assert refused.code == 2
    assert hint in " ".join(refused.err.replace("│", " ").split())


def test_a_long_query_finds_nothing() -> None:
    """Each of its words would be looked for in every text of the library."""
    assert search_library("attention " * 20) and not search_library("attention " * 21)


def test_files_share_one_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each file took longer than reading all of them; the blocks are the same."""
    made = []
    create = checker.create_validator
    monkeypatch.setattr(checker, "create_validator", lambda *given: made.append(1) or create(*given))
    paths = tuple(path for path in sorted(set(full_library_index().values())) if "attention" in path.parts)
    alone = {name: block for path in paths for name, block in read_blocks.__wrapped__((path,)).items()}
    count = len(made)
    together = read_blocks.__wrapped__(paths)
    assert [(b.name, list(b.params), list(b.inputs)) for b in together.values()] == [
        (b.name, list(b.params), list(b.inputs)) for b in dict(sorted(alone.items())).values()
    ]
    assert count > len(paths) and len(made) - count <= 1
