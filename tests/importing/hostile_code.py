"""Models of strangers whose code fails or ends its process; for `test_hostile_code`, which copies this file."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from torch import Tensor, nn


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def print_much() -> Model:
    for _ in range(50):
        print("y" * 100_000)
        os.write(2, b"z" * 100_000)
    return Model()


def change_folder() -> Model:
    os.chdir("/")
    return Model()


def remove_itself() -> Model:
    os.unlink(__file__)
    return Model()


def raise_text() -> NoReturn:
    raise RuntimeError("boom \x1b[2J " + "x" * 1_000_000)


def recurse() -> Model:
    return recurse()


def ask() -> Model:
    input("Go on? ")
    return Model()


def give_number() -> int:
    return 3


def exit() -> NoReturn:
    sys.exit(0)


def exit_at_once() -> NoReturn:
    os.write(1, b"the last words\n")
    os._exit(7)


def write_answers() -> Model:
    """Write to every open file, one of which is that of the answers."""
    return write_everywhere(b"\xff no answer\n")


def answer_first() -> Model:
    """Write the answer to the first job of a process before it is done."""
    return write_everywhere(b"[1, {}]\n")


def write_everywhere(line: bytes) -> Model:
    for descriptor in range(3, 30):
        with suppress(OSError):
            os.write(descriptor, line)
    return Model()


def loop() -> NoReturn:
    while True:
        pass
