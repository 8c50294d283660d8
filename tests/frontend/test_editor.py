"""The schema in yaml-language-server, which speaks for VS Code, Neovim and others; needs node and npm."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from specbuild.frontend.document import FILE_KEYS, STEP_KEYS, STRUCTURES
from specbuild.frontend.editor_schema import find_library_block, library_block_names, library_blocks
from specbuild.frontend.edits import EDIT_VERBS as VERBS
from specbuild.frontend.library import full_library_index
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes
from tests.frontend.language_server import LanguageServer

SCHEMA = Path(__file__).parents[2] / "schemas" / "specbuild.schema.json"
PACKAGE = "yaml-language-server@1.25.0"
HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 3, H: 8, W: 8}}\nsteps:\n"


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not here")
    folder = tmp_path_factory.mktemp("editor")
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=30000"]
    try:
        subprocess.run(
            ["npm", "install", *options, PACKAGE], cwd=folder, check=True, capture_output=True, timeout=120
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"npm cannot install {PACKAGE}: no network?")
    script = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    server = LanguageServer(script, SCHEMA, folder)
    yield server
    server.close()


@pytest.mark.parametrize("step", ["  - |\n", "  - relu\n  - |\n  - gelu\n", "  - co|\n"])
def test_a_new_step_is_offered_ops_and_blocks(editor: LanguageServer, step: str) -> None:
    assert set(editor.completions(HEAD + step)) == {*OPS, *library_blocks(), *STRUCTURES}


def test_each_label_is_offered_once_and_what_is_written_is_legal(editor: LanguageServer) -> None:
    items = editor.items(HEAD + "  - |\n")
    assert len({item["label"] for item in items}) == len(items)
    written = {item["label"]: item["insertText"] for item in items}
    assert written["conv"].startswith("conv:\n") and written["lstm"].endswith("units: ${1:64}")
    skeletons = [item["insertText"] for item in editor.items(HEAD + "  - conv:\n      |\n")]
    assert "channels: 64" in skeletons and not any(":0}" in text for text in [*written.values(), *skeletons])


def test_attributes_are_offered_in_braces_after_their_first_letter(editor: LanguageServer) -> None:
    assert {"kernel", "stride", "padding"} <= set(editor.completions(HEAD + "  - conv: {channels: 3, k|}\n"))
    assert {"as", "from", "repeat"} <= set(editor.completions(HEAD + "  - {conv: {channels: 3}, a|}\n"))
    written = {item["label"]: item["insertText"] for item in editor.items(HEAD + "  - relu:\n    r|\n")}
    assert written["repeat"] == "repeat: ${1:2}"


@pytest.mark.parametrize("step", ["  - conv: {channels: 3}\n    |\n", "  - CBAM:\n    a|\n"])
def test_beside_an_op_are_offered_the_keys_of_steps(editor: LanguageServer, step: str) -> None:
    assert set(editor.completions(HEAD + step)) == set(STEP_KEYS)


@pytest.mark.parametrize("op", ["conv", "max_pool", "softmax", "layer_norm"])
def test_an_op_offers_its_own_attributes(editor: LanguageServer, op: str) -> None:
    assert editor.completions(f"{HEAD}  - {op}:\n      |\n") == list(list_attributes(OPS[op]))


def test_braces_offer_attributes_too(editor: LanguageServer) -> None:
    offered = editor.completions(HEAD + "  - conv: {channels: 3, k|}\n")
    assert set(offered) == set(list_attributes(OPS["conv"])) - {"channels"}


def test_values_are_offered(editor: LanguageServer) -> None:
    modes = editor.completions(HEAD + "  - conv:\n      channels: 3\n      padding_mode: |\n")
    assert modes == ["zeros", "reflect", "replicate", "circular"]
    merges = editor.completions(HEAD + "  - parallel: {a: [relu], b: [relu]}\n    merge: |\n")
    assert {"add", "concat"} <= set(merges) <= {*OPS, *library_blocks()}


def test_the_file_offers_its_keys(editor: LanguageServer) -> None:
    assert editor.completions("specbuild: 1\n|\n") == list(FILE_KEYS[1:])


EDITS = HEAD.replace("steps:", "steps: [relu]\nedits:")


def test_a_new_edit_is_offered_verbs(editor: LanguageServer) -> None:
    assert editor.completions(EDITS + "  - |\n") == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_beside_a_verb_is_offered_what_goes_with_it(editor: LanguageServer, verb: str) -> None:
    assert set(editor.completions(f"{EDITS}  - {verb}: relu\n    |\n")) == set(VERBS[verb])


def test_what_is_inserted_is_an_op_or_a_block(editor: LanguageServer) -> None:
    offered = editor.completions(EDITS + "  - insert: |\n    after: backbone.layer1\n")
    assert {"CBAM", "SqueezeExcitation"} <= set(offered)
    offered = editor.completions(EDITS + "  - after: backbone.layer1\n    insert:\n      CBAM:\n        |\n")
    assert offered == ["reduction", "kernel", "x"]


EDIT_TYPOS = {
    "  - insrt: CBAM\n": ("insrt", "Property insrt is not allowed."),
    "  - insert: {CBAM: {}}\n    aftr: fc\n": ("aftr", "Property aftr is not allowed."),
    "  - remove: a..b\n": ("a..b", "Names with dots between them, such as backbone.layer[1-3].*.bn3."),
    "  - insert: {conv: {channels: 0}}\n    after: fc\n": ("0", "Value is below the minimum of 1."),
}


@pytest.mark.parametrize(("edit", "mark"), EDIT_TYPOS.items(), ids=[mark for mark, _ in EDIT_TYPOS.values()])
def test_a_typo_in_an_edit_is_marked(editor: LanguageServer, edit: str, mark: tuple[str, str]) -> None:
    assert editor.diagnostics(EDITS + edit) == [mark]


TYPOS = {
    "  - conv: {channels: 3, kernl: 3}\n": ("kernl", "Property kernl is not allowed."),
    "  - covn: {channels: 3}\n": ("covn", "Property covn is not allowed."),
    "  - rleu\n": ("rleu", "There is no op with this name, or it needs attributes."),
    "  - relu: {}\n    frm: x\n": ("frm", "Property frm is not allowed."),
    "  - relu:\n      as: x\n": ("as", "Property as is not allowed."),
    "  - conv: {channels: 0}\n": ("0", "Value is below the minimum of 1."),
    "  - conv: {kernel: 3}\n": ("conv", 'Missing property "channels".'),
}


@pytest.mark.parametrize(("step", "mark"), TYPOS.items(), ids=[mark for mark, _ in TYPOS.values()])
def test_a_typo_is_marked_at_its_key(editor: LanguageServer, step: str, mark: tuple[str, str]) -> None:
    assert editor.diagnostics(HEAD + step) == [mark]


def test_what_is_right_is_not_marked(editor: LanguageServer) -> None:
    steps = (
        "  - conv: {channels: x.C * 2, padding: [[0, 1], 1]}\n    as: stem\n  - relu\n  - MyBlock: {a: 1}\n"
    )
    assert editor.diagnostics(HEAD + steps) == []


def test_one_block_is_read_alone() -> None:
    """The names of the library's blocks stand in the text of its files: a command reads only the file of its block."""
    blocks = library_blocks()
    assert library_block_names() == list(blocks)
    for name, block in blocks.items():
        found = find_library_block(name)
        assert found is not None and (found.name, found.source.file) == (name, block.source.file)
    assert find_library_block("Nowhere") is None
    inner = next(name for name in full_library_index() if name not in blocks)
    assert find_library_block(inner) is None  # of a model
