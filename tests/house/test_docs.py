"""The documentation builds without a warning, has a page for everything, and no link in it leads nowhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.__main__ import build
from docs.pages import models, samples
from docs.pages.models import cost_of, emitted_files
from docs.pages.op_facts import FACTS_BY_OP, OpFacts
from docs.pages.tables import TABLES
from specbuild import load
from specbuild.compiler.pipeline import compile_source
from specbuild.diagnostics.codes import CODES
from specbuild.elaborate import members
from specbuild.frontend.document import FILE_KEYS, STEP_KEYS, STRUCTURES
from specbuild.frontend.editor_schema import library_blocks
from specbuild.frontend.edits import EDIT_VERBS
from specbuild.ir.cost import Cost
from specbuild.ir.graph import Block
from specbuild.ops import OPS
from specbuild.summary.examples import example_spec, load_examples

ROOT = Path(__file__).parents[2]
BLOCKS = library_blocks()

pytestmark = pytest.mark.filterwarnings("ignore:.*MystReferenceResolver.app")  # between Sphinx and MyST


class Page(HTMLParser):
    """What a page of HTML links to, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value for key, value in attrs if value}
        self.targets += [found[key] for key in ("href", "src") if key in found]
        self.anchors |= {found[key] for key in ("id", "name") if key in found}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, with the emitted files and the costs of one model, and the files of ops: all take minutes, and have no links."""

    def compile_op(model: Block, backend: str) -> str:
        return compile_source(model, backend) if model.step_count < 4 else ""

    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "compile_source", compile_op)
        patch.setattr(
            models, "emitted_files", lambda model: emitted_files(model) if model.name == "VGG" else ""
        )
        patch.setattr(
            models, "cost_of", lambda path, variant: cost_of(path, variant) if path.stem == "vgg" else Cost()
        )
        assert build(folder / "site", folder / "sources") == 0
    return folder / "site"


def dead(site: Path) -> Iterator[str]:
    """Every link within the site that leads nowhere."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.is_file() or (
                parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].anchors
            ):
                yield f"{path.relative_to(site)}: {target}"


@pytest.mark.slow
def test_no_link_leads_nowhere(site: Path) -> None:
    assert not list(dead(site))


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#there"></a><a href="b.html#gone"></a><img src="c.svg">')
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    assert list(dead(tmp_path)) == ["a.html: b.html#gone", "a.html: c.svg"]


@pytest.mark.slow
def test_nothing_is_fetched(site: Path) -> None:
    """Pages are whole by themselves: scripts, styles and pictures lie beside them."""
    loaded = re.compile(
        r"<(?:script|img)[^>]*\ssrc=\"([^\"]*)\"|<link[^>]*rel=\"stylesheet\"[^>]*href=\"([^\"]*)\""
    )
    for path in site.rglob("*.html"):
        for match in loaded.finditer(path.read_text(encoding="utf-8")):
            assert not urlsplit(match[1] or match[2]).scheme, f"{path.name} loads {match[0]}"


@pytest.mark.slow
def test_every_op_and_block_has_a_page(site: Path) -> None:
    for op in OPS.values():
        text = (site / "ops" / op.family / f"{op.name}.html").read_text(encoding="utf-8")
        assert 'id="example"' in text and "PyTorch" in text and "Keras" in text
    for name in BLOCKS:
        assert list(site.glob(f"blocks/*/{name}.html")), f"{name} has no page"


@pytest.mark.slow
def test_every_op_says_what_it_is_called_elsewhere() -> None:
    assert set(FACTS_BY_OP) == set(OPS)
    assert FACTS_BY_OP["abs"] == OpFacts("torch.abs", "ops.abs", "jax.numpy.abs", "y = |x|")
    assert FACTS_BY_OP["log"].formula == FACTS_BY_OP["rename"].torch == ""


