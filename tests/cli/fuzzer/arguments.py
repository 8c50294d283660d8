"""Random command lines: every command with its own options, and values that fit, nearly fit or do not."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import click
import typer.main

from specbuild.cli import COMMANDS, build_app

ENDING_COMMANDS = tuple(name for name in COMMANDS if name != "watch")  # which runs until it is interrupted
LONG_NAME = "n" * 300
PATHS = [
    *["net.yaml"] * 8,
    *["mutant.yaml"] * 4,
    *("other.yaml", "-", "", ".", "/", "folder", "folder/", "nothing.yaml", "net.yaml/inside", "loop"),
    *("dangling", "pipe", "socket", "secret.yaml", "closed/net.yaml", "readonly/net.yaml", "/dev/null"),
    *("/dev/full", LONG_NAME, "/".join(["d"] * 3000), os.fsdecode(b"\xff\xfe.yaml"), "ü\u202e.yaml"),
    *("weights.safetensors", "weights.pt", "library:attention/cbam.yaml", "~", "$HOME", "a\nb.yaml"),
]
TARGETS = [
    *("out.py", "out.svg", "out.dot", "out.mmd", "out.yaml", "folder", "folder/", "new/", "new/out.py"),
    *("readonly/out.py", "closed/out.py", "net.yaml", *PATHS[12:]),
]
WORDS = [
    *("", "zq", "torch", "keras", "torch,keras", "large", "width=4", "width=", "=4", "width", "width=[1,2]"),
    *(
        "width=" + "1" * 5000,
        "0",
        "1",
        "2",
        "-1",
        "1e400",
        "nan",
        "9" * 5000,
        "Gate",
        "Net",
        "stem",
        "*",
        "**",
    ),
    *(
        "stem.weight",
        "x=3x8x8",
        "x=",
        "SB001",
        "SB999",
        "all",
        "svg",
        "text",
        "json",
        "github",
        "cpu",
        "cuda",
    ),
    *("float64", "ü", "\u202e", "a\nb", os.fsdecode(b"\xff"), "--", "-h", "os:system", "net.yaml:Net"),
]


@cache
def list_commands() -> list[tuple[tuple[str, ...], click.Command]]:
    """Return each command with its words: `check`, `weights init`."""
    return list(walk_commands((), typer.main.get_command(build_app(ENDING_COMMANDS))))


def walk_commands(
    words: tuple[str, ...], command: click.Command
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    inner_commands: dict[str, Any] = getattr(command, "commands", {})
    if inner_commands:
        for name, inner in inner_commands.items():
            yield from walk_commands((*words, name), inner)
    else:
        yield words, command


def random_arguments(pick: random.Random) -> list[str]:
    """Return a command line without the name of the program."""
    if pick.random() < 0.03:
        return [pick.choice([*WORDS, *ENDING_COMMANDS]) for _ in range(pick.randrange(3))]
    words, command = pick.choice(list_commands())
    result = list(words)
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            count = pick.choice([0, 1, 1, 1, 2]) if parameter.nargs < 0 else pick.choice([1] * 9 + [0])
            result += [pick.choice(PATHS if pick.random() < 0.85 else WORDS) for _ in range(count)]
        elif pick.random() < (0.5 if parameter.required or parameter.name in ("output", "backend") else 0.12):
            result += random_option(parameter, pick)
    if pick.random() < 0.05:
        result.insert(pick.randrange(len(result) + 1), pick.choice(WORDS))
    return result


def random_option(option: click.Parameter, pick: random.Random) -> list[str]:
    flag = pick.choice([*option.opts, *option.secondary_opts])
    if getattr(option, "is_flag", False):
        return [flag]
    choices = list(getattr(option.type, "choices", ()))
    if choices and pick.random() < 0.8:
        return [flag, str(pick.choice(choices))]
    if option.name == "backend" and pick.random() < 0.8:
        return [flag, pick.choice(["torch", "keras"])]
    is_target = "-o" in option.opts or option.name in ("output", "weights", "report", "root")
    return [flag, pick.choice(TARGETS if is_target and pick.random() < 0.9 else WORDS)]
