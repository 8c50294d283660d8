"""How often code is lowered: never to look at a model, and once for each backend to convert weights or compare."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

import specbuild
from specbuild.backends.base import Backend
from specbuild.cli.parity import library_case_builder, load_spec_case
from specbuild.codegen import model_lowering
from specbuild.codegen.model_lowering import LoweredModel
from specbuild.compiler import compiled_model, weight_locations
from specbuild.compiler.graph_weights import canonical_weights
from specbuild.compiler.model_compiler import ModelCompiler
from specbuild.compiler.weight_locations import canonical_locations, locate_weights
from specbuild.ir.graph import Block
from specbuild.parity.exchange import CaseExchange
from specbuild.parity.participants import select_lineup
from specbuild.weights.convert import ConversionOptions, convert_weights, write_initial_weights
from tests.cpu_time import measure_cpu_time

SPECS = Path(__file__).parents[2] / "specs"
MODULES = (compiled_model, weight_locations)  # they import the function by its own name


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many models were lowered for each backend."""
    counts: Counter[str] = Counter()

    def count(model: object, backend: object) -> object:
        counts[backend.name] += 1  # type: ignore[attr-defined]
        return original(model, backend)  # type: ignore[arg-type]

    original = model_lowering.lower_model
    for module in MODULES:
        monkeypatch.setattr(module, "lower_model", count)
    return counts


@pytest.fixture
def lowered_graphs(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[Block, str]]:
    """How often each model was lowered for each backend."""
    counts: Counter[tuple[Block, str]] = Counter()

    def count(model: Block, backend: Backend) -> LoweredModel:
        counts[model, backend.name] += 1
        return original(model, backend)

    original = model_lowering.lower_model
    for name, module in list(sys.modules.items()):
        if name.startswith("specbuild.") and "lower_model" in vars(module):
            monkeypatch.setattr(module, "lower_model", count)
    return counts


def test_looking_at_a_model_lowers_no_code(lowered: Counter[str]) -> None:
    model = specbuild.load(SPECS / "gated_classifier.yaml")
    other = specbuild.load(SPECS / "gated_classifier.yaml", classes=7)
    model.summary()
    model.picture("mermaid")
    model.diff(other)
    assert model.parameters > other.parameters > 0
    assert not lowered


def test_compiling_lowers_the_model_once(lowered: Counter[str]) -> None:
    model = specbuild.load(SPECS / "gated_classifier.yaml")
    source = model.source("torch")
    after_first = lowered["torch"]
    assert model.source("torch", groups=True) != source
    model.source("keras")
    # one more for the parameter groups, one for Keras; variations are lowered with the model
    assert lowered["torch"] <= after_first + 2 and lowered["keras"] == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [("specbuild", {}), ("torch", {"torch": 1}), ("keras", {"keras": 1})],
)
def test_converting_lowers_each_backend_at_most_once(
    names: str, expected: dict[str, int], lowered: Counter[str], tmp_path: Path
) -> None:
    first, second, third = (tmp_path / f"{n}.safetensors" for n in ("first", "second", "third"))
    write_initial_weights(specbuild.load(SPECS / "gated_classifier.yaml"), first)
    assert not lowered
    model = specbuild.load(SPECS / "gated_classifier.yaml")
    assert convert_weights(model, first, second, ConversionOptions(target_names=names)).is_complete
    assert lowered == expected
    lowered.clear()
    again = specbuild.load(SPECS / "gated_classifier.yaml")
    assert convert_weights(again, second, third, ConversionOptions(target_names="specbuild")).is_complete
    assert all(count == 1 for count in lowered.values())


def test_parity_lowers_each_backend_once(lowered_graphs: Counter[tuple[Block, str]], tmp_path: Path) -> None:
    """Files, weights and probes, for all seeds and runtimes, come from one compiled model of each backend."""
    lineup = select_lineup()
    path, names = str(SPECS / "gated_classifier.yaml"), list(lineup.backends)
    loaded = load_spec_case(path, load=specbuild.load, backends=names)
    library = library_case_builder("GlobalContext", lambda: None, False)()
    for case in (loaded, library):
        for seed in range(2):
            exchange = CaseExchange(
                replace(case, seed=seed), tmp_path / f"{Path(case.name).stem}{seed}", lineup
            )
            jobs = [exchange.write_job(p, dtype="float64") for p in lineup.participants]
            assert all(job["probes"] for job in jobs)
        assert [lowered_graphs[case.model, name] for name in names] == [1, 1]


@pytest.mark.parametrize("name", ["cbam_resnet50", "gated_classifier"])
def test_canonical_weights_are_those_of_every_backend(name: str) -> None:
    graph = specbuild.load(SPECS / f"{name}.yaml").graph
    wanted = [(w.path, w.shape, w.is_trainable, w.decays) for w in canonical_weights(graph)]
    assert wanted == [
        (w.path, w.framework_shape, w.is_trainable, w.decays) for w in canonical_locations(graph)
    ]
    for backend in ("torch", "keras"):
        assert wanted == [(w.path, w.shape, w.is_trainable, w.decays) for w in locate_weights(graph, backend)]


def test_a_compiled_model_is_shared() -> None:
    compiler = ModelCompiler(specbuild.load(SPECS / "gated_classifier.yaml").graph)
    compiled = compiler.compile_for("torch")
    assert compiler.compile_for("torch") is compiled
    assert compiled.weights is compiled.weights and compiled.classes is compiled.classes


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_the_paths_of_weights_take_linear_time(backend: str) -> None:
    """Each path once looked at all steps of its block: 5,900 steps took seconds."""
    steps = "".join(f"  - {{linear: {{features: 2}}, as: s{i}}}\n" for i in range(4_000))
    compiled = specbuild.load(
        f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 2}}}}\nsteps:\n{steps}"
    ).compile_for(backend)
    assert compiled.lowered_model is not None
    with measure_cpu_time() as measured:
        assert len(compiled.weights) == 8_000
    assert measured.seconds < 1