def test_every_model_and_code_is_told_of(site: Path) -> None:
    assert {path.stem for path in (ROOT / "specs").glob("*.yaml")} <= {
        p.stem for p in site.glob("zoo/*.html")
    }
    assert {code.lower() for code in CODES} <= Page(site / "codes.html").anchors
    [vgg] = site.glob("blocks/*/VGG.html")
    assert "class VGG(nn.Module)" in unescape(re.sub(r"<[^>]*>", "", vgg.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", OPS)
def test_every_op_has_an_example_that_uses_it(name: str) -> None:
    found = example_spec(OPS[name])
    assert found is not None, "give it one in specbuild/ops/examples.yaml"
    assert any(type(node.op) is OPS[name] for node in found.model.nodes)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_has_an_example(name: str) -> None:
    assert BLOCKS[name].model is not None or example_spec(BLOCKS[name]) is not None


def test_the_program_on_the_page_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "ten_minutes.md").read_text(encoding="utf-8")
    [spec] = re.findall(r"```\{faulty\} sk_net.yaml\n(.*?)```", text, re.DOTALL)
    [program] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = load(spec.replace("larg]", "large]")).source("torch")
    (tmp_path / "sk_net_torch.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    exec(program, {})
    assert capsys.readouterr().out.strip() == program.rpartition("# ")[2].strip()


def test_examples_are_of_ops() -> None:
    assert set(load_examples()) <= {*OPS, *BLOCKS}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("file_keys", FILE_KEYS),
        ("step_keys", STEP_KEYS),
        ("structures", STRUCTURES),
        ("edits", EDIT_VERBS),
    ],
)
def test_tables_of_keys_are_whole(name: str, expected: Iterable[str]) -> None:
    assert set(re.findall(r"^\| `(\w+)`", TABLES[name](), re.MULTILINE)) == set(expected)


def test_the_table_of_limits_follows_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "| a repeat | 10,000 times |" in TABLES["limits"]()
    monkeypatch.setattr(members, "MAX_REPEAT", 20_000)
    assert "| a repeat | 20,000 times |" in TABLES["limits"]()
    assert "2^20 and 2^31 - 1 entries" in TABLES["limits"]() and "1 MiB of UTF-8" in TABLES["limits"]()


@pytest.mark.slow
def test_the_page_on_training_works(tmp_path: Path) -> None:
    """Its model is compiled, trained in both frameworks, saved, loaded, and its weights carried over, as the page says."""
    page = (ROOT / "docs" / "guide" / "training.md").read_text(encoding="utf-8")
    [spec] = re.findall(r"```\{spec\} tiny_net.yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "tiny_net.yaml").write_text(spec, encoding="utf-8")
    commands = re.findall(r"^\$? ?(specbuild .*)$", page, re.MULTILINE)
    listings = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert [len(commands), len(listings)] == [2, 3]
    run_steps([commands[0], listings[0], listings[1], commands[1], listings[2]], tmp_path)


@pytest.mark.slow
def test_the_first_hour_of_the_readme_works(tmp_path: Path) -> None:
    """Its template is compiled, trained in PyTorch, carried over, and trained in Keras, as the README says."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    hour = readme[readme.index("## The first hour") : readme.index("From Python, ")]
    commands = re.findall(r"^(specbuild (?:init|check|compile) [^#\n]*)", hour, re.MULTILINE)
    [convert] = re.findall(r"`(specbuild weights convert [^`]*)`", hour)
    torch_listing, keras_listing = re.findall(r"```python\n(.*?)```", hour, re.DOTALL)
    assert len(commands) == 4
    run_steps([*commands, torch_listing, convert, keras_listing], tmp_path)


def run_steps(steps: Sequence[str], folder: Path) -> None:
    """Run commands of specbuild and programs, one after another, in a folder."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    for step in steps:
        words = ["-m", *shlex.split(step)] if step.startswith("specbuild ") else ["-c", step]
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert not done.returncode, f"{step}\n{done.stderr}"
