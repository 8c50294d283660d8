"""The audit of emitted files: it passes what is emitted, and refuses everything else that one could smuggle in."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from specbuild import backends
from specbuild.compiler import compiled_model
from specbuild.compiler.audit import ALLOWED_BUILTINS, AuditError, audit_source
from specbuild.compiler.pipeline import build_graph, compile_source

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))

TORCH = '''"""A model."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    """Its doc."""

    scale = 2.0

    def __init__(self, width: int = 8, sizes: tuple[int, ...] = (1, -2), mode: str | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = F.relu(layer(x)) * math.sqrt(2.0)
        return x
'''


def test_a_plain_file_passes() -> None:
    audit_source(TORCH, "torch")


@pytest.mark.parametrize("backend", backends.BACKEND_NAMES)
@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_emitted_files_pass(path: Path, backend: str) -> None:
    audit_source(compile_source(build_graph(path), backend), backend)


@pytest.mark.parametrize("backend", backends.BACKEND_NAMES)
def test_helpers_pass(backend: str) -> None:
    """Each helper by itself, with every name that it may take from its file: none needs what the audit refuses."""
    imports = import_module(f"specbuild.backends.{backend}.module_file").IMPORTS
    prelude = backends.load_backend(backend).helper_sources()
    assert prelude
    audit_source("\n\n\n".join(["\n".join(imports.values()), *prelude.values()]) + "\n", backend)


REFUSED = {
    "an import": "import os",
    "an import of a part": "from os import path",
    "an import under another name": "import subprocess as torch",
    "everything of a module": "from torch import *",
    "a relative import": "from . import weights",
    "another framework": "import tensorflow",
    "specbuild itself": "import specbuild",
    "a call": "print(1)",
    "a value": "x = 1",
    "a text that is no docstring": "import math\n'text'",
    "a condition": "if True:\n    pass",
    "a loop": "for i in (1, 2):\n    pass",
    "a way out of torch": "import torch\n\n\ndef f(p):\n    return torch.load(p)",
    "a way out of torch.hub": "from torch import hub",
    "a way out through a module that torch imports": "import torch\n\n\ndef f():\n    return torch.os.getcwd()",
    "a private name of torch's": "import torch\n\n\ndef f():\n    return torch._C",
    "a custom operator": "import torch\n\n\ndef f():\n    return torch.ops.load_library",
    "an import in a function": "def f():\n    import math\n    return math",
    "a builtin that runs code": "def f(x):\n    return eval(x)",
    "a builtin that opens files": "def f(x):\n    return open(x)",
    "a builtin that finds names": "def f(x):\n    return getattr(x, 'y')",
    "a name that is nowhere": "def f(x):\n    return y",
    "a name that is nowhere, in a comprehension": "def f(x):\n    return [y for _ in x]",
    "a name that is nowhere, in a class": "class A:\n    def f(self):\n        return B()",
    "the way up through object": "def f(x):\n    return x.__class__.__bases__",
    "the builtins by name": "def f():\n    return __builtins__",
    "a default that computes": "def f(x=list((1, 2))):\n    return x",
    "a default of a method that computes": "class A:\n    def f(self, x=max(1, 2)):\n        return x",
    "a default that grows": "def f(x=9**9**9):\n    return x",
    "an annotation that computes": "def f(x: max(1, 2)):\n    return x",
    "a decorator that computes": "def g(f):\n    return f\n\n\n@g(1)\ndef f(x):\n    return x",
    "a decorator with an argument that computes": (
        "import keras\n\n\n@keras.saving.register_keras_serializable(package=str(1))\nclass A:\n    pass"
    ),
    "a class attribute that computes": "class A:\n    x = max(1, 2)",
    "a statement in a class": "class A:\n    for i in (1, 2):\n        pass",
    "a base that computes": "class A(type(1)):\n    pass",
    "a metaclass": "class M(type):\n    pass\n\n\nclass A(metaclass=M):\n    pass",
    "a global": "def f():\n    global x\n    x = 1",
    "an import with another meaning": "import math\n\n\ndef f(math):\n    return math",
    "an import assigned to": "import math\n\n\ndef f(x):\n    math = x\n    return math",
    "a deletion": "def f(x):\n    del x",
    "a coroutine": "async def f():\n    pass",
    "a coroutine inside": "def f():\n    async def g():\n        pass\n    return g",
    "no Python": "def f(:",
    "an encoding": "# coding: utf-7",
    "an encoding in the second line": "# a file\n# -*- coding: utf-7 -*-",
    "a carriage return": "# a comment\rimport os",
    "a form feed": "\fdef f():\n    pass",
    "a bidirectional mark": "# \u202e",
    "a line separator": "# a comment\u2028import os",
    "a null": "# \0",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(AuditError):
        audit_source(REFUSED[name] + "\n", "keras" if "keras" in REFUSED[name] else "torch")


def test_what_is_refused_is_named() -> None:
    with pytest.raises(AuditError, match=r"line 2 imports os"):
        audit_source('"""Doc."""\nimport os\n', "torch")
    with pytest.raises(AuditError, match=r"it uses missing, which"):
        audit_source("def f():\n    return missing\n", "torch")


def test_builtins_are_there() -> None:
    import builtins

    assert all(hasattr(builtins, name) for name in ALLOWED_BUILTINS)
    assert ALLOWED_BUILTINS.isdisjoint(
        {"eval", "exec", "open", "compile", "getattr", "setattr", "vars", "globals", "input"}
    )


def test_nothing_leaves_without_an_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with something foreign in it never comes out of the build, however it got there."""
    model = build_graph("specbuild: 1\nmodel: Net\ninputs: {x: {C: 3}}\nsteps: [relu]\n")
    monkeypatch.setattr(compiled_model, "print_module", lambda tree: "import os\n")
    with pytest.raises(AuditError):
        compile_source(model, "torch")
