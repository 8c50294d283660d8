"""The smallest specs that once ended in an internal error, took endless time or were compiled to another model.

Each gives its result, or an error with this code: exit 3, never 70. `tests/system/large_specs.py` has the large ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild import load
from specbuild.cli import main

HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\n"
IMAGE = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8, H: 16, W: 16}}\n"
CHOICE = (
    HEAD
    + "params: {k: {type: block, default: relu}}\nblocks: {B: {steps: [relu]}, D: {params: {k: {type: block, "
    "default: B}}, steps: [use: k]}}\nsteps: [use: k, D]\n"
)


def join_values(op: str, count: int) -> str:
    names = [f"s{i}" for i in range(count)]
    steps = "".join(f"  - {{linear: {{features: 8}}, from: x, as: {name}}}\n" for name in names)
    over = ", over: C" if op in ("concat", "contract") else ""
    return f"{HEAD}steps:\n{steps}  - {op}: {{of: [{', '.join(names)}]{over}}}\n"


def condition_on(kind: str, text: str) -> str:
    step = f"  - {kind}\n    when: {text}\n"
    return f"{HEAD}blocks: {{B: {{steps: [relu]}}}}\nsteps:\n  - {{linear: {{features: 8}}, as: a}}\n{step}"


CONDITIONS = {
    f"when {text} on {kind}": (condition_on(kind, text), code)
    for kind in ("relu: {}", "do: [relu]", "B: {}", "add: [x, a]", "reuse: a")
    for text, code in (("stride = 2", "SB301"), ("1 && 2", "SB301"), ("(1", "SB301"), ("f(1)", "SB302"))
}
HUGE = {
    f"{attribute} {number}": (
        IMAGE
        + f"steps: [conv: {{channels: 8, {'kernel: 3, ' * (attribute != 'kernel')}{attribute}: {number}}}]\n",
        "SB504",
    )
    for attribute in ("kernel", "stride", "dilation", "padding")
    for number in (100_000_000_000_000_000, 4_294_967_296)
}
JOINED = {
    f"{op} of {count}": (join_values(op, count), None if count <= 100 else "SB502")
    for op in ("concat", "add", "average", "minimum", "contract")
    for count in (33, 210)
}
OTHERS: dict[str, tuple[str, str | None]] = {
    "letters": (
        f"specbuild: 1\nmodel: Net\ninputs: {{x: {{{', '.join(f'a{i}: 1' for i in range(60))}, C: 8}}, y: {{C: 8}}}}\n"
        "steps: [contract: {of: [x, y], over: C}]\n",
        "SB504",
    ),
    "model None": (HEAD.replace("Net", "None") + "steps: [relu]\n", "SB203"),
    "model F": (HEAD.replace("Net", "F") + "steps: [relu]\n", "SB203"),
    "inputs super and os": (
        "specbuild: 1\nmodel: Net\ninputs: {super: {C: 8}, os: {C: 8}}\nsteps: [add: [super, os]]\n",
        None,
    ),
    "the model as its own block": (CHOICE.replace("default: relu", "default: Net"), "SB206"),
    "the model in an argument": (CHOICE.replace("default: relu", "default: {D: {k: Net}}"), "SB206"),
    "blocks that hold blocks twice": (
        HEAD + "blocks:\n  X: {params: {a: {type: block, default: relu}, b: {type: block, default: relu}}, "
        "steps: [use: a, use: b]}\nparams:\n  c0: {type: block, default: relu}\n"
        + "".join(f"  c{i + 1}: {{type: block, default: {{X: {{a: c{i}, b: c{i}}}}}}}\n" for i in range(20))
        + "steps: [use: c20]\n",
        "SB206",
    ),
    "values that double": (
        HEAD
        + "let: {a0: '[x.C, x.C]', "
        + ", ".join(f"a{i}: '[a{i - 1}, a{i - 1}]'" for i in range(1, 30))
        + "}\n"
        "steps: [relu]\n",
        "SB501",
    ),
    "numbers in a doc": (
        HEAD
        + f"doc: 'p {' '.join(f'< {i * 5}' for i in range(200))}'\nparams: {{p: 3}}\nsteps:\n"
        + "  - linear: {features: p}\n" * 100,
        None,
    ),
    "an empty key": (IMAGE + "steps: [conv: {channels: 4, padding: {H: 1, '': [null]}}]\n", "SB102"),
    "a key with a slash": (IMAGE + "steps: [conv: {channels: 4, padding: {H: 1, a/b~1: [null]}}]\n", "SB102"),
    "a block in itself that nobody uses": (HEAD + "blocks: {A: {steps: [A]}}\nsteps: [relu]\n", "SB206"),
    "a file of the system": (HEAD + "imports: {A: ../../../../etc/passwd}\nsteps: [A]\n", "SB207"),
    "an import that nobody uses": (HEAD + "imports: {A: nothing.yaml}\nsteps: [relu]\n", "SB001"),
    "a question mark": (HEAD + "? steps\n: [relu]\n", None),
    "text after quotes": (HEAD + 'doc: "v"# c\nsteps: [relu]\n', "SB003"),
    "a lone dash": (HEAD + "params: {a: [-]}\nsteps: [relu]\n", "SB003"),
    "a colon in an anchor": (HEAD + "doc: &an:chor v\nsteps: [relu]\n", "SB010"),
}
CASES = CONDITIONS | HUGE | JOINED | OTHERS


@pytest.mark.parametrize("name", CASES)
def test_input(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text, code = CASES[name]
    (tmp_path / "net.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    result = main(["check", "net.yaml"])
    printed = "".join(capfd.readouterr())
    assert result == (0 if code is None else 3), printed
    assert code is None or f"error[{code}]" in printed


@pytest.mark.parametrize("name", ["b.yaml", "A.yaml", "net.yaml"])
def test_imports_in_a_circle(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two files that import each other, also by names that differ in case, and one that imports itself."""
    net = f"{HEAD}imports: {{A: {name if name == 'net.yaml' else 'a.yaml'}}}\nsteps: [A]\n"
    (tmp_path / "net.yaml").write_text(net)
    (tmp_path / "a.yaml").write_text(f"specbuild: 1\nimports: {{B: {name}}}\nblocks: {{A: {{steps: [B]}}}}\n")
    if name != "net.yaml":
        (tmp_path / name).write_text("specbuild: 1\nimports: {A: a.yaml}\nblocks: {B: {steps: [A]}}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["check", "net.yaml"]) == 3
    assert "error[SB205]" in capfd.readouterr().out


def test_what_a_message_quotes_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.yaml").write_text(f"{HEAD}imports: {{A: a.yaml}}\nsteps: [A]\n")
    (tmp_path / "a.yaml").write_text("secret " * 300)
    monkeypatch.chdir(tmp_path)
    assert main(["check", "net.yaml"]) == 3
    assert capfd.readouterr().out.count("secret") < 60  # once in the message and once in the line below


def test_a_parameter_named_like_the_channels() -> None:
    """A parameter and the size of an input have one name: both numbers stay what they are."""
    pytest.importorskip("torch")
    text = IMAGE + (
        "blocks:\n  B:\n    params: {in_channels: 4}\n    inputs: {x: [C, H, W]}\n"
        "    steps: [conv: {channels: in_channels, kernel: 1}, conv: {channels: x.C, kernel: 1}]\nsteps: [B]\n"
    )
    model = load(text)
    module = model.build("torch")
    assert sum(p.numel() for p in module.parameters()) == model.parameters == 76
