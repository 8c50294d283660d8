"""What a random block knows while it is being written: values in flight, names, and words for numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf, isqrt
from random import Random
from typing import Any

from specbuild.expressions import concrete
from specbuild.frontend.names import find_name_problem
from specbuild.ops import OPS, Op
from specbuild.ops.types import TensorType

NAMES = """stem body head gate left right out conv norm mixed sum query key value deep wide skip branch a b
tokens proj scaled fused up down score features x1 pool list hidden merged size""".split()
AXES = "C H W D T S N K R heads A B P Q G L M U V Y Z".split()
BELOW = 5  # integer inputs are drawn below this


class Unfit(Exception):
    """Nothing in flight fits what was to be written, or what was drawn does not; the reason."""


class Dice(Random):
    """Random choices, of which there may be none."""

    def choice(self, seq: Any) -> Any:
        if not seq:
            raise Unfit("nothing to choose from")
        return super().choice(seq)

    def randint(self, a: int, b: int) -> int:
        if b < a:
            raise Unfit("nothing to choose from")
        return super().randint(a, b)


@dataclass
class Written:
    """The step that gave a value: it gets a name when something but the next step reads it."""

    steps: list[Any]
    index: int
    name: str | None = None

    def named(self, name: str) -> str:
        step = self.steps[self.index]
        self.steps[self.index] = {**(step if isinstance(step, dict) else {step: None}), "as": name}
        self.name = name
        return name


@dataclass(frozen=True)
class Value:
    """A value in flight: how a step names it, its type, and what is known of its numbers.

    They lie from `low` to `high`; integers lie from 0 to below `below`. Where it is `generic`, no two numbers
    are equal and none stands at an edge, so that a step of a function is not decided by rounding.
    """

    name: str | None  # None: it has none yet
    type: TensorType
    low: float = -inf
    high: float = inf
    below: int | None = None
    generic: bool = False
    is_centred: bool = False  # a norm gave it: sums of it are zero but for rounding
    written: Written | None = field(default=None, compare=False, repr=False)

    @property
    def most(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def sizes(self) -> dict[str, int]:
        return {axis: concrete(n) for axis, n in self.type.sizes.items()}

    @property
    def floats(self) -> bool:
        return self.type.dtype == "float"


@dataclass
class Scope:
    """A block being written: its steps so far, and what they can read."""

    random: Random
    blocks: dict[str, Any]  # of the whole spec
    assumed: dict[str, list[Value]]  # for which inputs each block was written
    results: dict[str, Value]  # and what came out of it first
    words: dict[str, Any] = field(default_factory=dict)  # what expressions read: parameters, x.C, i
    values: list[Value] = field(default_factory=list)  # those with names
    last: Value | None = None
    steps: list[Any] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)  # names that a step reads
    inputs: dict[str, Any] | None = None  # raw, of a model: more can be declared
    room: int = 10  # how many more steps it may get
    depth: int = 0  # how deep it stands in other blocks
    has_constructs: bool = False  # see `structure.spec`
    # Blocks, groups and repeats that can be used again: what each was given, and its result.
    wholes: list[tuple[Value, Value]] = field(default_factory=list)

    def inside(self, **changes: Any) -> Scope:
        """The scope of a group of steps in here; it reads what is here and adds nothing to it."""
        here = replace(self, steps=[], values=list(self.values), read=set(), inputs=None, wholes=[])
        if self.has_constructs:
            here.words = dict(self.words)  # the sizes of steps inside cannot be read outside
        return replace(here, **changes)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def all(self) -> list[Value]:
        """What a step can read here, the value before it last."""
        new = self.last is not None and not any(v is self.last for v in self.values)
        return [*self.values, *([self.last] if new and self.last else [])]

    def pick(self, fits: Callable[[Value], bool], among: Iterable[Value] | None = None) -> Value | None:
        """A value that fits: the one before, more often than not."""
        found = [v for v in (self.all() if among is None else among) if fits(v)]
        if self.last is not None and self.chance(0.6) and any(v is self.last for v in found):
            return self.last
        return self.random.choice(found) if found else None

    def reference(self, value: Value) -> str:
        """How a step names a value."""
        if value is self.last and (value.name is None or self.chance(0.2)):
            return "prev"
        name = value.name or (value.written and value.written.name)
        if name is None and value.written is not None:
            name = value.written.named(self.fresh())
            self.values.append(replace(value, name=name))
        if name is None:
            raise Unfit("a value without a name")
        self.read.add(name)
        return name

    def fresh(self, words: Iterable[str] = NAMES) -> str:
        """A name that nothing here has."""
        pool = [w for w in words if not find_name_problem(w)]
        name = self.random.choice(pool)
        count = 2
        while name in self.taken or find_name_problem(name):
            name = f"{self.random.choice(pool)}_{count}"
            count += 1
        self.taken.add(name)
        return name

    def axis(self, *values: Value, also: Iterable[str] = ()) -> str:
        """The name of an axis that none of these values has."""
        gone = {a for v in values for a in v.sizes} | set(also)
        return self.random.choice([a for a in AXES if a not in gone and a not in self.words])

    def add(self, step: dict[str, Any] | str, value: Value, named: bool | None = None) -> Value:
        """Write a step whose result is `value`."""
        if named or (named is None and self.chance(0.5)):
            name = self.fresh()
            step = {**({step: None} if isinstance(step, str) else step), "as": name}
            value = replace(value, name=name)
            self.values.append(value)
            kind = next(iter(step))
            has_parts = kind in OPS and OPS[kind].part_types is not Op.part_types
            if self.has_constructs and value.type.batched and not has_parts:
                self.words |= {f"{name}.{axis}": n for axis, n in value.sizes.items()}
        else:
            value = replace(value, name=None, written=Written(self.steps, len(self.steps)))
        if isinstance(step, dict) and len(step) == 1 and next(iter(step.values())) in (None, {}):
            step = next(iter(step))
        self.steps.append(step)
        self.last = value
        self.room -= 1
        return value

    def declared(self, type_: TensorType) -> Value | None:
        """A new input of the model, if this is a model."""
        if self.inputs is None or len(self.inputs) >= 6:
            return None
        name = self.fresh(["image", "tokens", "x", "y", "memory", "mask", "clip", "signal", "left", "places"])
        if type_.dtype == "float" and not {"axes", "dtype"} & set(type_.sizes):
            self.inputs[name] = dict(type_.sizes)
        else:
            self.inputs[name] = {"axes": dict(type_.sizes), "dtype": type_.dtype}
        value = entering(name, type_)
        self.values.append(value)
        self.words |= {f"{name}.{axis}": n for axis, n in type_.sizes.items()}
        return value

    def said(self, n: int) -> Any:
        """A number as it stands, or as an expression in the names of this block."""
        if self.chance(0.45):
            return n
        found = []
        for word, v in self.words.items():
            if isinstance(v, bool) or not isinstance(v, int):
                continue
            if v == n:
                found += [word] * 3
            if v > 0 and n and n % v == 0 and 1 < n // v < 5:
                found.append(f"{n // v} * {word}")
            if n > 0 and v % n == 0 and v > n:
                found.append(f"{word} // {v // n}")
            if self.has_constructs and "." in word and n and v > 1 and -(-v // 2) == n:
                found.append(f"ceil({word} / 2)")
            if self.has_constructs and "." in word and n and v > 3 and isqrt(v) == n:
                found.append(f"floor(sqrt({word}))")
            if 0 < n - v < 4:
                found.append(f"{word} + {n - v}")
            if 0 < v - n < 4:
                found.append(f"{word} - {v - n}")
        if self.has_constructs and self.last is not None and self.last.type.batched:
            found += [f"prev.{axis}" for axis, size in self.last.sizes.items() if size == n]
        if found and self.chance(0.15):
            test = self.condition()
            return f"{self.random.choice(found)} if {test[0]} else {n}"
        return self.random.choice(found) if found else n

    def condition(self) -> tuple[str, bool]:
        """An expression that holds or not, and whether it does."""
        word, v = self.random.choice([*self.words.items()] or [("1", 1)])
        if isinstance(v, bool):
            return (word, v) if self.chance(0.6) else (f"not {word}", not v)
        if isinstance(v, int | float):
            edge = int(v) + self.random.choice([-1, 0, 1])
            sign = self.random.choice([">", "==", "!=", "<="])
            return f"{word} {sign} {edge}", {
                ">": v > edge,
                "==": v == edge,
                "!=": v != edge,
                "<=": v <= edge,
            }[sign]
        if isinstance(v, str):
            return f"{word} == '{v}'", True
        return f"len({word}) > 1", len(v) > 1


def entering(name: str, type_: TensorType) -> Value:
    """An input: what parity draws for it."""
    if type_.dtype == "float":
        return Value(name, type_, -6, 6, generic=True)
    return Value(name, type_, 0, 1 if type_.dtype == "bool" else BELOW - 1, below=BELOW)


def worded(scope: Scope, raw: Any) -> Any:
    """An attribute with some of its whole numbers said in words."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int):
        return scope.said(raw)
    if isinstance(raw, list):
        return [worded(scope, item) for item in raw]
    if isinstance(raw, Mapping):
        return {key: worded(scope, item) for key, item in raw.items()}
    return raw
