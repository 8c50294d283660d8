"""What a user declares of weights of another size: `conv1=repeat`, `position=resample(prefix=1, from=14x14)`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import NoReturn

from specbuild.diagnostics.errors import SpecError, nearest, printable

Sides = tuple[int, ...]

STEMS = ("repeat", "mean", "zero", "random")
RESAMPLE = "resample"
MODES = (*STEMS, RESAMPLE)
OPTIONS = {RESAMPLE: ("from", "to", "prefix", "align_corners", "antialias")}
STEM_OPTIONS = ("from", "to")
FORM = re.compile(r"(?P<pattern>.+)=\s*(?P<mode>\w+)\s*(?:\((?P<options>[^()]*)\))?\s*", re.DOTALL)
SIDES = re.compile(r"[0-9]{1,6}(?:x[0-9]{1,6}){0,3}")
FLAGS = {"true": True, "false": False}
EXAMPLES = "there are 'conv1=repeat', or mean, zero and random, and 'position=resample(from=14x14, to=16x16)'"


@dataclass(frozen=True)
class Adaptation:
    """Weights, by a pattern for their paths, and how those of another size are made to fit.

    `old` and `new` are the sides of what an axis holds, row-major, in the file and in the model, if told.
    """

    text: str
    pattern: str
    mode: str
    old: Sides | None = None
    new: Sides | None = None
    prefix: int | None = None
    align_corners: bool = True
    antialias: bool = False

    @property
    def moves(self) -> bool:
        """Whether it is told to change even a table whose shape is that of the model."""
        return (
            self.mode == RESAMPLE and self.old is not None and self.new is not None and self.old != self.new
        )


def adaptation(text: str) -> Adaptation:
    """A declaration as written on the command line; SB806 where it cannot be read."""
    match = FORM.fullmatch(text)
    if match is None or not match["pattern"].strip():
        unread(text, "it is no PATTERN=MODE", EXAMPLES)
    mode = match["mode"]
    if mode not in MODES:
        guess = nearest(mode, MODES)
        unread(text, f"there is no mode {mode!r}", f"did you mean {guess!r}?" if guess else EXAMPLES)
    options = read(text, match["options"] or "", OPTIONS.get(mode, STEM_OPTIONS))
    antialias = flag(text, options, "antialias", False)
    aligned = flag(text, options, "align_corners", not antialias)
    if antialias and aligned:
        unread(text, "antialias goes without align_corners", "leave one of them out")
    old, new = sides(text, options, "from"), sides(text, options, "to")
    if old and new and len(old) != len(new):
        unread(text, "`from` and `to` have not as many sides", "write from=14x14, to=16x16")
    prefix = whole(text, options["prefix"]) if "prefix" in options else None
    return Adaptation(text, match["pattern"].strip(), mode, old, new, prefix, aligned, antialias)


def read(text: str, options: str, known: tuple[str, ...]) -> dict[str, str]:
    """`a=1, b=2` by name."""
    found = {}
    for option in options.split(",") if options.strip() else []:
        name, separator, value = (part.strip() for part in option.partition("="))
        if name not in known:
            guess = nearest(name, known)
            hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(known)}"
            unread(text, f"there is no option {name!r}", hint)
        if name in found:
            unread(text, f"{name!r} is told twice", "leave one of them out")
        if not separator or not value:
            unread(text, f"{name!r} has no value", EXAMPLES)
        found[name] = value
    return found


def sides(text: str, options: Mapping[str, str], name: str) -> Sides | None:
    if name not in options:
        return None
    good = SIDES.fullmatch(options[name])
    found = tuple(map(int, options[name].split("x"))) if good else ()
    if not good or not prod(found):
        unread(text, f"{options[name]!r} has no sides", "write 14x14, rows first")
    return found


def whole(text: str, value: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", value):
        unread(text, f"{value!r} is no number of rows", "write prefix=1")
    return int(value)


def flag(text: str, options: Mapping[str, str], name: str, otherwise: bool) -> bool:
    value = options.get(name, str(otherwise).lower())
    if value not in FLAGS:
        unread(text, f"{name} is true or false, not {value!r}")
    return FLAGS[value]


def unread(text: str, reason: str, hint: str = "") -> NoReturn:
    raise SpecError("SB806", f"cannot read --adapt '{printable(text)}': {printable(reason)}", hint=hint)
