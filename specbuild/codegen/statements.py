"""Steps to statements, as a person would write them: one weighty call a line, light ones folded in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, count

from specbuild.codegen.class_def import Mark, Unit
from specbuild.codegen.constructions import SELF, Container
from specbuild.codegen.lowering import Step
from specbuild.codegen.printer import expression
from specbuild.codegen.tree import (
    Assign,
    Call,
    Comment,
    Conditional,
    Expr,
    For,
    If,
    Index,
    Input,
    Literal,
    Name,
    Prefix,
    Slice,
    Statement,
    Unpack,
    rebuild,
    walk,
)

WIDTH = 88
INDENT = 8


@dataclass
class Flow:
    """Writes the statements of one unit. `held` says how a step's layer is spoken of.

    `owner` is the name before the unit's parameters, where they are attributes: `self`.
    """

    unit: Unit
    held: Callable[[Step], Expr]
    flag: Callable[[Step], Expr]
    owner: str = ""
    indent: int = INDENT
    lists: bool = False  # whether a row that is called piece by piece is a list, which is no layer itself
    statements: list[Statement] = field(default_factory=list)
    text: dict[str, Expr] = field(default_factory=dict)  # value -> how it is read now
    heavy: set[str] = field(default_factory=set)  # values folded with a weighty call inside
    live: dict[str, int] = field(default_factory=dict)  # variable -> last step that reads it
    # values alive beside one of another step with the same name
    crowded: set[str] = field(default_factory=set)
    same: dict[str, str] = field(default_factory=dict)  # variable -> the one that it was set to

    def run(self) -> list[Expr]:
        """The statements of all steps; the expressions of the outputs come back."""
        steps, end = self.unit.steps, len(self.unit.steps)
        outputs = [value.key for value in self.unit.first.outputs.values()]
        done = self.done(outputs)
        self.live |= dict.fromkeys(self.called(), end)
        readers: dict[str, list[int]] = {}
        for at in done:
            for key in steps[at].inputs:
                readers.setdefault(key, []).append(at)
        for key in outputs:
            readers.setdefault(key, []).append(end)
        self.crowded = self.namesakes(readers)
        for name, value in self.unit.first.inputs.items():
            self.text[value.key] = Name(name)
            # a function that joins a model speaks of its inputs again at its end
            self.live[name] = max(readers.get(value.key, [-1])) if self.owner else end
        for at in done:
            alone = outputs == [steps[at].key] and at == done[-1]
            self.step(at, steps[at], readers, alone)
        return [self.text[key] for key in outputs]

    def namesakes(self, readers: Mapping[str, list[int]]) -> set[str]:
        """Of the values of steps that give several, those that are read while another of the same name is."""
        found: set[str] = set()
        latest: dict[str, tuple[int, str]] = {}
        for at, step in enumerate(self.unit.steps):
            for part in step.parts:
                if part in readers:
                    end, name = max(readers[part]), output(part)
                    until, other = latest.get(name, (-1, part))
                    found |= {part, other} if until > at else set()
                    latest[name] = max((until, other), (end, part))
        return found

    def called(self) -> set[str]:
        """The functions of the file that the steps call, so that no variable may have their names."""
        functions = (p.function for step in self.unit.steps for p in walk(step.call) if isinstance(p, Call))
        return {f.text for f in functions if isinstance(f, Name) and "." not in f.text}

    def done(self, outputs: list[str]) -> list[int]:
        """The steps whose values somebody reads; what holds weights only for others to use again is not done."""
        wanted, found = set(outputs), []
        for at, step in reversed(list(enumerate(self.unit.steps))):
            if step.key in wanted or wanted.intersection(step.parts):
                wanted.update(step.inputs)
                found.append(at)
        return found[::-1]

    def step(self, at: int, step: Step, readers: Mapping[str, list[int]], alone: bool) -> None:
        code = self.code(step)
        heavy = not step.light or any(key in self.heavy for key in step.inputs)
        used = readers.get(step.key, [])
        if step.doc:
            self.statements.append(Comment(step.doc))
        if (isinstance(step.make, Container) and step.make.loop) or (self.lists and several(step)):
            self.loop(at, step, code, used)
        elif step.parts:
            names = tuple(self.named(part, step, at, readers) for part in step.parts)
            self.statements.append(Unpack(names, code))
        elif isinstance(code, Conditional) and self.free(at, "x") == "x" and code.otherwise == Name("x"):
            self.live["x"] = max(used, default=at)
            self.text[step.key] = Name("x")
            self.statements.append(If(code.test, (Assign("x", code.then),)))
        elif isinstance(code, Name) and not (step.named and not step.holder):
            self.text[step.key] = code
            self.extend(code, max(used, default=at))
        elif alone or self.folds(at, step, code, heavy, used):
            self.text[step.key] = code
            if heavy:
                self.heavy.add(step.key)
            self.extend(code, max(used, default=at))
        else:
            name = self.variable(at, step, used)
            self.live[name] = max(used, default=at)
            same = isinstance(code, Name) and code.text == name
            self.text[step.key] = code if same else Name(name)
            if not same:
                self.statements.append(Assign(name, code))

    def loop(self, at: int, step: Step, code: Expr, used: list[int]) -> None:
        """Layers called one by one, each on what the one before gave and on the same other values."""
        assert isinstance(code, Call)
        first, *others = code.args
        read = {part.text for other in others for part in walk(other) if isinstance(part, Name)}
        name = next(
            n
            for n in ("x", "out", *(f"x_{k}" for k in range(2, 100)))
            if n not in read and self.live.get(n, -1) <= at
        )
        if first != Name(name) and not (isinstance(first, Name) and self.same.get(first.text) == name):
            self.statements.append(Assign(name, first))
        each = self.free(at, "layer")
        again = Assign(name, Call(Name(each), (Name(name), *others)))
        self.statements.append(For(each, code.function, (again,)))
        if len(used) > 1:
            own = self.free(at, step.key.replace(".", "_"))
            self.statements.append(Assign(own, Name(name)))
            self.same[own] = name
            name = own
        self.live[name] = max(used, default=at)
        self.text[step.key] = Name(name)

    def code(self, step: Step) -> Expr:
        """What a step does, with its operands put in."""
        numbers = self.unit.numbers
        operands = {numbers[key]: self.text[key] for key in step.inputs}

        def put(expr: Expr) -> Expr:
            if isinstance(expr, Input):
                return operands[expr.index]
            if expr == SELF:
                return self.made(step)
            if isinstance(expr, Call) and expr.function == SELF:
                called = self.layer(step)
                keywords = tuple((name, put(value)) for name, value in expr.keywords)
                return Call(called, tuple(map(put, expr.args)), keywords)
            return rebuild(owned(expr, self.unit, self.owner), put)

        code = self.marked(put(step.call), "value", step)
        if step.key in self.unit.flags and step.make is None:
            return Conditional(self.flag(step), code, self.text[step.inputs[0]])
        return code

    def layer(self, step: Step) -> Expr:
        """What a step calls: its layer, or of a row those that it is about."""
        layer = self.held(step)
        if step.span is None:
            row = isinstance(step.make, Container) and step.make.loop
            return self.marked(layer, "each" if row else "calls", step)
        begin, end = step.span
        part: Expr = Literal(begin)
        if several(step):
            part = Slice(Literal(begin) if begin else None, None if end is None else Literal(end))
        if self.lists or not several(step):
            return Index(self.marked(layer, "each", replace(step, node=step.holder)), (part,))
        return self.marked(Index(layer, (part,)), "calls", step)

    def made(self, step: Step) -> Expr:
        """What a step holds, where it is read and not called; Keras calls a layer for it all the same."""
        code = self.held(step)
        if isinstance(code, Call) and isinstance(code.function, Call):
            return replace(code, function=self.marked(code.function, "calls", step))
        return code

    def marked(self, code: Expr, kind: str, step: Step) -> Expr:
        """The same code, of which the unit now knows that it is this step."""
        if isinstance(code, Name):
            code = replace(code)  # an object of its own
        self.unit.marks.append(Mark(code, kind, step))
        return code

    def folds(self, at: int, step: Step, code: Expr, heavy: bool, used: list[int]) -> bool:
        """Whether a value is written into the one line that reads it."""
        if len(used) != 1 or step.doc or used[0] == len(self.unit.steps):
            return False
        [reader] = used
        by = self.unit.steps[reader]
        turned = by.key.startswith(f"{step.key}~")  # the same value with its axes in another order
        if step.named and not turned and ((step.make is None and not step.holder) or not step.inputs):
            return False
        if by.doc or by.key in self.unit.flags or self.times(by, step.key) > 1:
            return False
        if isinstance(code, Prefix) and isinstance(by.call, Prefix):  # `--x` reads like another language's
            return False
        if heavy and not (by.light and len(by.inputs) == 1 and reader == at + 1):
            return False
        room = WIDTH - self.indent - len("x = ") - self.width(by)
        return len(expression(code)) <= room

    def times(self, step: Step, key: str) -> int:
        """How often a step's code speaks of one of its operands."""
        number = self.unit.numbers[key]
        return sum(isinstance(part, Input) and part.index == number for part in walk(step.call))

    def width(self, step: Step) -> int:
        """How much room the reader's own text takes around what is folded into it."""
        blank = {number: Name("_") for number in map(self.unit.numbers.__getitem__, step.inputs)}

        def put(expr: Expr) -> Expr:
            if isinstance(expr, Input):
                return blank[expr.index]
            return self.held(step) if expr == SELF else rebuild(owned(expr, self.unit, self.owner), put)

        return len(expression(put(step.call)))

    def extend(self, code: Expr, until: int) -> None:
        """What a folded expression reads must live until it is written."""
        for part in walk(code):
            if isinstance(part, Name) and part.text in self.live:
                self.live[part.text] = max(self.live[part.text], until)

    def variable(self, at: int, step: Step, used: list[int]) -> str:
        """The author's name for what is kept; along the main flow `x`, or `out` while `x` is still read."""
        own = step.key.partition("~")[0].partition("@")[0].replace(".", "_")
        if own[0].isdigit():
            own = f"_{own}"
        several = used and used[0] < len(self.unit.steps) and len(self.unit.steps[used[0]].inputs) > 1
        branch = self.unit.steps[at - 1].key not in step.inputs if at else len(self.unit.first.inputs) > 1
        given = used == [len(self.unit.steps)] and len(self.unit.first.outputs) > 1
        aside = len(used) > 1 or given or (step.named and several and branch)
        kept = not step.inputs or (step.named and (step.holder == "" or aside))
        return self.free(at, *((own,) if kept else ()), "x", "out", own)

    def free(self, at: int, *names: str) -> str:
        """The first of some names that nobody reads after this step; the last one numbered if need be."""
        numbered = (f"{names[-1]}_{k}" for k in count(2))
        return next(name for name in chain(names, numbered) if self.live.get(name, -1) <= at)

    def named(self, part: str, step: Step, at: int, readers: Mapping[str, list[int]]) -> str:
        """The variable of one of several values that a step gives; `_` if nobody reads it."""
        if part not in readers:
            return "_"
        own = output(part)
        if part in self.crowded:
            own = f"{part.partition('@')[0]}_{own}"
        own = own.replace(".", "_")
        if own[0].isdigit():
            own = f"_{own}"
        name = self.free(at, own)
        self.live[name] = max(readers[part])
        self.text[part] = Name(name)
        return name


def output(part: str) -> str:
    """The name of one of several values that a step gives."""
    return part.partition("@")[2] or part.partition("@")[0]


def several(step: Step) -> bool:
    """Whether a piece of a row has more than one layer."""
    return step.span is not None and step.node == step.holder


def owned(expr: Expr, unit: Unit, owner: str) -> Expr:
    """A name as it is read outside the constructor, where the unit's parameters are attributes of `owner`."""
    if owner and isinstance(expr, Name) and expr.text.partition(".")[0] in (*unit.params, *unit.derived):
        return Name(f"{owner}.{expr.text}")
    return expr


def read_by_calls(unit: Unit) -> list[str]:
    """The parameters that the flow of a unit reads, not only its constructor."""
    calls = [step.call for step in unit.steps]
    used = {part.text.partition(".")[0] for call in calls for part in walk(call) if isinstance(part, Name)}
    return [name for name in (*unit.params, *unit.derived) if name in used]
