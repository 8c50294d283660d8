"""An installed extension adds an op, a block and a backend, which work like the built-in ones."""

from __future__ import annotations

import json
import os
import re
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

REPEATED_SPEC = """\
specbuild: 1
model: Repeated
inputs: {x: {C: 6}}
blocks:
  Mixing:
    params: {mixes: bool}
    steps:
      - linear: {features: x.C}
        as: mix
        when: mixes
      - gain:
        when: mixes
      - add: [gain, x]
        when: mixes
      - relu
steps:
  - GainedLinear: {features: 6}
    repeat: 2
    as: body
  - Mixing: {mixes: true}
    as: mixed
  - Mixing: {mixes: false}
    as: plain
  - linear: {features: 6}
    as: last
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
    (folder / "repeated.yaml").write_text(REPEATED_SPEC, encoding="utf-8")
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


NAMES = """\
specbuild: 1
model: Names
inputs: {x: {C: 4}}
blocks:
  Narrow:
    params: {k: int}
    inputs: {len: [C]}
    steps:
      - linear: {features: k}
        as: k
steps:
  - Narrow: {k: 3}
  - Narrow: {k: 2}
"""


@pytest.mark.parametrize(
    ("spec", "sizes", "weights"),
    [("example.yaml", "6", 6), ("maps.yaml", "3,4,4", 4), ("names.yaml", "4", 4)],
)
def test_numpy_gives_the_numbers_of_torch(
    run: Run, project: Path, spec: str, sizes: str, weights: int
) -> None:
    (project / "names.yaml").write_text(NAMES)
    assert run("-c", COMPARE, spec, sizes).stdout == f"equal {weights}\n"


@pytest.mark.parametrize(
    "options",
    [
        ("compile", "example.yaml", "-b", "numpy", "--layout", "package", "-o", "package"),
        ("compile", "example.yaml", "-b", "numpy", "--with-weights-loader", "-o", "out.py"),
        ("compile", "example.yaml", "-b", "numpy", "--with-optimizer-groups", "-o", "out.py"),
        ("parity", "example.yaml", "--backends", "torch,numpy", "--mode", "gradients"),
        ("parity", "example.yaml", "--backends", "torch,numpy", "--dtype", "bfloat16"),
    ],
    ids=["package", "loader", "groups", "gradients", "bfloat16"],
)
def test_a_part_that_the_backend_lacks_is_refused(run: Run, project: Path, options: tuple[str, ...]) -> None:
    done = run("-m", "specbuild", *options, code=4)
    assert "error[SB605]: the backend 'numpy' does not have" in done.stderr, done.stderr
    assert not (project / "out.py").exists()


def test_parity_compares_every_step(run: Run) -> None:
    done = run("-m", "specbuild", "parity", "repeated.yaml", "--backends", "torch,numpy", "--json")
    [result] = json.loads(done.stdout)["results"]
    assert (result["verdict"], result["backends"]) == ("equal", ["torch", "numpy"])
    assert result["modes"] == ["forward"], "all modes that both backends have"
    steps = [tensor["path"] for tensor in result["tensors"] if tensor["kind"] == "step"]
    assert {"body.0", "body.0.linear", "body.1", "body.1.gain", "mixed.mix", "plain.relu", "last"} <= set(
        steps
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backends", "numpy"), "give two or more different backends"),
        (("--backends", "torch,torch"), "give two or more different backends"),
        (("--backends", "torch,numpy", "--runtime", "jax"), "'jax' is not one of numpy, all"),
    ],
)
def test_parity_needs_backends_and_runtimes_that_exist(
    run: Run, options: tuple[str, ...], message: str
) -> None:
    error = run("-m", "specbuild", "parity", "example.yaml", *options, code=2).stderr
    assert message in " ".join(error.replace("│", " ").split())


def test_weight_files_of_the_backend(run: Run, project: Path) -> None:
    run("-m", "specbuild", "weights", "init", "example.yaml", "-o", "a.npz")
    assert (project / "a.npz").read_bytes().startswith(b"PK")
    run(
        "-m",
        "specbuild",
        "weights",
        "convert",
        "example.yaml",
        "a.npz",
        "-o",
        "b.safetensors",
        "--to",
        "numpy",
    )
    run("-m", "specbuild", "weights", "convert", "example.yaml", "b.safetensors", "-o", "c.safetensors")
    compared = run(
        "-m", "specbuild", "weights", "compare", "a.npz", "c.safetensors", "--spec", "example.yaml"
    )
    assert compared.stdout == "6 of 6 equal\n"
    (project / "damaged.npz").write_bytes((project / "a.npz").read_bytes()[:200])
    damaged = run("-m", "specbuild", "weights", "inspect", "damaged.npz", code=1)
    assert "error[SB804]" in damaged.stderr
    error = run(
        "-m", "specbuild", "weights", "init", "example.yaml", "-o", "d.safetensors", "--to", "nunpy", code=2
    ).stderr
    assert "did you mean 'numpy'?" in error


@pytest.mark.parametrize(
    ("name", "old", "new"), [("np", "as: last", "as: np"), ("Linear", "GainedLinear", "Linear")]
)
def test_a_name_that_the_backend_reserves_is_refused(
    run: Run, project: Path, name: str, old: str, new: str
) -> None:
    spec = (
        f"{SPEC}blocks:\n  GainedLinear:\n    params: {{features: int}}\n    steps: [{{linear: features}}]\n"
    )
    spec = spec.replace(old, new).replace("last, x", "np, x" if name == "np" else "last, x")
    spec = spec.replace("{linear: features}", "{linear: {features: features}}")
    (project / "reserved.yaml").write_text(spec, encoding="utf-8")
    run("-m", "specbuild", "compile", "reserved.yaml", "-b", "torch")
    error = run("-m", "specbuild", "compile", "reserved.yaml", "-b", "numpy", code=3).stderr
    assert f"error[SB203]: {name!r} cannot be the name of" in error and "--> reserved.yaml:" in error


IN_PROCESS = '''
import pytest
import specbuild
from specbuild.backends import all_backend_names, load_backend
from specbuild.backends.base import inline_result
from specbuild.codegen.tree import Infix, Literal
from specbuild.ops.activation import Relu, Tanh
from specbuild.ops.base import Op, register_op
from specbuild.parity.participants import select_lineup

WIDE = """
specbuild: 1
model: Wide
params: {width: {type: int, default: 4}}
inputs: {x: {C: 6}}
steps: [{linear: {features: width}}, tanh]
"""
assert all_backend_names() == ("torch", "keras", "numpy")
assert type(specbuild.load("example.yaml").build("numpy")).__name__ == "Example"
backend = load_backend("numpy")
for change in (
    lambda: register_op("example")(type("Gain", (Op,), {"__module__": "other"})),
    lambda: backend.emits(Relu)(lambda op, x, out: x),
    lambda: backend.add_helpers("def Linear(x): ..."),
):
    with pytest.raises(ValueError, match="already"):
        change()
backend.writers[Tanh] = lambda op, x, out: inline_result(Infix("*", x.expr, Literal(int(x["C"]) + 1)), x.layout)
model = specbuild.load(WIDE)
assert "width: int" in model.source("torch")
assert "width: int" not in model.source("numpy"), "its constructor would be wrong for other values"
keys = [p.key for p in select_lineup(None, ("numpy", "torch", "keras")).participants]
assert keys[1] == ("torch", "torch") and keys[-1] == ("keras", "torch") and len(set(keys)) == 5
'''


def test_parts_are_found_in_the_process(run: Run) -> None:
    run("-c", IN_PROCESS.replace('load("example.yaml")', 'load(__import__("pathlib").Path("example.yaml"))'))


@pytest.mark.parametrize(
    ("group", "line", "reason"),
    [
        ("backends", "torch = specbuild_example.numpy_backend.backend:backend", "specbuild itself has"),
        ("backends", "jax = specbuild_example.numpy_backend.backend:backend", "has the name 'numpy'"),
        ("backends", "jax = specbuild_example.ops:Gain", "is not an instance of Backend"),
        ("backends", "numpy = other:backend", "has an entry point 'numpy'"),
        ("blocks", "other = specbuild_example.blocks", "another extension already has a block"),
    ],
)
def test_names_that_are_in_use_are_refused(run: Run, site: Path, group: str, line: str, reason: str) -> None:
    info = site / "another-0.1.dist-info"
    info.mkdir()
    try:
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[specbuild.{group}]\n{line}\n")
        command = ("compile", "example.yaml", "-b", "jax") if group == "backends" else ("library", "list")
        error = run("-m", "specbuild", *command, code=4).stderr
        doctor = run("-m", "specbuild", "doctor")
    finally:
        shutil.rmtree(info)
    assert "error[SB606]: the extension" in error and reason in error
    assert "+ torch " in doctor.stdout


def test_doctor_lists_the_extension(run: Run) -> None:
    listed = run("-m", "specbuild", "doctor").stdout
    assert "extension: backend numpy, ops example, blocks example" in listed
    assert "builds and compares NumPy models" in listed


def test_a_broken_extension_is_named(run: Run, site: Path) -> None:
    broken = site / "specbuild_example" / "ops.py"
    text = broken.read_text(encoding="utf-8")
    try:
        broken.write_text("import nothing_of_this_name\n", encoding="utf-8")
        error = run("-m", "specbuild", "library", "list", code=4).stderr
    finally:
        broken.write_text(text, encoding="utf-8")
    assert "error[SB606]: the extension 'specbuild-example' cannot be loaded" in error


def test_a_bug_in_an_extension_is_its_own(run: Run, site: Path) -> None:
    """Its author hears of it, not that of specbuild."""
    file = site / "specbuild_example" / "ops.py"
    text = file.read_text(encoding="utf-8")
    [method] = re.findall(r"    def infer_type.*?:\n", text, re.S)[:1]
    try:
        file.write_text(text.replace(method, f'{method}        raise KeyError("wires")\n'), encoding="utf-8")
        error = run("-m", "specbuild", "check", "example.yaml", code=70).stderr
    finally:
        file.write_text(text, encoding="utf-8")
    assert "this is a bug in the extension 'specbuild-example', not in your spec: KeyError: 'wires'" in error
