"""What to import, from the texts of a command line: the source, its arguments, and its inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.frontend.names import IDENTIFIER, find_name_problem
from specbuild.importing.reader import ModelReader
from specbuild.importing.reader_choice import find_reader

DTYPES = ("float", "int32", "bool")
OTHER_DTYPES = {"float32": "float", "int64": "int32", "long": "int32", "int": "int32"}  # names in PyTorch
INPUT = re.compile(
    r"(?P<name>\w+)=(?:(?P<axes>[A-Za-z]\w*(?:x[A-Za-z]\w*)*):)?(?P<sizes>\d+(?:x\d+)*)(?::(?P<dtype>\w+))?"
)
SOURCE = re.compile(r"(timm|torchvision|[^:]+\.py|[A-Za-z_][\w.]*):([\w.\-]+)")
KERAS_FILE = re.compile(r"[^:]*\.keras", re.DOTALL)


class InputRequest(Struct, frozen=True):
    """One input: its axes and their sizes, without the batch."""

    axes: tuple[str, ...]
    sizes: tuple[int, ...]
    dtype: str = "float"


class ImportRequest(Struct, frozen=True):
    """A model to import: `timm:NAME`, `torchvision:NAME`, `FILE.py:NAME` or `MODULE:NAME`, with what it is called with."""

    source: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, InputRequest] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)  # arguments that are others in a second capture
    partial: bool = False  # whether what cannot be imported is left to be finished by hand

    def with_others(self) -> ImportRequest:
        """Return the request for the second capture."""
        return replace(self, settings={**self.settings, **self.others})

    @property
    def reader(self) -> ModelReader:
        return find_reader(self.source)

    @property
    def model_name(self) -> str:
        """The name of the model in the spec, in CamelCase."""
        name = self.source.rpartition(":")[2]
        if KERAS_FILE.fullmatch(self.source):
            name = Path(self.source).stem
        words = re.split(r"[\W_]+", name)
        joined = "".join(w if w != w.lower() else w.capitalize() for w in words if w)
        joined = joined if joined[:1].isalpha() else f"Model{joined}"
        return joined if find_name_problem(joined) is None else f"{joined}Model"


def parse_request(
    source: str, settings: Iterable[str], inputs: Iterable[str], others: Iterable[str] = ()
) -> ImportRequest:
    """Return the request for these texts: `--set` and `--also NAME=VALUE`, `--input NAME=3x224x224`. Raises SpecError SB961."""
    if not SOURCE.fullmatch(source) and not KERAS_FILE.fullmatch(source):
        raise SpecError(
            "SB961",
            f"`{make_printable(source)}` names no model",
            hint="write timm:resnet50, torchvision:resnet50, ./net.py:Net, package.module:build_net or net.keras",
        )
    axes = find_reader(source).usual_axes
    wanted = dict(parse_input(text, axes) for text in inputs)
    return ImportRequest(source, parse_settings(settings), wanted, parse_settings(others))


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return arguments by name, of texts such as num_classes=10."""
    parsed: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            hint = "for example: --set num_classes=10"
            raise SpecError("SB961", f"`{make_printable(text)}` is not NAME=VALUE", hint=hint)
        parsed[name] = parse_setting(value)
    return parsed


def describe_values(values: Mapping[str, Any]) -> str:
    """Return arguments as they are given on a command line."""
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "the same arguments"


def parse_setting(text: str) -> Any:
    """Return a number, a truth value, None, a list of them in brackets, or a text."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    if text[:1] in "[(" and text[-1:] in "])":
        return [parse_setting(item.strip()) for item in text[1:-1].split(",") if item.strip()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def choose_axes(usual: tuple[str, ...], dtype: str) -> tuple[str, ...]:
    """Return the axes of an input from those of a float: whole numbers are words in a text, which have no channels."""
    if dtype != "int32" or "H" in usual:
        return usual
    return ("T",) if len(usual) == 1 else tuple("S" if axis == "C" else axis for axis in usual)


def parse_input(text: str, usual_axes: Mapping[int, tuple[str, ...]]) -> tuple[str, InputRequest]:
    """Return the name of an input, and what is said about it; `usual_axes` are those of its framework, by their number."""
    match = INPUT.fullmatch(text)
    problem = "is not an input" if match is None else ""
    if match is not None:
        sizes = tuple(map(int, match["sizes"].split("x")))
        dtype = OTHER_DTYPES.get(match["dtype"], match["dtype"] or "float")
        usual = choose_axes(usual_axes.get(len(sizes), ()), dtype)
        axes = tuple(match["axes"].split("x")) if match["axes"] else usual
        if len(axes) != len(sizes) or len(set(axes)) < len(axes) or 0 in sizes:
            problem = f"has {len(sizes)} sizes for the axes {', '.join(axes) or 'that it does not name'}"
        elif dtype not in DTYPES or not IDENTIFIER.fullmatch(match["name"]):
            problem = f"has a dtype or name that is not known; dtypes are {', '.join(DTYPES)}"
        else:
            return match["name"], InputRequest(axes, sizes, dtype)
    hint = "for example: --input image=3x224x224, --input tokens=T:16:int32, --input clip=CxDxHxW:3x8x64x64"
    raise SpecError("SB961", f"`{make_printable(text)}` {problem}", hint=hint)
