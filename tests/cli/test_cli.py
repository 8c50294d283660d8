"""The command line: verbs, options, streams, exit codes; and the Python face."""

from __future__ import annotations

import gc
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

import specbuild
from specbuild import backends
from specbuild.cli import main
from specbuild.cli.init import TEMPLATES
from specbuild.diagnostics.codes import CODES
from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.sentences import first_sentence
from specbuild.ops import OPS

ROOT = Path(__file__).parents[2]

NET = """\
specbuild: 1
model: GateNet
doc: A convolution with a gate.
license: Apache-2.0
params: {classes: 10, width: {type: int, default: 8, min: 1}}
variants: {small: {}, large: {width: 32}}
blocks:
  Gate:
    doc: Scales channels.
    params: {reduction: 4}
    inputs: {x: [C, H, W]}
    steps:
      - mean: {over: [H, W]}
      - linear: {features: x.C // reduction}
        as: squeeze
      - relu
      - linear: {features: x.C}
        as: excite
      - sigmoid:
        as: gate
      - multiply: [x, gate]
inputs: {image: {C: 3, H: 16, W: 16}}
steps:
  - conv: {channels: width}
    as: stem
  - Gate:
    repeat: 3
    as: gates
  - mean: {over: [H, W]}
  - linear: {features: classes}
    as: head
"""
BROKEN = NET.replace("linear: {features: classes}", "linear: {fetures: classes}")


