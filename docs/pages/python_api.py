"""The page on the Python API, from the signatures and docstrings of what `specbuild` exports."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import specbuild
from docs.pages import markdown

INTRODUCTION = """# Python API

```python
import specbuild

model = specbuild.load("net.yaml", classes=5)
print(model.summary())  # the table of `specbuild show`
source = model.source("keras")  # the text of the file
module = model.build("torch")  # a live torch.nn.Module
model.draw("net.svg", nested=True, width="7in")
```

In a notebook, a model shows its picture.
"""


def pages() -> Iterator[tuple[str, str]]:
    parts = [
        describe(name, getattr(specbuild, name)) for name in specbuild.__all__ if not name.startswith("_")
    ]
    yield "guide/python.md", markdown.page(INTRODUCTION, *parts)


def describe(name: str, item: Any) -> str:
    """A function with its signature, or a class with its public methods and attributes."""
    doc = describe_text(item.__doc__ or "")
    if not inspect.isclass(item):
        return f"## {name}\n\n{signature(name, item)}\n{doc}\n"
    if issubclass(item, Exception):
        return f"## {name}\n\n{doc}\n"
    members = [
        (member, value)
        for member, value in vars(item).items()
        if not member.startswith("_") and is_public(value)
    ]
    return f"## {name}\n\n{doc}\n\n" + "\n".join(describe_member(member, value) for member, value in members)


def is_public(value: Any) -> bool:
    return bool(getattr(value, "__doc__", None)) and (callable(value) or hasattr(value, "__get__"))


def describe_member(name: str, value: Any) -> str:
    doc = describe_text(value.__doc__ or "")
    head = signature(name, value) if inspect.isfunction(value) else ""
    return f"### {name}\n\n{head}\n{doc}\n"


def signature(name: str, function: Any) -> str:
    """The signature with types as they are written in the source, and without `self`."""
    found = inspect.signature(function)
    written: list[str] = []
    for parameter in found.parameters.values():
        is_keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if is_keyword and not any(text.startswith("*") for text in written):
            written.append("*")
        if parameter.name != "self":
            written.append(show_parameter(parameter))
    return markdown.listing(f"{name}({', '.join(written)}) -> {found.return_annotation}", "python")


def show_parameter(parameter: inspect.Parameter) -> str:
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    star = stars.get(parameter.kind.name, "")
    default = parameter.default
    if default is inspect.Parameter.empty:
        return f"{star}{parameter.name}: {parameter.annotation}"
    shown = "..." if callable(default) else repr(default)
    return f"{parameter.name}: {parameter.annotation} = {shown}"


def describe_text(doc: str) -> str:
    """A docstring, with its indented paragraphs as code."""
    parts = inspect.cleandoc(doc).split("\n\n")
    return "\n\n".join(
        markdown.listing(inspect.cleandoc(part), "python")
        if part.startswith("    ")
        else markdown.prose(part)
        for part in parts
    )
