"""A file gives at another size what the spec says there, or refuses it: never another result without a word."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.fx

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.runtimes.live_model import import_source
from tests.system.other_sizes.short_sizes import SHORT
from tests.system.other_sizes.specs import SPECS, Sized
from tests.system.other_sizes.sweep import arrays_for, graph_at, make, sweep

QUICK = {"table", "grid", "rows", "size_as_number", "condition_in_block", "unshuffled", "windows_of_step"}
QUICK |= {"rows_of_windows", "square_of_tokens", "halves_of_rows"}
QUICK |= {"padded_to_windows", "rows_one_by_one", "rows_of_another"}
QUICK |= {"parts_of_step", "windows_of_places", "rows_of_step", "drawn_table"}
# All their sizes are read when code runs, so that they run at each size.
READ = {
    "read_from_step",
    "rows_of_step",
    "cut_to_step",
    "table_of_step",
    "size_of_part",
}
READ |= {
    "padded_to_windows",
    "rows_one_by_one",
    "rows_in_block",
    "rows_of_part",
    "places_one_by_one",
    "rows_of_another",
}
READ |= {"size_of_step_of_other_axis", "repeated_windows", "sizes_of_instances", "read_from_block", "crop"}
READ |= {
    "sizes_of_parts_that_are_cut",
    "root_of_size",
    "rounded_sizes",
    "rounded_size_of_step",
    "size_and_index",
    "table_by_size_and_index",
}
QUICK |= {
    "sizes_of_parts_that_are_cut",
    "halves_without_weights",
    "rounded_sizes",
    "size_and_index",
    "truth_of_size",
}
KERAS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SPECS]


@pytest.mark.parametrize("name", SPECS)
def test_torch(name: str) -> None:
    trials = sweep(SPECS[name], "torch")
    assert trials[0].outcome == "same"
    assert name not in READ or {trial.outcome for trial in trials} == {"same"}
    assert [trial for trial in trials if not trial.is_right] == []


@pytest.mark.parametrize("name", KERAS)
def test_keras(name: str) -> None:
    trials = sweep(SPECS[name], "keras")
    assert trials[0].outcome == "same"
    assert name not in READ or {trial.outcome for trial in trials} == {"same"}
    assert [trial for trial in trials if not trial.is_right] == []


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("name", SHORT)
def test_a_size_that_leaves_nothing_is_refused(name: str, backend: str) -> None:
    trials = sweep(SHORT[name], backend)
    assert trials[0].outcome == "same" and "refused" in {trial.outcome for trial in trials}
    assert [trial for trial in trials if not trial.is_right] == []


def test_keras_refuses_a_size_that_leaves_nothing_in_a_graph() -> None:
    text = "specbuild: 1\nmodel: Net\ninputs: {x: {T: any, C: 4}}\nsteps:\n  - slice: {over: T, start: 3}\n  - sum: {over: T}\n"
    net = import_source(compile_source(build_graph(text), "keras"), "left").Net()
    assert net.predict(np.zeros((2, 4, 4)), verbose=0).shape == (2, 4)
    with pytest.raises(tf.errors.InvalidArgumentError):
        net.predict(np.zeros((2, 3, 4)), verbose=0)
    with pytest.raises(ValueError, match="T of x must be at least 4, got 3"):
        net(np.zeros((2, 3, 4)))


@pytest.mark.parametrize("name", ["table", "table_in_block", "size_as_number", "empty_slice"])
def test_files_with_checks_are_traced_and_exported(name: str) -> None:
    spec = (SPECS | SHORT)[name]
    graph = graph_at(spec, spec.declared)
    [x] = map(torch.from_numpy, arrays_for(graph, "torch"))
    net = make(graph, "torch")().eval()
    wanted = net(x)
    batch = ({0: torch.export.Dim.AUTO},)
    for other in (
        torch.fx.symbolic_trace(net),
        torch.jit.script(net),
        torch.compile(net, backend="eager", fullgraph=True),
        torch.export.export(net, (x,), dynamic_shapes=batch).module(),
    ):
        torch.testing.assert_close(other(x), wanted)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_a_fixed_size_is_said_and_checked_once(backend: str) -> None:
    spec = SPECS["table_by_parameter"]
    source = compile_source(graph_at(spec, spec.declared), backend)
    assert source.count("T of x is fixed.") == source.count('"T of x")') == 1
    assert 'check_size(x, 1, self.length, "T of x")' in source


def test_keras_refuses_a_free_size_where_it_is_fixed() -> None:
    spec = SPECS["table"]
    with pytest.raises(ValueError, match="T of x must be 5, got None"):
        make(graph_at(spec, spec.declared), "keras")(x_shape=(None, 8))


def test_a_size_of_prev_is_that_of_the_input() -> None:
    text = "inputs: {x: {C: 4, H: @H, W: 8}}\nsteps: [{resize: {size: {H: 2 * prev.H, W: 4}}}]\n"
    trials = sweep(Sized(text, {"H": 8}, ({"H": 6},)), "torch")
    assert [trial.outcome for trial in trials] == ["same", "same"]


def test_keras_refuses_samples_that_would_be_mixed_in_a_graph() -> None:
    """`predict` learns a size that can be any only when the graph runs."""
    text = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4, H: any, W: 4}}\nblocks:\n  Rows:\n    inputs: {x: [C, H, W]}\n"
    text += "    steps:\n      - {max_pool: {kernel: 2}, as: p}\n      - unflatten: {axis: H, into: {a: p.H // 2, b: 2}}\n"
    net = import_source(compile_source(build_graph(f"{text}steps:\n  - Rows:\n"), "keras"), "rows").Net()
    for rows in (8, 12):
        assert net.predict(np.zeros((4, rows, 4, 4)), verbose=0).shape == (4, rows // 4, 2, 2, 4)
    with pytest.raises(tf.errors.InvalidArgumentError):
        net.predict(np.zeros((4, 6, 4, 4)), verbose=0)