class Done:
    """What a command gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process, in an empty folder that holds net.yaml."""
    (tmp_path / "net.yaml").write_text(NET)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        code = main(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Done(code, said.out, said.err)

    return run


def shell(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-m", "specbuild", *arguments], input=stdin, capture_output=True, env=env
    )


# ---------------------------------------------------------------------------------------------------------- check


def test_check(run: Run) -> None:
    done = run("check", "net.yaml")
    assert (done.code, done.err) == (0, "")
    assert done.out == "net.yaml: GateNet is valid and gives {C: 10}: 440 parameters, 55,472 multiply-adds\n"


def test_check_finds_all_that_is_wrong(run: Run) -> None:
    Path("a.yaml").write_text(BROKEN)
    Path("b.yaml").write_text(NET.replace("Gate:\n    repeat", "Gat:\n    repeat"))
    done = run("check", "a.yaml", "net.yaml", "b.yaml")
    assert done.code == 3
    assert "net.yaml: GateNet is valid" in done.out
    assert "a.yaml:" in done.out and "did you mean 'features'?" in done.out
    assert "b.yaml:" in done.out and "did you mean 'Gate'?" in done.out


def test_check_as_json(run: Run) -> None:
    Path("a.yaml").write_text(BROKEN)
    done = run("check", "a.yaml", "net.yaml", "--format", "json")
    document = json.loads(done.out)
    faults = document["errors"]
    assert done.code == 3
    assert document["valid"] == [
        {
            "file": "net.yaml",
            "model": "GateNet",
            "outputs": {"output": {"axes": {"C": 10}, "dtype": "float"}},
            "parameters": 440,
            "multiply_adds": 55472,
        }
    ]
    assert (faults[0]["code"], faults[0]["file"], faults[0]["line"]) == ("SB101", "a.yaml", 30)


def test_check_for_github(run: Run) -> None:
    assert run("check", "net.yaml", "--format", "github").out == ""
    Path("a.yaml").write_text(BROKEN)
    done = run("check", "a.yaml", "--format", "github")
    assert done.code == 3
    assert done.out.startswith("::error file=a.yaml,line=30,col=14,title=SB101::")


def test_check_of_blocks_only(run: Run) -> None:
    text = yaml.safe_load(NET)
    Path("blocks.yaml").write_text(
        yaml.safe_dump({"specbuild": 1, "blocks": text["blocks"]}, sort_keys=False)
    )
    done = run("check", "blocks.yaml")
    assert done.code == 0
    assert done.out.startswith("blocks.yaml: 1 block, no model")


def test_check_notes_what_is_odd_but_not_wrong(run: Run) -> None:
    odd = NET.replace("as: stem\n", "as: stem\n  - conv: {channels: 4}\n    from: image\n    as: lost\n")
    odd = odd.replace("  - Gate:\n", "  - Gate:\n    from: stem\n")
    odd = odd.replace("inputs: {image", "  Spare:\n    steps: [relu]\ninputs: {image")
    Path("odd.yaml").write_text(odd)
    done = run("check", "odd.yaml")
    assert done.code == 0
    assert "odd.yaml:28:5: note: no output needs lost: not compiled\n" in done.err
    assert "odd.yaml:22:3: note: the block Spare is not used\n" in done.err


def test_check_says_nothing_of_the_rest_of_a_block_whose_inner_value_is_read(run: Run) -> None:
    text = (
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nblocks:\n  Body:\n    steps:\n"
        "      - {linear: {features: 3}, as: first}\n      - {linear: {features: 5}, from: x, as: lost}\n"
        "      - {linear: {features: 2}, from: first, as: head}\n"
        "steps:\n  - {Body: , as: body}\n  - {relu: , from: body.first}\n"
    )
    Path("net.yaml").write_text(text)
    assert run("check", "net.yaml").err == "net.yaml:8:9: note: no output needs lost in body: not compiled\n"


# -------------------------------------------------------------------------------------------------------- choices


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--set", "width=ten"], ["SB302", "--set width:1:1", "'ten'"]),
        (["--set", "width=0.5"], ["SB305", "--set width:1:1", "0.5"]),
        (["--set", "width=0"], ["--set width:1:1", "at least 1"]),
        (["--set", "width=[1"], ["SB003", "--set width:1:1"]),
        (["--set", "width=!!python/object:os.system x"], ["SB005", "--set width:1:1"]),
        (["--set", "widht=4"], ["SB101", "--set widht:1:1", "did you mean 'width'?"]),
        (["--set", "nothing=4"], ["SB101", "its parameters are classes and width"]),
        (["--set", "width"], ["SB003", "name=value"]),
        (["--set", "=4"], ["SB003", "name=value"]),
        (["--variant", "lage"], ["SB202", "--variant:1:1", "did you mean 'large'?"]),
    ],
)
def test_faults_of_choices_name_the_flag(run: Run, flags: list[str], parts: list[str]) -> None:
    done = run("check", "net.yaml", *flags)
    assert done.code == 3
    for part in parts:
        assert part in done.out


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("Net", "error[SB206]: a block cannot contain itself: Net > Net"),
        ("{Net: {}}", "error[SB206]: a block cannot contain itself: Net > Net"),
        ("{a: {b: 1}}", "error[SB201]: there is no op 'a'"),
        ("{a: {a: {a: 1}}}", "error[SB201]: there is no op 'a'"),
    ],
)
def test_a_given_block_that_cannot_be_used(run: Run, given: str, part: str) -> None:
    Path("net.yaml").write_text(
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\n"
        "params: {k: {type: block, default: relu}}\nsteps: [use: k]\n"
    )
    done = run("check", "net.yaml", "--set", f"k={given}")
    assert done.code == 3 and part in done.out


def test_choices(run: Run) -> None:
    def parameters(*flags: str) -> int:
        found: int = json.loads(run("show", "net.yaml", "--json", *flags).out)["parameters"]
        return found

    assert (
        parameters() == parameters("--variant", "small") == parameters("--set", "width=4", "--set", "width=8")
    )
    assert parameters("--variant", "large") == parameters("--set", "width=32")
    assert parameters("--variant", "large", "--set", "width=8") == parameters()
    assert parameters("--set", "classes=11") == parameters() + 9


def test_a_parameter_that_must_be_given(run: Run) -> None:
    Path("net.yaml").write_text(NET.replace("classes: 10", "classes: {type: int, doc: kinds of birds}"))
    done = run("check", "net.yaml")
    assert done.code == 3
    assert "GateNet needs a value for 'classes' (int)" in done.out
    assert "--set classes=... (kinds of birds)" in done.out
    assert run("check", "net.yaml", "--set", "classes=3").code == 0


# -------------------------------------------------------------------------------------------------------- compile


@pytest.mark.parametrize("backend", backends.BACKEND_NAMES)
def test_compile_to_stdout(run: Run, backend: str) -> None:
    done = run("compile", "net.yaml", "--backend", backend)
    assert (done.code, done.err) == (0, "")
    head = done.out.splitlines()[:3]
    assert head[0].startswith("# Generated by specbuild ") and head[1] == "# License: Apache-2.0"
    assert f"import {backend}\n" in done.out
    assert done.out == specbuild.compile("net.yaml", backend)
    assert os.listdir() == ["net.yaml"]


