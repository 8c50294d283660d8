"""Packages: what stands in them, that their own tests run and can fail, and that nobody's work is overwritten."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from specbuild import backends, load
from specbuild.api import Model
from specbuild.cli import main
from specbuild.codegen.printer import print_module
from specbuild.codegen.tree import Module
from specbuild.compiler import output_files as output
from specbuild.compiler.arguments import arguments_from_flags
from specbuild.compiler.audit import AuditError
from specbuild.compiler.compiled_model import compile_graph
from specbuild.compiler.pipeline import build_graph
from specbuild.compiler.weight_locations import locate_weights
from specbuild.packaging import PACKAGE_FILE_NAMES, PackageOptions, apply_changes, build_package, plan_changes
from specbuild.packaging.file_audit import audit_module
from specbuild.packaging.init_file import sort_key
from tests.backends.test_op_parity import CASES, text

ROOT = Path(__file__).parents[2]
BOTH = ("torch", "keras")

NET = """\
specbuild: 1
model: Reader
doc: |
  Reads a picture, and words about it.

  - one of them is not enough
license: MIT
params: {classes: {type: int, doc: kinds of pictures}, width: {type: int, default: 4, min: 1, doc: of the words}}
variants: {wide: {width: 6}}
blocks:
  Stem:
    doc: A convolution and its norm.
    params: {channels: int}
    steps: [conv: {channels: channels, bias: false}, batch_norm, relu]
  RNN:
    doc: The last state of an LSTM.
    params: {units: int}
    steps: [lstm: {units: units, returns: last}]
inputs:
  image: {C: 3, H: 8, W: 6}
  words: {axes: {T: 5}, dtype: int32}
  model: {C: 2}
steps:
  - Stem: {channels: 5}
    from: image
    as: stem
  - mean: {over: [H, W]}
    as: seen
  - embedding: {count: 11, features: width}
    from: words
    as: embedded
  - RNN: {units: width}
    as: read
  - weight: {axes: {C: 2}, init: normal(0.02)}
    as: scale
  - multiply: [model, scale]
    as: scaled
  - concat: [seen, read, scaled]
  - linear: {features: classes}
    as: head
outputs: {logits: head, stem: stem, scale: scale}
"""
TINY = "specbuild: 1\nmodel: Tiny\ninputs: {x: {C: 3}}\nsteps:\n  - linear: {features: 2}\n    as: head\n"


class Done:
    """What a command gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Compiles tiny.yaml to a package without a picture, unless told otherwise, in an empty folder."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)

    def run(*more: str, backend: str = "torch", to: str = "tiny", diagram: str = "none") -> Done:
        shown = () if diagram == "svg" else ("--diagram", diagram)
        code = main(["compile", "tiny.yaml", "--layout", "package", "-b", backend, "-o", to, *shown, *more])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Done(code, said.out, said.err)

    return run


def written(model: Model, folder: Path, wanted: PackageOptions) -> Path:
    apply_changes(folder, plan_changes(folder, build_package(model, folder.name, wanted), model.digest))
    return folder


