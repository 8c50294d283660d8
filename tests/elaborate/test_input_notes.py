"""What `check` says about inputs that nothing reads, about the batch, and about a missing version."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specbuild import load
from specbuild.compiler.pipeline import build_graph, elaborate_model, open_spec
from specbuild.elaborate.notes import input_notes, output_notes, parameter_notes, version_notes
from specbuild.weights.published_names import convert_published_weights

SPEC = """model: Net
inputs: {x: {C: 4}, unused: {C: 4}, like: {C: 8}, picture: {N: 3, C: 1, H: 3, W: 3}}
blocks:
  Two:
    inputs: {a: [C], b: [C], c: [C], d: [C]}
    steps:
      - linear: {features: c.C}
    outputs: {first: linear, second: d}
  Table:
    steps:
      - weight: {axes: {C: 4}}
steps:
  - Two:
    from: [x, x, like, x]
    as: two
  - linear: {features: 2 * like.C}
    as: y
  - Table:
    from: x
    as: table
  - add: [table, two.second]
    as: sum
  - mean: {over: [N, H, W]}
    from: picture
    as: z
outputs: [y, z, sum]
"""


def test_notes() -> None:
    spec, files = open_spec(SPEC)
    notes = input_notes(spec, elaborate_model(spec, files).graph)
    assert sorted((note.location.line, note.message) for note in notes if note.location) == [
        (2, "N is an axis of each sample of picture: the batch is implied and has no name"),
        (2, "nothing in Net reads its input unused"),
        (5, "nothing in Two reads its input b"),
        (9, "nothing in Table reads its input x"),
    ]
    assert [note.location.line for note in version_notes(spec) if note.location] == [1]
    assert not version_notes(open_spec(f"specbuild: 1\n{SPEC}")[0])


def test_last_step_is_left_out() -> None:
    head = "specbuild: 1\nmodel: Net\nparams: {on: false}\ninputs: {x: {C: 4}}\nsteps:\n  - {linear: {features: 3}, as: body}\n"
    relu = "  - {relu: , as: act, when: on}\n"
    notes = {
        relu: "act is left out: the output of the model is the value of body",
        f"{relu}  - {{do: [linear: {{features: 2}}], as: fc, when: on}}\noutputs: {{y: fc, z: body}}\n": (
            "fc is left out: the output y of the model is the value of body"
        ),
        f"{relu}outputs: {{y: act}}\n": "act is left out: the output of the model is the value of body",
        f"  - {{silu: , when: not on}}\n{relu}": "",
        f"{relu}  - {{silu: , as: act, when: not on}}\n": "",
        f"{relu}  - silu\n": "",
        f"{relu}  - {{add: [body, act], when: on}}\n": "",
        f"{relu}  - {{concat: {{of: [x, act], over: C}}, when: on}}\n": "",
        f"{relu}  - {{linear: {{features: 2}}, from: act, when: on, as: fc}}\n": (
            "fc is left out: the output of the model is the value of body"
        ),
    }
    for steps, message in notes.items():
        found = output_notes(build_graph(head + steps))
        assert [note.message for note in found] == [message] * bool(message)
    assert not output_notes(load(head + relu).with_features("body", only=True).full_graph)
    [note] = output_notes(build_graph(head + relu))
    assert note.location is not None
    assert (note.location.line, note.location.column) == (7, 29)


def test_rules_of_an_alias(tmp_path: Path) -> None:
    """Rules for weights in a file whose only step is an imported model come before those of the import."""
    inner = "specbuild: 1\nmodel: Inner\ninputs: {x: {C: 4}}\nsteps:\n  - {linear: {features: 4}, as: fc}\nweights:\n"
    (tmp_path / "inner.yaml").write_text(
        f"{inner}  one: {{'a.{{rest}}': 'fc.{{rest}}'}}\n  two: {{'b.{{rest}}': 'fc.{{rest}}'}}\n"
    )
    outer = "specbuild: 1\nmodel: Outer\nimports: {Inner: ./inner.yaml}\ninputs: {x: {C: 4}}\nsteps:\n  - Inner\nweights:\n"
    (tmp_path / "outer.yaml").write_text(f"{outer}  one: {{'c.{{rest}}': 'fc.{{rest}}'}}\n")
    graph = build_graph(tmp_path / "outer.yaml")
    tensors = {"weight": np.zeros((4, 4)), "bias": np.zeros(4)}
    for naming, prefix in (("one", "c"), ("two", "b")):
        published = {f"{prefix}.{name}": value for name, value in tensors.items()}
        assert set(convert_published_weights(graph, naming, published)) == {"fc.weight", "fc.bias"}


def test_parameters_that_nothing_reads() -> None:
    """A name inside a block is the block's own; one that another default reads is read."""
    spec, files = open_spec(
        "specbuild: 1\nmodel: Net\nparams: {width: 8, half: width // 2, mine: 3}\ninputs: {x: {C: 4}}\nblocks:\n"
        "  A: {params: {mine: 2, k: 1}, inputs: {x: [C]}, steps: [{linear: {features: mine}}]}\n"
        "steps: [{A: {k: half}}]\n"
    )
    notes = parameter_notes(spec, elaborate_model(spec, files).graph)
    assert {note.message for note in notes} == {
        "nothing in Net reads its parameter mine",
        "nothing in A reads its parameter k",
    }