def test_compile_to_a_file(run: Run) -> None:
    done = run("compile", "net.yaml", "-b", "torch", "-o", "out.py")
    assert (done.code, done.out, done.err) == (0, "", "wrote out.py\n")
    assert Path("out.py").read_text() == specbuild.compile("net.yaml", "torch")
    assert run("compile", "net.yaml", "-b", "torch", "-o", "out.py").err == "unchanged out.py\n"


def test_compile_for_all_backends(run: Run) -> None:
    assert run("compile", "net.yaml", "-b", "all").code == 0
    assert run("compile", "net.yaml", "-b", "all", "-o", "made").code == 0
    names = [f"gate_net_{backend}.py" for backend in backends.BACKEND_NAMES]
    assert sorted(os.listdir("made")) == sorted(names)
    for name in names:
        assert Path(name).read_bytes() == Path("made", name).read_bytes()


def test_compile_several(run: Run) -> None:
    Path("other.yaml").write_text(NET.replace("GateNet", "OtherNet"))
    done = run("compile", "net.yaml", "other.yaml", "-b", "torch", "-o", "made")
    assert (done.code, done.err) == (
        0,
        f"wrote {Path('made/gate_net_torch.py')}\nwrote {Path('made/other_net_torch.py')}\n",
    )


def test_a_fault_in_one_does_not_stop_the_others(run: Run) -> None:
    Path("a.yaml").write_text(BROKEN)
    done = run("compile", "a.yaml", "net.yaml", "-b", "torch")
    assert done.code == 3
    assert "a.yaml:30:14" in done.err and "wrote gate_net_torch.py" in done.err
    assert Path("gate_net_torch.py").exists()


def test_two_results_of_one_name(run: Run) -> None:
    Path("same.yaml").write_text(NET)
    done = run("compile", "net.yaml", "same.yaml", "-b", "torch")
    assert done.code == 2
    assert "net.yaml and same.yaml would both be written there" in done.err
    assert not Path("gate_net_torch.py").exists()


def test_compile_into_a_folder(run: Run) -> None:
    Path("made").mkdir()
    assert run("compile", "net.yaml", "-b", "torch", "-o", "made").code == 0
    assert run("compile", "net.yaml", "-b", "keras", "-o", "new/").code == 0
    assert Path("made/gate_net_torch.py").exists() and Path("new/gate_net_keras.py").exists()
    done = run("compile", "net.yaml", "-b", "torch", "-o", "no/such/out.py")
    assert done.code == 2
    assert "SB702" in done.err


def test_hand_edits_are_kept(run: Run) -> None:
    run("compile", "net.yaml", "-b", "torch", "-o", "out.py")
    edited = Path("out.py").read_text().replace("class Gate(", "class Portal(")
    Path("out.py").write_text(edited)
    done = run("compile", "net.yaml", "-b", "torch", "-o", "out.py")
    assert done.code == 1
    assert "SB701" in done.err and "--force" in done.err
    assert Path("out.py").read_text() == edited
    assert run("compile", "net.yaml", "-b", "torch", "-o", "out.py", "--force").code == 0
    assert Path("out.py").read_text() == specbuild.compile("net.yaml", "torch")


def test_an_outdated_file_is_overwritten(run: Run) -> None:
    run("compile", "net.yaml", "-b", "torch", "-o", "out.py", "--set", "width=4")
    assert run("compile", "net.yaml", "-b", "torch", "-o", "out.py").err == "wrote out.py\n"


def test_compile_check(run: Run) -> None:
    flags = ("compile", "net.yaml", "-b", "torch", "-o", "out.py", "--check")
    for said, code in [
        ("out.py does not exist\n", 1),
        ("out.py is up to date\n", 0),
        ("out.py differs from what the spec", 1),
    ]:
        done = run(*flags)
        assert done.code == code and done.err.startswith(said)
        run(
            "compile",
            "net.yaml",
            "-b",
            "torch",
            "-o",
            "out.py",
            *(["--set", "width=4"] if code == 0 else []),
        )
    Path("out.py").write_text(Path("out.py").read_text() + "\n")
    assert run(*flags).err == "out.py was edited since it was generated\n"
    assert run("compile", "net.yaml", "-b", "torch", "--check").code == 2
    missing = run("compile", "net.yaml")
    assert missing.code == 2 and "choose torch, keras or all" in " ".join(
        missing.err.replace("│", " ").split()
    )