def held_by(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ------------------------------------------------------------------------------------------------- do they run?

CARRIED = """
import keras
import numpy as np
import pytest
import torch
from pathlib import Path
from whole.keras_model import Reader as KerasReader
from whole.keras_weights import load_weights
from whole.torch_model import Reader
from whole import torch_weights


def test_weights_reach_the_other_framework(tmp_path):
    path = str(tmp_path / "reader.safetensors")
    torch.manual_seed(1)
    model, other, again = Reader(classes=3), KerasReader(classes=3), Reader(classes=3)
    torch_weights.save_weights(model, path)
    load_weights(other, path)
    torch_weights.load_weights(again, path)
    random = np.random.default_rng(0)
    image, scale = random.normal(size=(2, 3, 8, 6)).astype("float32"), random.normal(size=(2, 2)).astype("float32")
    words = random.integers(0, 11, (2, 5)).astype("int32")
    given = [torch.from_numpy(x) for x in (image, words, scale)]
    found = [x.detach().numpy() for x in model.eval()(*given)]
    same = [x.detach().numpy() for x in again.eval()(*given)]
    theirs = other([image.transpose(0, 2, 3, 1), words, scale], training=False)
    for a, b in zip(found, same, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(found[0], theirs["logits"], atol=1e-5)
    np.testing.assert_allclose(found[1].transpose(0, 2, 3, 1), theirs["stem"], atol=1e-5)


@pytest.mark.parametrize("package", ["whole", "torch_only", "keras_only"])
def test_the_code_of_the_card(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = (Path(__file__).parent / package / "README.md").read_text()
    scope, nets = {}, {}
    for part in card.split("```python\\n")[1:]:
        code = part.partition("```")[0]
        framework = "torch" if "torch" in code else "keras"
        scope["net"] = nets.get(framework)  # both frameworks' code is on one card
        exec(code, scope)
        nets[framework] = scope["net"]
    assert scope["logits"].shape == (1, 3)
"""


def broken(folder: Path, file: str, old: str, new: str) -> None:
    whole = (folder / file).read_text()
    assert old in whole
    (folder / file).write_text(whole.replace(old, new))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What pytest says of every test of several packages, in one process for all."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "net.yaml").write_text(NET)
    model = load(folder / "net.yaml", classes=3)
    for name, wanted in {
        "whole": PackageOptions(BOTH, loaders=True),
        "torch_only": PackageOptions(("torch",), diagram="none"),
        "keras_only": PackageOptions(("keras",), diagram="none"),
        "resized": PackageOptions(BOTH, diagram="none"),
        "cut": PackageOptions(BOTH, diagram="none"),
    }.items():
        written(model, folder / name, wanted)
    broken(
        folder / "resized",
        "torch_model.py",
        "nn.Linear(width + 7, classes)",
        "nn.Linear(width + 7, 4)",
    )
    broken(folder / "resized", "keras_model.py", "layers.Dense(classes, ", "layers.Dense(4, ")
    broken(folder / "cut", "torch_model.py", "self.embedded(words)", "self.embedded(words).detach()")
    embedded = 'name="embedded")(words)'
    broken(folder / "cut", "keras_model.py", embedded, f"{embedded}\n    x = ops.stop_gradient(x)")
    (folder / "test_carried.py").write_text(CARRIED)
    for name, spec in {
        "unlearned": TINY.replace("- linear: {features: 2}", "- relu:"),
        "frozen": f"{TINY}edits: [freeze: head]\n",
    }.items():
        written(load(spec), folder / name, PackageOptions(BOTH, diagram="none"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--tb=line", "."],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {test: said for said, test in found}


@pytest.mark.slow
def test_the_tests_of_packages_run(outcomes: dict[str, str]) -> None:
    good = {test: said for test, said in outcomes.items() if not test.startswith(("resized/", "cut/"))}
    assert set(good.values()) == {"PASSED"}, good
    files = ["whole/test_torch_model.py", "whole/test_keras_model.py", "torch_only/test_model.py"]
    for file in [*files, "keras_only/test_model.py"]:
        assert sum(test.startswith(f"{file}::") for test in good) == 4
    assert sum(test.startswith(("unlearned/", "frozen/")) for test in good) == 3 * 2 * 2  # no gradients
    assert sum(test.startswith("test_carried.py::") for test in good) == 4


@pytest.mark.slow
def test_the_tests_of_packages_can_fail(outcomes: dict[str, str]) -> None:
    failed = {test for test, said in outcomes.items() if said == "FAILED"}
    for backend in BOTH:
        file = f"test_{backend}_model.py::test"
        assert {t for t in failed if t.startswith(f"cut/{file}")} == {f"cut/{file}_gradients"}
        wrong = {f"resized/{file}_{part}" for part in ("shapes[1]", "shapes[2]", "parameters")}
        assert {t for t in failed if t.startswith(f"resized/{file}")} == wrong


def test_a_framework_that_is_missing(reader: Model, tmp_path: Path) -> None:
    """Where only one is installed, the tests of the other are left out, and do not break a whole run."""
    written(reader, tmp_path / "net", PackageOptions(BOTH, diagram="none"))
    code = "import sys; sys.modules |= dict(torch=None, keras=None); import pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "2 skipped" in done.stdout and "error" not in done.stdout, done.stdout


# --------------------------------------------------------------------------------------------- what stands in them


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("spec") / "net.yaml"
    path.write_text(NET)
    return load(path, classes=3)


def test_models_are_what_is_compiled_to_a_file(reader: Model, tmp_path: Path) -> None:
    for name, wanted in {"one": ("torch",), "all": BOTH}.items():
        folder = written(reader, tmp_path / name, PackageOptions(wanted, diagram="none"))
        for backend in wanted:
            file = "model.py" if name == "one" else f"{backend}_model.py"
            assert (folder / file).read_text() == reader.source(backend)


def test_every_file_says_that_it_is_generated(reader: Model, tmp_path: Path) -> None:
    folder = written(reader, tmp_path / "net", PackageOptions(BOTH, loaders=True))
    assert set(held_by(folder)) == PACKAGE_FILE_NAMES - {"model.py", "weights.py", "test_model.py"}
    for path in folder.iterdir():
        assert output.file_state(path) == "outdated", f"{path.name}: unedited"
        assert output.is_current(path, reader.digest)
        path.write_text(path.read_text() + " ")
        assert output.file_state(path) == "edited" and not output.is_current(path, reader.digest)
    ElementTree.fromstring((folder / "diagram.svg").read_text())
    assert "partial\n" not in (folder / "py.typed").read_text()  # which would mean something


def test_one_framework_does_not_bring_the_other(reader: Model, tmp_path: Path) -> None:
    allowed = {
        "keras": {"keras", "safetensors", "math", "pytest", "collections"},
        "torch": {"torch", "safetensors", "math", "pytest", "collections"},
    }
    folder = written(reader, tmp_path / "net", PackageOptions(BOTH, loaders=True, diagram="none"))
    for path in folder.glob("*_*.py"):
        if path.name == "__init__.py":
            continue
        backend = next(b for b in BOTH if b in path.name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {name.name.partition(".")[0] for name in node.names} <= allowed[backend]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or str(node.module).partition(".")[0] in allowed[backend]
    code = (
        "import sys, net; print(net.__all__, sorted({'torch', 'keras'} & set(sys.modules)))\n"
        "try: net.other\nexcept AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "['keras_model', 'torch_model'] []\nmodule 'net' has no attribute 'other'\n"


def test_names_stand_in_the_order_of_linters() -> None:
    names = ["Net10", "net", "CBAM", "Net9", "aux", "SEBlock", "B", "MLP"]
    assert sorted(names, key=sort_key) == ["CBAM", "MLP", "B", "Net9", "Net10", "SEBlock", "aux", "net"]


LONG = "Aa" * 32
HOSTILE = f"""\
specbuild: 1
model: {LONG}
doc: |
  Ends early: \"\"\" ''' \\ --> <script>alert(1)</script> ![x](javascript:alert(1)) [a](b) {{{{x}}}}
  # Heading | cell \u202e $x$ `code` *bold* _it_ a_b &lt;

  ```python
  import os
  ```
license: "MIT --> <b> | \\\\"
params:
  {"w" * 64}: {{type: int, doc: "a | b <i> `c`"}}
inputs: {{{"x" * 64}: {{C: 3, H: 5, W: 5}}, {"y" * 64}: {{axes: {{T: 4, C: 3}}, dtype: bool}}}}
steps:
  - conv: {{channels: {"w" * 64}}}
    from: {"x" * 64}
    as: {"z" * 64}
  - logical_not:
    from: {"y" * 64}
    as: {"v" * 64}
outputs: [{"z" * 64}, {"v" * 64}]
"""


def test_files_are_clean(reader: Model, tmp_path: Path) -> None:
    """As the formatter writes them, and without a word from the linter, whatever the names."""
    hostile = load(HOSTILE, **{"w" * 64: 2})
    for name, model in {"plain": reader, "hostile": hostile}.items():
        for backend in (("torch",), ("keras",), BOTH):
            wanted = PackageOptions(backend, loaders=True, diagram="mermaid")
            written(model, tmp_path / f"{name}_{len(backend)}_{backend[0]}", wanted)
    for command in (["format", "--check", "--diff"], ["check", "--select", "E4,E7,E9,F,I,RUF022"]):
        files = sorted(map(str, tmp_path.rglob("*.py")))
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", *files], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_text_of_a_spec_is_text_on_the_card(tmp_path: Path) -> None:
    model = load(HOSTILE, **{"w" * 64: 2})
    card = (written(model, tmp_path / "net", PackageOptions(BOTH, diagram="none")) / "README.md").read_text()
    assert "\u202e" not in card
    own = re.sub(r"\A<!-- .* -->\n", "", card)
    assert not re.search(r"(?<!\\)<(?!!--)", re.sub(r"```.*?```|`[^`]*`", "", own, flags=re.DOTALL))
    for words in ("\\<script\\>", "!\\[x\\](javascript", "\\# Heading", "a_b", "\\_it\\_", "\\`\\`\\`python"):
        assert words in own
    assert own.splitlines()[-1].startswith("MIT --\\> \\<b\\>")


def test_a_card_says_what_is_so(reader: Model, tmp_path: Path) -> None:
    card = (written(reader, tmp_path / "net", PackageOptions(BOTH)) / "README.md").read_text()
    assert "- one of them is not enough" in card
    for row in (
        "| input `image` | C 3, H 8, W 6 | float | `(B, 3, 8, 6)` | `(B, 8, 6, 3)` |",
        "| output `scale` | C 2 | float | `(2,)` | `(2,)` |",
        "| `classes` | `3` | kinds of pictures |",
        "| `width` | `4` | of the words |",
        "| Buffers | 10 |",
    ):
        assert row in card
    sizes = {b: sum(n for n, _ in counted(reader, b)) for b in BOTH}
    assert sizes["torch"] == reader.parameters and sizes["keras"] < sizes["torch"]  # it adds the biases up
    assert f"| Parameters in PyTorch | {sizes['torch']} |" in card
    assert f"| Parameters in Keras 3 | {sizes['keras']} |" in card
    links = set(re.findall(r"\]\((\S+?)\)", card))
    assert links == {path.name for path in (tmp_path / "net").iterdir()}
    assert "Not measured" in card


def counted(model: Model, backend: str) -> list[tuple[int, str]]:
    """The size of every tensor that is learned, once for each place that keeps it."""
    found = {
        h.framework_path: (h.framework_shape, h.is_trainable) for h in locate_weights(model.graph, backend)
    }
    sizes = []
    for kept, (shape, learned) in found.items():
        size = 1
        for n in shape:
            size *= n
        sizes += [(size, kept)] if learned else []
    return sizes


def test_its_command_writes_the_same_package_again(tmp_path: Path) -> None:
    """With the variant and the values that the caller gave, however they must be quoted."""
    spec = (
        "specbuild: 1\nmodel: Tiny\nparams: {widths: [2], scale: 1.5, gate: {type: block, default: none}}\n"
    )
    spec += "variants: {wide: {widths: [8, 9]}}\ninputs: {x: {C: 3, H: 8, W: 8}}\nsteps:\n"
    spec += "  - {conv: {channels: 'widths[i]'}, repeat: len(widths), as: convs}\n  - use: gate\n"
    (tmp_path / "tiny.yaml").write_text(spec)
    given = {"scale": 2e-7, "gate": {"SqueezeExcitation": {"reduction": 2}}}
    model = load(tmp_path / "tiny.yaml", variant="wide", **given)
    card = (written(model, tmp_path / "net", PackageOptions(BOTH)) / "README.md").read_text()
    [command] = {
        line for line in card.splitlines() if line.startswith("specbuild compile") and "parity" not in line
    }
    words = shlex.split(command)
    assert words[2] == "tiny.yaml" and words[words.index("--variant") + 1] == "wide"
    settings = [after for word, after in pairwise(words) if word == "--set"]
    assert arguments_from_flags(settings, "wide").param_values == given
    converted = [line for line in card.splitlines() if line.startswith("specbuild weights convert")]
    assert converted and all("--variant wide --set scale=2e-07 --set 'gate=" in line for line in converted)


def test_published_weights_are_told(tmp_path: Path) -> None:
    spec = "specbuild: 1\nmodel: Net\nimports: {ResNet: library:backbones/resnet.yaml}\ninputs: {x: {C: 3, H: 32, W: 32}}\n"
    model = load(f"{spec}steps:\n  - ResNet: {{variant: resnet18}}\n    as: backbone\n  - relu\n")
    card = (written(model, tmp_path / "net", PackageOptions(BOTH, True, "none")) / "README.md").read_text()
    assert "published.pt --from torchvision --into backbone -o net.safetensors" in card


def test_files_beside_models_are_looked_at() -> None:
    for wrong in (
        "import os",
        "from os import path",
        "print(1)",
        "pytest.importorskip(print())",
        "__all__ = [print()]",
        "x = 1",
        "@pytest.fixture(scope=print())\ndef f(): ...",
        "@eval('1')\ndef f(): ...",
        "class A: ...",
        "'\u202e'",
        "def",
    ):
        with pytest.raises(AuditError):
            audit_module(wrong)
    audit_module('"""Doc."""\nimport pytest\nfrom .model import A\n__all__ = ["A"]\n')


def test_every_weight_of_every_op_has_its_key() -> None:
    """What the emitted functions make of the names in a state_dict, against the table of weights."""
    count = 0
    turned = "contract_bilinear layer_norm_places weight_map gather_by_input rms_norm_places".split()
    for name in {*turned, *list(CASES)[::8]}:  # those whose axes stand otherwise, and some of each kind
        model = build_graph(text(*CASES[name]))
        weights = locate_weights(model, "torch")
        if not weights:
            continue
        module = compile_graph(model, "torch").add_loader(Module("", (), ()))
        source = re.sub(r"^(from|import) .*\n", "", print_module(module), flags=re.MULTILINE)
        scope: dict[str, Any] = {"nn": SimpleNamespace(Module=object)}
        exec(source, scope)
        for h in weights:
            order = h.storage.order or tuple(range(len(h.shape)))
            plain = scope["weight_table"].__annotations__["return"] == "dict[str, str]"
            assert scope["key"](h.framework_path) == (h.path if plain else (h.path, order)), name
            assert not plain or order == tuple(range(len(h.shape))), name
            count += 1
    assert count > 100


def test_same_spec_same_bytes(tmp_path: Path) -> None:
    """Whatever the hash seed and the folder; a spec that is no file has no name in the README."""
    found = []
    for at, (seed, source) in enumerate([("0", "tiny.yaml"), ("1", "../run0/tiny.yaml"), ("2", "-")]):
        folder = tmp_path / f"run{at}"
        folder.mkdir()
        (folder / "tiny.yaml").write_text(TINY)
        command = [sys.executable, "-m", "specbuild", "compile", source, "--layout", "package", "-b", "all"]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [*command, "-o", "net", "--with-weights-loader"],
            cwd=folder,
            input=TINY.encode(),
            env=env,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        found.append(held_by(folder / "net"))
    assert found[0] == found[1]
    assert {**found[2], "README.md": b""} == {**found[0], "README.md": b""}
    assert b"specbuild compile SPEC " in found[2]["README.md"]
    assert str(tmp_path).encode() not in b"".join(found[0].values())


# ------------------------------------------------------------------------------------------------ written again


def test_write_and_write_again(run: Run) -> None:
    done = run()
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[0] == f"wrote {Path('tiny/__init__.py')}"
    names = {"__init__.py", "model.py", "test_model.py", "py.typed", "README.md"}
    assert set(os.listdir("tiny")) == names
    before = {name: Path("tiny", name).stat().st_mtime_ns for name in names}
    assert {line.split()[0] for line in run().err.splitlines()} == {"unchanged"}
    assert before == {name: Path("tiny", name).stat().st_mtime_ns for name in names}
    for name in names:
        path = Path("tiny", name)
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert run("--check").code == 0, "a checkout may have changed the line ends"


def test_the_name_is_the_models_own(run: Run) -> None:
    main(["compile", "tiny.yaml", "--layout", "package", "-b", "torch", "--diagram", "none"])
    assert Path("tiny", "model.py").exists()


def test_what_somebody_wrote_is_kept(run: Run) -> None:
    Path("tiny").mkdir()
    Path("tiny", "__init__.py").write_text("")  # as many make a package
    Path("tiny", "README.md").write_text("# Mine\n")
    Path("tiny", "mine.py").write_text("x = 1\n")
    done = run()
    assert done.code == 1
    assert "README.md` was not generated by specbuild" in done.err and "--keep README.md" in done.err
    assert set(os.listdir("tiny")) == {"__init__.py", "README.md", "mine.py"}, "nothing was written"
    assert run("--keep", "README.md").code == 0
    assert Path("tiny", "README.md").read_text() == "# Mine\n"
    assert Path("tiny", "mine.py").read_text() == "x = 1\n"
    for name in ("model.py", "py.typed"):
        with Path("tiny", name).open("a") as file:
            file.write("# edited\n")
    before = held_by(Path("tiny"))
    done = run("--set", "nothing=1")
    assert done.code == 3
    Path("tiny.yaml").write_text(TINY.replace("features: 2", "features: 7"))
    done = run()
    assert done.code == 1 and done.err.count("error[SB701]") == 3
    for name in ("model.py", "py.typed", "README.md"):
        assert f"{Path('tiny', name)}`" in done.err
    assert held_by(Path("tiny")) == before
    assert run("--check", "--keep", "README.md", "--keep", "model.py", "--keep", "py.typed").code == 1
    assert run("--force").code == 0
    assert run("--check").code == 0
    assert Path("tiny", "mine.py").read_text() == "x = 1\n"


def test_what_is_no_longer_written(run: Run) -> None:
    run("--with-weights-loader")
    with Path("tiny", "model.py").open("a") as file:
        file.write("# edited\n")
    Path("tiny", "other_net_torch.py").write_text(load(TINY).source("torch"))  # ours, and no part of it
    look = run("--check", backend="all")
    assert look.code == 1
    assert f"{Path('tiny/test_model.py')} is no longer part of the package\n" in look.err
    assert (
        f"{Path('tiny/model.py')} is no longer part of the package, but it was edited: not deleted\n"
        in look.err
    )
    assert "-class Tiny" not in run("--diff", backend="all").out
    done = run(backend="all")
    assert done.code == 0
    assert f"removed {Path('tiny/weights.py')}\n" in done.err
    assert (
        f"{Path('tiny/model.py')} is no longer part of the package, but it was edited: not deleted\n"
        in done.err
    )
    assert set(os.listdir("tiny")) == {
        *("__init__.py", "README.md", "py.typed", "model.py", "other_net_torch.py"),
        *("torch_model.py", "keras_model.py", "test_torch_model.py", "test_keras_model.py"),
    }
    assert run("--check", backend="all").code == 0
    run("--force", backend="all")
    assert Path("tiny", "model.py").exists()


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's")
def test_links_are_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    Path("tiny").symlink_to("else")
    done = run()
    assert done.code == 2 and "symbolic link" in done.err
    assert os.listdir("else") == []
    Path("tiny").unlink()
    Path("tiny").mkdir()
    Path("else", "model.py").write_text("x = 1\n")
    Path("tiny", "model.py").symlink_to(Path("..", "else", "model.py"))
    assert run().code == 1
    assert run("--force").code == 0
    assert Path("else", "model.py").read_text() == "x = 1\n"
    assert not Path("tiny", "model.py").is_symlink()


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("3d", "cannot be imported"),
        ("my-net", "cannot be imported"),
        ("class", "cannot be imported"),
        ("ünet", "cannot be imported"),
        ("torch", "would hide"),
        ("json", "would hide"),
        ("file", "it is a file"),
        ("no/such", "No such file"),
        ("-", "a package is a folder"),
    ],
)
def test_a_folder_that_cannot_be(run: Run, to: str, said: str) -> None:
    Path("file").write_text("")
    before = set(os.listdir("."))
    done = run(to=to)
    assert done.code == 2 and said in done.err
    assert set(os.listdir(".")) == before


def test_a_fault_leaves_all_as_it_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written before everything is there: here, what draws is missing."""
    monkeypatch.setattr("specbuild.diagram.graphviz_process.find_spec", lambda name: None)
    monkeypatch.setattr("specbuild.diagram.graphviz_process.shutil.which", lambda name: None)
    done = run(diagram="svg")
    assert done.code == 4 and "SB951" in done.err and "--diagram mermaid" in done.err
    assert not Path("tiny").exists()
    assert run(diagram="mermaid").code == 0
    assert "```mermaid\n" in Path("tiny", "README.md").read_text()


def test_a_picture_is_drawn_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Graphviz sets boxes a little apart: what one has drawn of this spec stays."""
    assert run(diagram="svg").code == 0
    monkeypatch.setattr("specbuild.diagram.graphviz_process.find_spec", lambda name: None)
    monkeypatch.setattr("specbuild.diagram.graphviz_process.shutil.which", lambda name: None)
    assert run("--check", diagram="svg").code == 0
    assert run(diagram="svg").code == 0
    Path("tiny.yaml").write_text(TINY.replace("features: 2", "features: 7"))
    done = run("--diff", diagram="svg")
    assert done.code == 1 and f"Picture {Path('tiny/diagram.svg')} differs\n" in done.out
    with Path("tiny", "diagram.svg").open("a") as file:
        file.write("<!-- mine -->\n")
    done = run("--check", diagram="svg")
    assert done.code == 1 and "diagram.svg was edited" in done.err


# -------------------------------------------------------------------------------------------- looking, and telling


def test_check_and_diff(run: Run) -> None:
    done = run("--check")
    assert done.code == 1 and done.err.count("does not exist") == 5 and not Path("tiny").exists()
    done = run("--diff")
    assert done.code == 1 and f"--- /dev/null\n+++ {Path('tiny/model.py')}\n" in done.out
    assert not Path("tiny").exists()
    run()
    assert (run("--check").code, run("--diff").code, run("--diff").out) == (0, 0, "")
    Path("tiny.yaml").write_text(TINY.replace("features: 2", "features: 7"))
    done = run("--diff")
    assert done.code == 1
    assert "-        self.head = nn.Linear(3, 2)\n+        self.head = nn.Linear(3, 7)\n" in done.out
    assert "-    return [(batch, 2)]\n+    return [(batch, 7)]\n" in done.out
    before = held_by(Path("tiny"))
    if not shutil.which("git"):
        return
    patch = re.sub(r"^(---|\+\+\+) ", r"\1 a/", done.out, flags=re.MULTILINE)
    assert held_by(Path("tiny")) == before, "nothing was written"
    subprocess.run(["git", "apply", "--unsafe-paths", "-"], input=patch.encode(), check=True)
    assert run("--check").code == 0, "the difference can be applied as it is"


def test_diff_of_a_single_file(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compile", "tiny.yaml", "-b", "torch", "-o", "tiny.py"]
    assert main(command) == 0
    assert main([*command, "--diff"]) == 0
    Path("tiny.py").write_text(Path("tiny.py").read_text() + "x = '\x1b[31m'")
    capsys.readouterr()
    assert main([*command, "--diff"]) == 1
    found = capsys.readouterr()
    assert found.out.endswith("-x = '\\x1b[31m'\n\\ No newline at end of file\n")
    assert found.err == "tiny.py was edited since it was generated\n"
    assert main([*command, "--diff", "--json"]) == 1
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert result["status"] == "edited" and result["diff"] == found.out
    assert main(["compile", "tiny.yaml", "-b", "torch", "--diff"]) == 2


def test_as_json(run: Run) -> None:
    found = json.loads(run("--json", backend="all").out)
    assert found["errors"] == []
    told = {r["file"]: (r["status"], r["backend"], r["model"], r["parameters"]) for r in found["results"]}
    assert told[str(Path("tiny/keras_model.py"))] == ("wrote", "keras", "Tiny", 8)
    assert told[str(Path("tiny/README.md"))] == ("wrote", None, "Tiny", 8)
    Path("tiny/README.md").write_text("mine")
    done = run("--json", backend="all")
    assert done.code == 1 and done.err == ""
    assert [e["code"] for e in json.loads(done.out)["errors"]] == ["SB701"]
    done = run("--json", "--diff", backend="all")
    [differs] = [r for r in json.loads(done.out)["results"] if r["status"] != "same"]
    assert differs["status"] == "foreign" and "-mine\n" in differs["diff"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["-b", "torch", "--diagram", "none"], "it is for a package"),
        (["-b", "torch", "--keep", "README.md"], "it is for a package"),
        (["-b", "torch", "--parity", "x.json"], "it is for a package"),
        (["-b", "torch", "--layout", "package", "--keep", "READNE.md"], "did you mean 'README.md'?"),
        (["other.yaml", "-b", "torch", "--layout", "package"], "holds one model"),
        (["-b", "torch", "--layout", "folder"], "'folder' is not one of"),
    ],
)
def test_usage(run: Run, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    assert main(["compile", "tiny.yaml", *more]) == 2
    assert said in " ".join(re.sub(r"[│\n]", " ", capsys.readouterr().err).split())


# ---------------------------------------------------------------------------------------------------------- parity


def report(model: Model, **changes: Any) -> str:
    """What `specbuild parity --json` prints, as far as a card reads it (test_parity has the command itself)."""
    record = {
        "digest": model.digest,
        "files": {b: output.content_hash(model.source(b)) for b in backends.BACKEND_NAMES},
        "runtime": "jax",
        "dtype": "float32",
        "device": "cpu",
        "modes": ["forward", "train"],
        "batch": 2,
        "seeds": 3,
        "verdict": "equal",
        "worst": 2.5e-7,
        "tolerance": {"fail_above": 1e-4},
    }
    other = {**record, "digest": "of another", "verdict": "differs"}
    return json.dumps({"results": [other, {**record, **changes}]})


def test_a_card_states_what_was_measured(run: Run) -> None:
    model = load(Path("tiny.yaml"))
    Path("parity.json").write_text(report(model))
    assert run("--parity", "parity.json").code == 0
    card = Path("tiny", "README.md").read_text()
    row = "| jax, float32, cpu | outputs and steps, one training step | batch 2, 3 seeds | 2.5e-7 | 1e-4 | equal |"
    assert row in card and "Not measured" not in card and "differs" not in card.partition("## Files")[0]
    assert run("--check", "--parity", "parity.json").code == 0
    Path("parity.json").write_text(report(model, verdict="differs", worst=None))
    run("--parity", "parity.json")
    assert "| nan | 1e-4 | differs |" in Path("tiny", "README.md").read_text(), "what is bad is told as well"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"digest": "of another"}, "SB704"),
        ({"files": {"torch": "0" * 16, "keras": "0" * 16}}, "SB704"),
        ({"verdict": "<b>equal</b>"}, "SB703"),
        ({"batch": "2"}, "SB703"),
        ({"seeds": 10**400}, "SB703"),
        ({"worst": 10**400}, "SB703"),
        ({"modes": ["forward", "[x](y)"]}, "SB703"),
        ({"tolerance": None}, "SB703"),
        ({"worst": "small"}, "SB703"),
    ],
)
def test_only_what_was_measured_of_these_files(run: Run, changes: dict[str, Any], code: str) -> None:
    Path("parity.json").write_text(report(load(Path("tiny.yaml")), **changes))
    done = run("--parity", "parity.json")
    assert code in done.err and done.code == (1 if code == "SB704" else 2)
    assert not Path("tiny").exists()


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"results": [1]}', "[" * 100_000])
def test_what_is_no_report(run: Run, content: str | None) -> None:
    if content is not None:
        Path("parity.json").write_text(content)
    done = run("--parity", "parity.json")
    assert done.code == 2 and "SB703" in done.err
