"""Parse the values of `--adapt`, such as `conv1=repeat` and `position=resample(prefix=1, from=14x14)`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import NoReturn

from msgspec import Struct

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagnostics.suggestions import suggest_name

Sides = tuple[int, ...]

CHANNEL_MODES = ("repeat", "mean", "zero", "random")
RESAMPLE = "resample"
MODES = (*CHANNEL_MODES, RESAMPLE)
OPTIONS = {RESAMPLE: ("from", "to", "prefix", "align_corners", "antialias")}
CHANNEL_OPTIONS = ("from", "to")
ADAPTATION_PATTERN = re.compile(
    r"(?P<pattern>.+)=\s*(?P<mode>\w+)\s*(?:\((?P<options>[^()]*)\))?\s*", re.DOTALL
)
SIDES_PATTERN = re.compile(r"[0-9]{1,6}(?:x[0-9]{1,6}){0,3}")
FLAGS = {"true": True, "false": False}
EXAMPLES = (
    "examples: 'conv1=repeat' (also mean, zero and random) and 'position=resample(from=14x14, to=16x16)'"
)


class Adaptation(Struct, frozen=True):
    """A value of `--adapt`: how to adapt the weights whose paths match a pattern.

    `old_sides` and `new_sides` are the sizes that an axis is made of, in row-major order: the axis of the
    file's tensor and that of the model's. They are None if the user does not state them.
    """

    text: str
    pattern: str
    mode: str
    old_sides: Sides | None = None
    new_sides: Sides | None = None
    prefix: int | None = None
    align_corners: bool = True
    antialias: bool = False

    @property
    def is_regridding(self) -> bool:
        """Whether two different grids are stated, so that even a table of the right shape is resampled."""
        return (
            self.mode == RESAMPLE
            and self.old_sides is not None
            and self.new_sides is not None
            and self.old_sides != self.new_sides
        )


def parse_adaptation(text: str) -> Adaptation:
    """Parse a value of `--adapt`; raises SpecError SB806 if it is invalid."""
    match = ADAPTATION_PATTERN.fullmatch(text)
    if match is None or not match["pattern"].strip():
        reject_text(text, "it is not PATTERN=MODE", EXAMPLES)
    mode = match["mode"]
    if mode not in MODES:
        reject_text(text, f"there is no mode {mode!r}", suggest_name(mode, MODES, otherwise=EXAMPLES))
    options = parse_options(text, match["options"] or "", OPTIONS.get(mode, CHANNEL_OPTIONS))
    antialias = parse_flag(text, options, "antialias", False)
    aligned = parse_flag(text, options, "align_corners", not antialias)
    if antialias and aligned:
        reject_text(text, "antialias and align_corners exclude each other", "leave one of them out")
    old, new = parse_sides(text, options, "from"), parse_sides(text, options, "to")
    if old and new and len(old) != len(new):
        reject_text(text, "`from` and `to` have different numbers of sides", "write from=14x14, to=16x16")
    prefix = parse_prefix(text, options["prefix"]) if "prefix" in options else None
    return Adaptation(text, match["pattern"].strip(), mode, old, new, prefix, aligned, antialias)


def parse_options(text: str, options: str, known: tuple[str, ...]) -> dict[str, str]:
    """Parse `a=1, b=2`; only `known` names are accepted."""
    values = {}
    for option in options.split(",") if options.strip() else []:
        name, separator, value = (part.strip() for part in option.partition("="))
        if name not in known:
            hint = suggest_name(name, known, "the options are")
            reject_text(text, f"there is no option {name!r}", hint)
        if name in values:
            reject_text(text, f"{name!r} is given twice", "leave one of them out")
        if not separator or not value:
            reject_text(text, f"{name!r} has no value", EXAMPLES)
        values[name] = value
    return values


def parse_sides(text: str, options: Mapping[str, str], name: str) -> Sides | None:
    if name not in options:
        return None
    if not SIDES_PATTERN.fullmatch(options[name]):
        reject_text(text, f"{options[name]!r} is not a size", "write 14x14, rows first")
    sides = tuple(map(int, options[name].split("x")))
    if not prod(sides):
        reject_text(text, f"{options[name]!r} is not a size", "write 14x14, rows first")
    return sides


def parse_prefix(text: str, value: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", value):
        reject_text(text, f"{value!r} is not a number of rows", "write prefix=1")
    return int(value)


def parse_flag(text: str, options: Mapping[str, str], name: str, default: bool) -> bool:
    value = options.get(name, str(default).lower())
    if value not in FLAGS:
        reject_text(text, f"{name} must be true or false, not {value!r}")
    return FLAGS[value]


def reject_text(text: str, reason: str, hint: str = "") -> NoReturn:
    raise SpecError(
        "SB806", f"cannot read --adapt '{make_printable(text)}': {make_printable(reason)}", hint=hint
    )