def test_compile_as_json(run: Run) -> None:
    Path("a.yaml").write_text(BROKEN)
    done = run("compile", "net.yaml", "a.yaml", "-b", "torch", "--json")
    document = json.loads(done.out)
    assert (done.code, done.err) == (3, "")
    assert [(r["spec"], r["file"], r["status"], r["parameters"]) for r in document["results"]] == [
        ("net.yaml", "gate_net_torch.py", "wrote", 440)
    ]
    assert document["errors"][0]["code"] == "SB101"
    [result] = json.loads(run("compile", "net.yaml", "-b", "torch", "--json").out)["results"]
    assert (result["status"], result["source"]) == ("printed", specbuild.compile("net.yaml", "torch"))


def test_compile_from_stdin() -> None:
    done = shell("compile", "-", "-b", "torch", stdin=NET.encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == specbuild.compile(NET, "torch")
    assert shell("compile", "-", "-", "-b", "torch").returncode == 2
    assert shell("check", "-", stdin=b"\xff").stdout.startswith(b"error[SB002]")
    assert shell("check", "-", stdin=b"#" * (2**20 + 1)).stdout.startswith(b"error[SB006]")


@pytest.mark.parametrize("backend", backends.BACKEND_NAMES)
def test_the_same_bytes_everywhere(tmp_path: Path, backend: str) -> None:
    """Across runs, hash seeds, folders, line ends, spellings of YAML, and from standard input."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "deep" / "crlf.yaml").write_bytes(
        ("\ufeff# a comment\n" + NET).replace("\n", "\r\n").encode()
    )
    found = {
        shell("compile", str(tmp_path / name), "-b", backend, PYTHONHASHSEED=seed).stdout
        for name, seed in [("net.yaml", "0"), ("net.yaml", "1"), ("deep/crlf.yaml", "2")]
    }
    found.add(
        shell("compile", "-", "-b", backend, stdin=NET.encode(), LANG="C", PYTHONIOENCODING="latin-1").stdout
    )
    assert len(found) == 1
    [text] = found
    assert b"\r" not in text and str(tmp_path).encode() not in text


def test_the_digest_tells_specs_apart() -> None:
    def digest(*, text: str = NET, **choices: Any) -> str:
        return specbuild.load(text, **choices).digest

    assert digest() == digest(
        text=NET.replace("classes: 10", "classes:   10").replace("steps:\n", "steps:  # all\n")
    )
    others = [
        digest(text=NET.replace("with a gate.", "with gates.")),
        digest(classes=9),
        digest(variant="small"),
        digest(variant="large"),
    ]
    assert len({digest(), *others}) == 5


def test_the_digest_covers_imports(run: Run) -> None:
    parts = yaml.safe_load(NET)
    Path("gates.yaml").write_text(
        yaml.safe_dump({"specbuild": 1, "blocks": parts["blocks"]}, sort_keys=False)
    )
    importing = (
        NET[: NET.index("blocks:")]
        + "imports: {Gate: ./gates.yaml#Gate}\n"
        + NET[NET.index("inputs: {image") :]
    )
    Path("importing.yaml").write_text(importing)
    before = specbuild.load("importing.yaml").digest
    Path("gates.yaml").write_text(Path("gates.yaml").read_text().replace("reduction: 4", "reduction: 2"))
    assert specbuild.load("importing.yaml").digest != before


# ------------------------------------------------------------------------------------------------- the other verbs


def test_show(run: Run) -> None:
    done = run("show", "net.yaml")
    assert done.code == 0
    assert done.out == specbuild.load("net.yaml").summary()
    assert "\x1b" not in done.out
    assert len(run("show", "net.yaml", "--depth", "1").out.splitlines()) < len(done.out.splitlines())
    assert run("show", "net.yaml", "--depth", "0").code == 2


def test_show_as_json(run: Run) -> None:
    document = json.loads(run("show", "net.yaml", "--json").out)
    assert document["model"] == "GateNet"
    assert document["outputs"] == {"output": "{C: 10}"}
    assert sum(step["parameters"] for step in document["steps"]) == document["parameters"] == 440
    gates = next(step for step in document["steps"] if step["name"] == "gates")
    assert (gates["kind"], gates["times"], len(gates["steps"])) == ("Gate", 3, 6)


def test_schema_to_a_file(run: Run, tmp_path: Path) -> None:
    """The file appears whole, or stays as it was."""
    file = tmp_path / "own.schema.json"
    assert run("schema", "net.yaml", "-o", str(file)).err.startswith("wrote ")
    written = file.read_text()
    assert written == run("schema", "net.yaml").out
    assert run("schema", "net.yaml", "-o", str(file)).err.startswith("unchanged ")
    assert run("schema", "none.yaml", "-o", str(file)).code == 3
    assert file.read_text() == written and list(tmp_path.glob(".specbuild*")) == []
    (tmp_path / "net.py").write_text("x = 1\n")
    refused = run("schema", "-o", str(tmp_path / "net.py"))
    assert refused.code == 2 and "SB702" in refused.err
    assert (tmp_path / "net.py").read_text() == "x = 1\n"


def test_a_command_leaves_the_process_as_it_was(run: Run) -> None:
    before = gc.get_threshold(), signal.getsignal(signal.SIGTERM)
    for arguments in (["check", "net.yaml"], ["check", "none.yaml"], ["--version"]):
        run(*arguments)
        assert (gc.get_threshold(), signal.getsignal(signal.SIGTERM)) == before


def test_schema(run: Run) -> None:
    general = json.loads(run("schema").out)
    assert general["$schema"] == "http://json-schema.org/draft-07/schema#"
    own = json.loads(run("schema", "net.yaml").out)
    assert "block.Gate" in own["definitions"] and "block.Gate" not in general["definitions"]


def test_library_list(run: Run) -> None:
    done = run("library", "list")
    assert done.code == 0
    assert all(f"  {op} " in done.out for op in OPS)
    listed = json.loads(run("library", "list", "--json").out)
    assert {op for family in listed["ops"].values() for op in family} == set(OPS)


def test_library_list_is_cut_on_a_terminal_only(run: Run) -> None:
    whole = first_sentence(OPS["conv"].summary)
    assert whole in run("library", "list").out
    seen = terminal("library", "list", COLUMNS="60")
    assert whole not in seen and max(map(len, seen.splitlines())) <= 60


@pytest.mark.parametrize("op", OPS)
def test_library_show_op(run: Run, op: str) -> None:
    done = run("library", "show", op)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{op} (op, {OPS[op].family})\n")
    assert max(map(len, done.out.splitlines())) <= 100
    text, _, came = textwrap.dedent(done.out.partition("\nExample\n")[2]).partition("-> ")
    assert came.startswith("{") and op in text
    model = specbuild.load(f"specbuild: 1\nmodel: Example\n{text}")
    assert any(type(node.op) is OPS[op] for node in model.graph.nodes)
    for backend in backends.BACKEND_NAMES:
        if OPS[op] not in backends.load_backend(backend).refusals:
            compile(model.source(backend), "<example>", "exec")


def test_first_sentences_are_whole(run: Run) -> None:
    listed = json.loads(run("library", "list", "--json").out)
    texts = [
        *(text for family in listed["ops"].values() for text in family.values()),
        *listed["blocks"].values(),
    ]
    assert not [text for text in texts if text.endswith(" al") or text.count("(") != text.count(")")]
    assert (
        first_sentence("After Hu et al. 2017, e.g. Fig. 2. Then more.") == "After Hu et al. 2017, e.g. Fig. 2"
    )


def test_library_show_has_shapes(run: Run) -> None:
    out = run("library", "show", "max_pool").out
    assert (
        "    x: {C: 64, H: 32, W: 32}\n  steps:\n    - max_pool\n  -> {C: 64, H: 16, W: 16}: 0 parameters"
        in out
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("CBAM", "class CBAM(nn.Module):"), ("conv", "nn.Conv2d("), ("ResNet", "class ResNet(nn.Module):")],
)
def test_library_show_source(run: Run, name: str, text: str) -> None:
    """The emitted file of an op or block in its example, and of a model by itself."""
    assert text in run("library", "show", name, "--backend", "torch").out
    both = run("library", "show", name, "-b", "all").out
    assert text in both and "import keras" in both


def test_library_show_source_of_nothing(run: Run) -> None:
    assert run("library", "show", "conv", "-b", "tof").code == 2
    refused = run("library", "show", "unfinished", "-b", "torch")
    assert refused.code == 3 and "error[SB601]" in refused.err


def test_library_show_of_nothing(run: Run) -> None:
    done = run("library", "show", "cnov")
    assert done.code == 2
    assert "did you mean 'conv'?" in " ".join(done.err.split())


@pytest.mark.parametrize("name", TEMPLATES)
def test_init(run: Run, name: str) -> None:
    done = run("init", "mine.yaml", "--template", name)
    assert done.code == 0
    assert Path("mine.yaml").read_text().startswith("# ")
    assert run("check", "mine.yaml").err == ""
    for backend in backends.BACKEND_NAMES:
        assert run("compile", "mine.yaml", "-b", backend).code == 0
    assert (
        run("init", "-", "-t", name).out.replace("model.yaml", "mine.yaml") == Path("mine.yaml").read_text()
    )


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_run(name: str) -> None:
    torch = pytest.importorskip("torch")
    model = specbuild.load(TEMPLATES[name])
    built = model.build("torch")
    assert sum(p.numel() for p in built.parameters()) == model.parameters
    found = built(*(torch.zeros(2, *x.sizes.values()) for x in model.graph.inputs.values()))
    outputs = [found] if len(model.graph.outputs) == 1 else list(found)
    assert [list(x.shape) for x in outputs] == [
        [2, *o.type.sizes.values()] for o in model.graph.outputs.values()
    ]


def test_init_overwrites_nothing(run: Run) -> None:
    Path("model.yaml").write_text("mine")
    done = run("init")
    assert done.code == 2
    assert "SB702" in done.err
    assert Path("model.yaml").read_text() == "mine"
    assert run("init", "x.yaml", "-t", "imgae").code == 2


@pytest.mark.parametrize("code", CODES)
def test_explain(run: Run, code: str) -> None:
    done = run("explain", code.lower())
    assert done.code == 0
    assert done.out.startswith(f"{code}: {CODES[code].title}\n")


def test_explain_all_and_none(run: Run) -> None:
    assert run("explain").out.count("\n") == len(CODES)
    assert run("explain", "SB10l").code == 2


def test_doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("doctor")
    assert done.code == 0
    assert "+ python " in done.out
    doctor = import_module("specbuild.cli.doctor")
    monkeypatch.setattr(doctor, "installed_version", lambda *names: None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    bare = run("doctor")
    assert bare.code == 0
    assert "pip install '.[torch,tensorflow,draw,weights]'" in bare.out
    assert "pip install specbuild" not in bare.out, "that name on PyPI belongs to somebody else"


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"specbuild {specbuild.__version__}\n"
    done = run("--help")
    assert done.code == 0
    for verb in ("check", "compile", "show", "diff", "schema", "library", "init", "explain", "doctor"):
        assert f" {verb} " in done.out
        assert run(verb, "--help").code == 0


# --------------------------------------------------------------------------------------------- streams and endings


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["compile", "net.yaml"], 2),
        (["compile", "net.yaml", "-b", "tensorflow"], 2),
        (["compile", "net.yaml", "-b", "all", "-o", "-"], 2),
        (["compile", "net.yaml", "-b", "all", "-o", "-", "--json", "--check"], 2),
        (["compile", "net.yaml", "-b", "all", "-o", "out.py"], 2),
        (["compile", "net.yaml", "-b", "all", "--layout", "package", "-o", "out.py"], 2),
        (["draw", "net.yaml", "--format", "svg", "-o", "out.png"], 2),
        (["compile", "-b", "torch"], 2),
        (["frobnicate"], 2),
        (["check", "net.yaml", "--format", "xml"], 2),
        (["check", "nowhere.yaml"], 3),
        (["check", "."], 3),
        (["check", os.devnull], 3),
    ],
)
def test_exit_codes(run: Run, arguments: list[str], code: int) -> None:
    assert run(*arguments).code == code


def test_a_name_of_one_file_is_no_folder(run: Run) -> None:
    done = run("compile", "net.yaml", "-b", "all", "-o", "out.py")
    said = " ".join(done.err.replace("\u2502", " ").split())
    assert (
        "out.py is the name of one file, and several frameworks give several files; give a folder: -o out/"
        in said
    )
    assert not Path("out.py").exists()
    Path("made.py").mkdir()
    assert run("compile", "net.yaml", "-b", "all", "-o", "made.py").code == 0
    done = run("draw", "net.yaml", "--format", "svg", "-o", "x.png")
    said = " ".join(done.err.replace("\u2502", " ").split())
    assert (
        "x.png is the name of a file in the format png, not svg; leave --format out, or write -o x.svg"
        in said
    )
    assert not Path("x.png").exists()


def test_a_bug_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("wires\x1b[31m crossed")

    monkeypatch.setattr(import_module("specbuild.cli.options"), "load_model", broken)
    done = run("show", "net.yaml")
    assert done.code == 70
    assert "this is a bug in specbuild" in done.err and "RuntimeError: wires\\x1b[31m crossed" in done.err
    monkeypatch.setenv("SPECBUILD_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["show", "net.yaml"])


def test_nothing_of_a_spec_reaches_the_terminal_raw(run: Run) -> None:
    """Escapes and rich markup in names, docs and paths come out as text."""
    nasty = "[/red][link=file:///etc/passwd]x[/link] \\e[2J"
    Path("net.yaml").write_text(
        NET.replace("A convolution with a gate.", json.dumps(nasty.replace("\\e", "e")))
    )
    assert run("show", "net.yaml").code == 0
    Path("[bold]net[b].yaml").write_text(BROKEN)
    done = run("check", "[bold]net[b].yaml")
    assert done.code == 3 and "[bold]net[b].yaml:30:14" in done.out
    escape = "\x1b[31mnet.yaml"
    Path(escape).write_text(BROKEN)
    done = run("check", escape)
    assert done.code == 3 and "\x1b" not in done.out + done.err
    done = run("compile", escape, "net.yaml", "-b", "torch", "-o", "\x1b[32mout")
    assert "\x1b" not in done.out + done.err


def test_no_framework_is_imported() -> None:
    code = textwrap.dedent("""
        import sys
        from specbuild.cli import main
        for arguments in (["check", "-"], ["doctor"], ["library", "show", "conv"], ["schema"]):
            assert main(arguments) == 0, arguments
        found = {"torch", "keras", "tensorflow", "jax", "numpy", "rich"} & set(sys.modules)
        assert not found, found
    """)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], input=NET.encode(), capture_output=True, env=env)
    assert done.returncode == 0, done.stderr.decode()


def test_importing_specbuild_is_cheap() -> None:
    code = "import sys, specbuild; assert not [m for m in sys.modules if m.startswith(('specbuild.', 'yaml', 'typer')) and m != 'specbuild.version']"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == 0
    with pytest.raises(AttributeError):
        specbuild.lode  # noqa: B018


def test_version_and_help_import_no_compiler() -> None:
    code = textwrap.dedent("""
        import sys
        from specbuild.cli import main
        for arguments in (["--version"], ["--help"], ["-h"], []):
            main(arguments)
        folders = {name.split(".")[1] for name in sys.modules if name.startswith("specbuild.")}
        assert folders <= {"cli", "diagnostics", "version"} and "yaml" not in sys.modules, folders
    """)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
def test_a_reader_that_leaves_early(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    command = f"'{sys.executable}' -m specbuild compile '{tmp_path}/net.yaml' -b torch | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode in (0, 141)
    assert done.stderr == b""


def terminal(*arguments: str, **environment: str) -> str:
    """What a person at a terminal of 100 columns sees."""
    pty = pytest.importorskip("pty")
    pid, descriptor = pty.fork()
    if pid == 0:
        unset = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "CI")}
        env = {**unset, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "100", **environment}
        os.execve(sys.executable, [sys.executable, "-m", "specbuild", *arguments], env)
    said = b""
    while True:
        try:
            more = os.read(descriptor, 65536)
        except OSError:
            break
        if not more:
            break
        said += more
    os.waitpid(pid, 0)
    return said.decode()


def test_colours_on_a_terminal_only(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(BROKEN)
    coloured = terminal("check", str(tmp_path / "net.yaml"))
    assert "\x1b[1;31merror[SB101]" in coloured
    assert "\x1b" not in terminal("check", str(tmp_path / "net.yaml"), NO_COLOR="1")
    assert b"\x1b" not in shell("check", str(tmp_path / "net.yaml")).stdout


def test_a_difference_on_a_terminal(tmp_path: Path) -> None:
    """Coloured by its signs; what the file holds is shown, and does nothing."""
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "out.py").write_text("[red]mine[/red] \x1b[2J\n")
    command = ("compile", str(tmp_path / "net.yaml"), "-b", "torch", "-o", str(tmp_path / "out.py"), "--diff")
    seen = terminal(*command)
    assert "\x1b[31m-[red]mine[/red] \\x1b[2J\x1b[0m" in seen and "\x1b[32m+import torch" in seen
    assert "\x1b" not in terminal(*command, NO_COLOR="1")


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    for name in ("A", "B"):
        (tmp_path / f"[red]{name}.yaml").write_text(NET.replace("GateNet", f"Net{name}"))
    files = [str(path) for path in sorted(tmp_path.glob("*.yaml"))]
    seen = terminal("compile", *files, "-b", "torch", "-o", str(tmp_path / "made"))
    assert "2/2" in seen and "wrote" in seen
    assert sorted(os.listdir(tmp_path / "made")) == ["net_a_torch.py", "net_b_torch.py"]


# -------------------------------------------------------------------------------------------------- the Python face


def test_load() -> None:
    model = specbuild.load(NET, classes=5)
    assert (model.name, model.parameters, repr(model)) == ("GateNet", 395, "<GateNet: 395 parameters>")
    assert model.graph.name == "GateNet"
    assert "gates" in model.summary()
    assert model.source("torch") == specbuild.compile(NET, "torch", classes=5)


def test_values_from_python() -> None:
    numpy = pytest.importorskip("numpy")
    assert specbuild.load(NET, width=numpy.int64(4)).graph.params["width"] == 4
    for value, code in [
        (object(), "SB305"),
        (float("nan"), "SB305"),
        ({1: 2}, "SB305"),
        ("ten", "SB302"),
        (0, "SB304"),
    ]:
        with pytest.raises(SpecError) as found:
            specbuild.load(NET, width=value)
        assert found.value.code == code
        assert found.value.location is not None and found.value.location.file == "<arguments>"
    with pytest.raises(SpecError, match="no variant"):
        specbuild.load(NET, variant="huge")
    with pytest.raises(SpecError, match="needs a value for 'width'"):
        specbuild.load(NET.replace("default: 8, ", ""))


def test_unknown_backend() -> None:
    with pytest.raises(SpecError) as found:
        specbuild.compile(NET, "troch")
    assert (found.value.code, found.value.hint) == ("SB602", "did you mean 'torch'?")


def test_a_framework_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("specbuild.api"), "find_spec", lambda name: None)
    with pytest.raises(SpecError) as found:
        specbuild.load(NET).build("torch")
    assert found.value.code == "SB603"
    assert "pip install '.[torch]'" in found.value.hint


def test_build_torch() -> None:
    torch = pytest.importorskip("torch")
    model = specbuild.load(NET, classes=7)
    built = model.build("torch")
    assert isinstance(built, torch.nn.Module)
    assert sum(p.numel() for p in built.parameters()) == model.parameters
    assert built(torch.zeros(2, 3, 16, 16)).shape == (2, 7)
    assert inspect.getsource(type(built)) in model.source("torch")
    assert type(pickle.loads(pickle.dumps(built))) is type(model.build("torch"))


def test_build_keras() -> None:
    keras = pytest.importorskip("keras")
    model = specbuild.load(NET, classes=7)
    built = model.build("keras")
    assert isinstance(built, keras.Model)
    assert built.count_params() == model.parameters
    assert tuple(built.output_shape) == (None, 7)


def test_required_parameters_are_built_in() -> None:
    torch = pytest.importorskip("torch")
    built = specbuild.load(NET.replace("classes: 10", "classes: int"), classes=3).build("torch")
    assert built(torch.zeros(1, 3, 16, 16)).shape == (1, 3)
