"""Calls of a framework are declared by their signature: each is held against the installed framework's own."""

from __future__ import annotations

import inspect
import os
import re
import typing
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import torch
from torch import nn

from specbuild import backends
from specbuild.backends.signatures import Signature
from tests.lazy_modules import lazy_module

keras = lazy_module("keras")

ROOT = Path(__file__).parents[2] / "specbuild" / "backends"


@cache
def scopes() -> dict[str, dict[str, Any]]:
    """The names that emitted code uses, by the framework."""
    return {
        "torch": {"torch": torch, "nn": nn, "F": nn.functional},
        "keras": {"layers": keras.layers, "ops": keras.ops, "self": keras.layers.Layer},
    }


def helpers(framework: str) -> dict[str, Any]:
    """The helpers that emitted files carry themselves."""
    found: dict[str, Any] = {}
    for path in sorted((ROOT / framework / "helpers").glob("*.py")):
        found |= vars(import_module(f"specbuild.backends.{framework}.helpers.{path.stem}"))
    return found


def externals() -> list[Signature]:
    for name in backends.BACKEND_NAMES:
        backends.load_backend(name)
    return list(Signature.declared)


def resolved(function: str) -> Callable[..., Any]:
    """What a name means in an emitted file; a layer of ours with several bases is known by all of them."""
    first, *rest = function.split(".")
    for framework, scope in scopes().items():
        known = scope if first in scope else helpers(framework)
        if first in known:
            found = known[first]
            for name in rest:
                found = getattr(found, name)
            return found  # type: ignore[no-any-return]
    raise AssertionError(f"no framework and no helper has {function}")


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Every keyword that a callable takes, with its default; those that a class passes on to its bases too."""
    found: dict[str, Any] = {}
    makers = (
        [c.__dict__["__init__"] for c in inspect.getmro(function) if "__init__" in c.__dict__]
        if isinstance(function, type)
        else [function]
    )
    for maker in makers:
        try:
            own = inspect.signature(maker).parameters.values()
        except ValueError:  # written in C: PyTorch tells its signature in the first line of its documentation
            own = inspect.signature(written_in_c(maker)).parameters.values()
        for overload in (
            typing.get_overloads(maker)[:1] if inspect.isfunction(maker) else ()
        ):  # nn.RNN names its arguments only there
            own = [*inspect.signature(overload).parameters.values(), *own]
        found = {p.name: p.default for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)} | found
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            break
    found.pop("self", None)
    return found


def written_in_c(function: Callable[..., Any]) -> Callable[..., Any]:
    """A stand-in with the same signature: by its documentation, else the one that PyTorch keeps for its own tests."""
    form = re.match(r"\s*\w+\(([\w\s,=.\-]*)\) ->", function.__doc__ or "")
    if form is None:
        stand_in: Callable[..., Any] = torch.overrides.get_testing_overrides()[function]
        return stand_in
    scope: dict[str, Any] = {}
    exec(f"def stand_in({form[1]}): pass", scope)
    return scope["stand_in"]  # type: ignore[no-any-return]


def same(known: Any, default: Any) -> bool:
    """Equal, or as many of it as there are axes: `strides` is 1 where Keras says (1, 1)."""
    return bool(known == default) or (isinstance(known, tuple) and set(known) == {default})


@pytest.mark.parametrize("external", externals(), ids=lambda e: e.function)
def test_the_framework_has_this_signature(external: Signature) -> None:
    known = parameters(resolved(external.function))
    for name, default in external.defaults.items():
        assert name in known, f"{external.function} takes no {name}: {list(known)}"
        if default is not ...:
            assert same(known[name], default), f"{name}={known[name]!r}"
