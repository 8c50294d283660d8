"""An installable project around a package: the package is in `src/`, as Python's packaging guide advises."""

from __future__ import annotations

import json
from collections.abc import Sequence

from specbuild.diagnostics.sentences import first_sentence
from specbuild.packaging.model_facts import ModelFacts

PROJECT_NAME = "pyproject.toml"


def package_place(package: str) -> str:
    """Return the folder of a package in its project, as the beginning of the paths of its files."""
    return f"src/{package}/"


def render_pyproject(
    facts: Sequence[ModelFacts], package: str, has_loaders: bool, header: tuple[str, ...]
) -> str:
    """Return the `pyproject.toml`. A single framework is a requirement, several are extras: `pip install '.[torch]'`."""
    more = ["numpy>=1.26", "safetensors>=0.4"] if has_loaders else []
    lines = [
        f"# {header[0]}",
        "",
        "[build-system]",
        'requires = ["setuptools>=69"]',
        'build-backend = "setuptools.build_meta"',
        "",
        "[project]",
        f"name = {quote_text(package.replace('_', '-'))}",
        'version = "0.1.0"',
        f"description = {quote_text(first_sentence(facts[0].model.graph.doc) or facts[0].name)}",
        'readme = "README.md"',
        'requires-python = ">=3.11"',
    ]
    required = [list_requirements(f) for f in facts]
    if len(facts) == 1:
        lines.append(f"dependencies = {format_list([*required[0], *more])}")
    elif more:
        lines.append(f"dependencies = {format_list(more)}")
    lines += ["", "[project.optional-dependencies]"]
    if len(facts) > 1:
        lines += [f"{f.backend} = {format_list(names)}" for f, names in zip(facts, required, strict=True)]
    lines += [
        'test = ["pytest>=8"]',
        "",
        "[tool.setuptools.packages.find]",
        'where = ["src"]',
        "",
        "[tool.setuptools.package-data]",
        f'{package} = ["py.typed"]',
    ]
    return "\n".join(lines) + "\n"


def list_requirements(facts: ModelFacts) -> list[str]:
    """Return what the file of a framework needs from PyPI."""
    return list(facts.packaging.requirements or (facts.packaging.module,))


def format_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(quote_text, texts))}]"


def quote_text(text: str) -> str:
    """Return a text as a string of TOML, whose escapes JSON has, too."""
    return json.dumps(" ".join(text.split()), ensure_ascii=True)
