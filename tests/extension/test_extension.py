"""An installed extension adds an op, a block and a backend, which work like the built-in ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

SPEC = """\
specbuild: 1
model: Example
inputs: {x: {C: 6}}
steps:
  - GainedLinear: {features: 8}
    as: body
  - gain
  - linear: {features: 6}
    as: last
  - add: [last, x]
"""
MAP_SPEC = """\
specbuild: 1
model: Maps
inputs: {x: {C: 3, H: 4, W: 4}}
steps:
  - gain
  - do: [{linear: {features: 5}}, gain]
    as: group
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed extension, as pip would leave it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(
        HERE / "specbuild_example",
        folder / "specbuild_example",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "specbuild_example-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1\n")
    groups = [
        "\n".join((f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())))
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with specs that use the extension."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "example.yaml").write_text(SPEC, encoding="utf-8")
    (folder / "maps.yaml").write_text(MAP_SPEC, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(site: Path, project: Path) -> Run:
    """Run Python in the project, with the extension installed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "TF_CPP_MIN_LOG_LEVEL": "3"}

    def run_python(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run_python


def test_library_lists_the_op_and_the_block(run: Run) -> None:
    listed = json.loads(run("-m", "specbuild", "library", "list", "--json").stdout)
    assert listed["ops"]["example"] == {"gain": "The input times a learned gain for each channel"}
    assert listed["blocks"]["GainedLinear"] == "A linear layer, a ReLU and a learned gain for each feature"


def test_library_shows_the_op_and_the_block(run: Run) -> None:
    assert run("-m", "specbuild", "library", "show", "gain").stdout.startswith("gain (op, example)\n")
    shown = run("-m", "specbuild", "library", "show", "GainedLinear").stdout
    assert shown.startswith("GainedLinear (block, library:example/gained.yaml)\n")


def test_the_schema_knows_the_op_and_the_block(run: Run) -> None:
    definitions = json.loads(run("-m", "specbuild", "schema").stdout)["definitions"]
    assert "op.gain" in definitions and "block.GainedLinear" in definitions


def test_the_spec_is_checked(run: Run) -> None:
    assert run("-m", "specbuild", "check", "example.yaml").returncode == 0


def test_a_typo_in_the_name_of_the_op_is_explained(run: Run, project: Path) -> None:
    (project / "typo.yaml").write_text(SPEC.replace("- gain\n", "- gian\n"), encoding="utf-8")
    assert "did you mean 'gain'?" in run("-m", "specbuild", "check", "typo.yaml", code=3).stdout


@pytest.mark.parametrize("backend", ["torch", "keras", "numpy"])
def test_every_backend_writes_the_op(run: Run, backend: str) -> None:
    source = run("-m", "specbuild", "compile", "example.yaml", "-b", backend).stdout
    assert "gain" in source and "class GainedLinear" in source
    compile(source, backend, "exec")


def test_an_unknown_backend_is_refused(run: Run) -> None:
    error = run("-m", "specbuild", "compile", "example.yaml", "-b", "nunpy", code=2).stderr
    assert "did you mean 'numpy'?" in error


def test_an_op_that_the_backend_lacks_is_refused(run: Run, project: Path) -> None:
    (project / "conv.yaml").write_text(
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 3, H: 8, W: 8}}\nsteps: [{conv: {channels: 4}}]\n",
        encoding="utf-8",
    )
    error = run("-m", "specbuild", "compile", "conv.yaml", "-b", "numpy", code=3).stderr
    assert "error[SB601]: numpy cannot express this conv: the backend does not implement it" in error


COMPARE = """
import sys
import numpy as np
import torch
import specbuild
from specbuild.backends import load_backend
from specbuild.compiler.weight_locations import from_framework, locate_weights, to_framework

model = specbuild.load(sys.argv[1])
net = model.build("torch").double()
with torch.no_grad():
    for tensor in net.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, dtype=torch.float64))
x = torch.randn(2, *map(int, sys.argv[2].split(",")), dtype=torch.float64)
expected = net(x).detach().numpy()

values = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
canonical = from_framework(locate_weights(model.graph, "torch"), values)
scope = {}
exec(model.source("numpy"), scope)
plain = scope[model.name]()
for path, value in to_framework(locate_weights(model.graph, "numpy"), canonical).items():
    *owners, last = path.split(".")
    owner = plain
    for name in owners:
        owner = getattr(owner, name)
    assert getattr(owner, last).shape == value.shape, path
    setattr(owner, last, value)
natural = [load_backend(name).natural_order(model.graph.inputs["x"]) for name in ("torch", "numpy")]
x = x.numpy().transpose(0, *(1 + natural[0].index(a) for a in natural[1]))
result = plain(x)
output = next(iter(model.graph.outputs.values())).type
orders = [load_backend(name).natural_order(output) for name in ("torch", "numpy")]
result = result.transpose(0, *(1 + orders[1].index(a) for a in orders[0]))
assert np.abs(result - expected).max() < 1e-12, np.abs(result - expected).max()
assert "torch" not in model.source("numpy")
print("equal", len(canonical))
"""


@pytest.mark.parametrize(("spec", "sizes", "weights"), [("example.yaml", "6", 6), ("maps.yaml", "3,4,4", 4)])
def test_numpy_gives_the_numbers_of_torch(run: Run, spec: str, sizes: str, weights: int) -> None:
    assert run("-c", COMPARE, spec, sizes).stdout == f"equal {weights}\n"


@pytest.mark.parametrize(
    "options",
    [
        ("compile", "example.yaml", "-b", "numpy", "--layout", "package", "-o", "package"),
        ("compile", "example.yaml", "-b", "numpy", "--with-weights-loader", "-o", "out.py"),
        ("compile", "example.yaml", "-b", "numpy", "--with-optimizer-groups", "-o", "out.py"),
        ("parity", "example.yaml", "--backends", "torch,numpy"),
    ],
    ids=["package", "loader", "groups", "parity"],
)
def test_a_part_that_the_backend_lacks_is_refused(run: Run, project: Path, options: tuple[str, ...]) -> None:
    done = run("-m", "specbuild", *options, code=4)
    assert "error[SB605]: the backend 'numpy' does not have" in done.stderr, done.stderr
    assert not (project / "out.py").exists()


def test_parts_that_the_backend_lacks_are_refused(run: Run) -> None:
    code = """
from specbuild.backends import all_backend_names, load_backend
from specbuild.diagnostics.errors import SpecError
assert all_backend_names() == ("torch", "keras", "numpy")
backend = load_backend("numpy")
assert backend.reserved.emitted == {"np"} and not backend.weight_files and not backend.runtimes
try:
    backend.weights_loader(None, [])
except SpecError as error:
    print(error.code)
"""
    assert run("-c", code).stdout == "SB605\n"


def test_doctor_lists_the_extension(run: Run) -> None:
    assert "extension: backend numpy, ops example, blocks example" in run("-m", "specbuild", "doctor").stdout


def test_a_broken_extension_is_named(run: Run, site: Path) -> None:
    broken = site / "specbuild_example" / "ops.py"
    text = broken.read_text(encoding="utf-8")
    try:
        broken.write_text("import nothing_of_this_name\n", encoding="utf-8")
        error = run("-m", "specbuild", "library", "list", code=4).stderr
    finally:
        broken.write_text(text, encoding="utf-8")
    assert "error[SB606]: the extension 'specbuild-example' cannot be loaded" in error
