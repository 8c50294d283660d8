"""Steps to statements, as a person would write them: one weighty call a line, light ones folded in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, count

from specbuild.codegen.class_spec import ClassSpec, CodeMark
from specbuild.codegen.constructions import SELF, Container
from specbuild.codegen.lowering import LoweredStep
from specbuild.codegen.printer import print_expression
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
    map_children,
    walk_expression,
)

LINE_WIDTH = 88
INDENT = 8


@dataclass
class StatementWriter:
    """Writes the statements of one unit. `held` says how a step's layer is spoken of.

    `owner` is the name before the unit's parameters, where they are attributes: `self`.
    """

    class_spec: ClassSpec
    layer_of: Callable[[LoweredStep], Expr]
    condition_of: Callable[[LoweredStep], Expr]
    owner: str = ""
    indent: int = INDENT
    rows_are_lists: bool = (
        False  # whether a row that is called piece by piece is a list, which is no layer itself
    )
    statements: list[Statement] = field(default_factory=list)
    value_code: dict[str, Expr] = field(default_factory=dict)  # value -> how it is read now
    heavy_values: set[str] = field(default_factory=set)  # values folded with a weighty call inside
    live_until: dict[str, int] = field(default_factory=dict)  # variable -> last step that reads it
    # values alive beside one of another step with the same name
    name_clashes: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)  # variable -> the one that it was set to

    def write_statements(self) -> list[Expr]:
        """The statements of all steps; the expressions of the outputs come back."""
        steps, end = self.class_spec.steps, len(self.class_spec.steps)
        outputs = [value.key for value in self.class_spec.first_instance.outputs.values()]
        done = self.needed_steps(outputs)
        self.live_until |= dict.fromkeys(self.called_functions(), end)
        readers: dict[str, list[int]] = {}
        for at in done:
            for key in steps[at].inputs:
                readers.setdefault(key, []).append(at)
        for key in outputs:
            readers.setdefault(key, []).append(end)
        self.name_clashes = self.find_name_clashes(readers)
        for name, value in self.class_spec.first_instance.inputs.items():
            self.value_code[value.key] = Name(name)
            # a function that joins a model speaks of its inputs again at its end
            self.live_until[name] = max(readers.get(value.key, [-1])) if self.owner else end
        for at in done:
            alone = outputs == [steps[at].key] and at == done[-1]
            self.write_step(at, steps[at], readers, alone)
        return [self.value_code[key] for key in outputs]

    def find_name_clashes(self, readers: Mapping[str, list[int]]) -> set[str]:
        """Of the values of steps that give several, those that are read while another of the same name is."""
        clashes: set[str] = set()
        latest: dict[str, tuple[int, str]] = {}
        for at, step in enumerate(self.class_spec.steps):
            for part in step.parts:
                if part in readers:
                    end, name = max(readers[part]), part_name(part)
                    until, other = latest.get(name, (-1, part))
                    clashes |= {part, other} if until > at else set()
                    latest[name] = max((until, other), (end, part))
        return clashes

    def called_functions(self) -> set[str]:
        """The functions of the file that the steps call, so that no variable may have their names."""
        functions = (
            p.function
            for step in self.class_spec.steps
            for p in walk_expression(step.call)
            if isinstance(p, Call)
        )
        return {f.text for f in functions if isinstance(f, Name) and "." not in f.text}

    def needed_steps(self, outputs: list[str]) -> list[int]:
        """The steps whose values somebody reads; what holds weights only for others to use again is not done."""
        wanted, found = set(outputs), []
        for at, step in reversed(list(enumerate(self.class_spec.steps))):
            if step.key in wanted or wanted.intersection(step.parts):
                wanted.update(step.inputs)
                found.append(at)
        return found[::-1]

    def write_step(self, at: int, step: LoweredStep, readers: Mapping[str, list[int]], alone: bool) -> None:
        code = self.step_code(step)
        heavy = not step.is_light or any(key in self.heavy_values for key in step.inputs)
        used = readers.get(step.key, [])
        if step.doc:
            self.statements.append(Comment(step.doc))
        if (isinstance(step.member, Container) and step.member.is_loop) or (
            self.rows_are_lists and has_several_layers(step)
        ):
            self.write_loop(at, step, code, used)
        elif step.parts:
            names = tuple(self.part_variable(part, step, at, readers) for part in step.parts)
            self.statements.append(Unpack(names, code))
        elif isinstance(code, Conditional) and self.free_name(at, "x") == "x" and code.otherwise == Name("x"):
            self.live_until["x"] = max(used, default=at)
            self.value_code[step.key] = Name("x")
            self.statements.append(If(code.test, (Assign("x", code.then),)))
        elif isinstance(code, Name) and not (step.named and not step.layer_name):
            self.value_code[step.key] = code
            self.extend_lifetime(code, max(used, default=at))
        elif alone or self.can_fold(at, step, code, heavy, used):
            self.value_code[step.key] = code
            if heavy:
                self.heavy_values.add(step.key)
            self.extend_lifetime(code, max(used, default=at))
        else:
            name = self.choose_variable(at, step, used)
            self.live_until[name] = max(used, default=at)
            same = isinstance(code, Name) and code.text == name
            self.value_code[step.key] = code if same else Name(name)
            if not same:
                self.statements.append(Assign(name, code))

    def write_loop(self, at: int, step: LoweredStep, code: Expr, used: list[int]) -> None:
        """Layers called one by one, each on what the one before gave and on the same other values."""
        assert isinstance(code, Call)
        first, *others = code.args
        read = {part.text for other in others for part in walk_expression(other) if isinstance(part, Name)}
        name = next(
            n
            for n in ("x", "out", *(f"x_{k}" for k in range(2, 100)))
            if n not in read and self.live_until.get(n, -1) <= at
        )
        if first != Name(name) and not (isinstance(first, Name) and self.aliases.get(first.text) == name):
            self.statements.append(Assign(name, first))
        each = self.free_name(at, "layer")
        again = Assign(name, Call(Name(each), (Name(name), *others)))
        self.statements.append(For(each, code.function, (again,)))
        if len(used) > 1:
            own = self.free_name(at, step.key.replace(".", "_"))
            self.statements.append(Assign(own, Name(name)))
            self.aliases[own] = name
            name = own
        self.live_until[name] = max(used, default=at)
        self.value_code[step.key] = Name(name)

    def step_code(self, step: LoweredStep) -> Expr:
        """What a step does, with its operands put in."""
        numbers = self.class_spec.value_numbers
        operands = {numbers[key]: self.value_code[key] for key in step.inputs}

        def fill_inputs(expr: Expr) -> Expr:
            if isinstance(expr, Input):
                return operands[expr.index]
            if expr == SELF:
                return self.member_code(step)
            if isinstance(expr, Call) and expr.function == SELF:
                called = self.layer_code(step)
                keywords = tuple((name, fill_inputs(value)) for name, value in expr.keywords)
                return Call(called, tuple(map(fill_inputs, expr.args)), keywords)
            return map_children(qualify_parameter(expr, self.class_spec, self.owner), fill_inputs)

        code = self.mark_code(fill_inputs(step.call), "value", step)
        if step.key in self.class_spec.flags and step.member is None:
            return Conditional(self.condition_of(step), code, self.value_code[step.inputs[0]])
        return code

    def layer_code(self, step: LoweredStep) -> Expr:
        """What a step calls: its layer, or of a row those that it is about."""
        layer = self.layer_of(step)
        if step.span is None:
            row = isinstance(step.member, Container) and step.member.is_loop
            return self.mark_code(layer, "each" if row else "calls", step)
        begin, end = step.span
        part: Expr = Literal(begin)
        if has_several_layers(step):
            part = Slice(Literal(begin) if begin else None, None if end is None else Literal(end))
        if self.rows_are_lists or not has_several_layers(step):
            return Index(self.mark_code(layer, "each", replace(step, node=step.layer_name)), (part,))
        return self.mark_code(Index(layer, (part,)), "calls", step)

    def member_code(self, step: LoweredStep) -> Expr:
        """What a step holds, where it is read and not called; Keras calls a layer for it all the same."""
        code = self.layer_of(step)
        if isinstance(code, Call) and isinstance(code.function, Call):
            return replace(code, function=self.mark_code(code.function, "calls", step))
        return code

    def mark_code(self, code: Expr, kind: str, step: LoweredStep) -> Expr:
        """The same code, of which the unit now knows that it is this step."""
        if isinstance(code, Name):
            code = replace(code)  # an object of its own
        self.class_spec.marks.append(CodeMark(code, kind, step))
        return code

    def can_fold(self, at: int, step: LoweredStep, code: Expr, heavy: bool, used: list[int]) -> bool:
        """Whether a value is written into the one line that reads it."""
        if len(used) != 1 or step.doc or used[0] == len(self.class_spec.steps):
            return False
        [reader] = used
        by = self.class_spec.steps[reader]
        turned = by.key.startswith(f"{step.key}~")  # the same value with its axes in another order
        if step.named and not turned and ((step.member is None and not step.layer_name) or not step.inputs):
            return False
        if by.doc or by.key in self.class_spec.flags or self.count_reads(by, step.key) > 1:
            return False
        if isinstance(code, Prefix) and isinstance(by.call, Prefix):  # `--x` reads like another language's
            return False
        if heavy and not (by.is_light and len(by.inputs) == 1 and reader == at + 1):
            return False
        room = LINE_WIDTH - self.indent - len("x = ") - self.reader_width(by)
        return len(print_expression(code)) <= room

    def count_reads(self, step: LoweredStep, key: str) -> int:
        """How often a step's code speaks of one of its operands."""
        number = self.class_spec.value_numbers[key]
        return sum(isinstance(part, Input) and part.index == number for part in walk_expression(step.call))

    def reader_width(self, step: LoweredStep) -> int:
        """How much room the reader's own text takes around what is folded into it."""
        blank = {number: Name("_") for number in map(self.class_spec.value_numbers.__getitem__, step.inputs)}

        def fill_blanks(expr: Expr) -> Expr:
            if isinstance(expr, Input):
                return blank[expr.index]
            return (
                self.layer_of(step)
                if expr == SELF
                else map_children(qualify_parameter(expr, self.class_spec, self.owner), fill_blanks)
            )

        return len(print_expression(fill_blanks(step.call)))

    def extend_lifetime(self, code: Expr, until: int) -> None:
        """What a folded expression reads must live until it is written."""
        for part in walk_expression(code):
            if isinstance(part, Name) and part.text in self.live_until:
                self.live_until[part.text] = max(self.live_until[part.text], until)

    def choose_variable(self, at: int, step: LoweredStep, used: list[int]) -> str:
        """The author's name for what is kept; along the main flow `x`, or `out` while `x` is still read."""
        own = step.key.partition("~")[0].partition("@")[0].replace(".", "_")
        if own[0].isdigit():
            own = f"_{own}"
        several = (
            used and used[0] < len(self.class_spec.steps) and len(self.class_spec.steps[used[0]].inputs) > 1
        )
        branch = (
            self.class_spec.steps[at - 1].key not in step.inputs
            if at
            else len(self.class_spec.first_instance.inputs) > 1
        )
        is_output = used == [len(self.class_spec.steps)] and len(self.class_spec.first_instance.outputs) > 1
        aside = len(used) > 1 or is_output or (step.named and several and branch)
        own_name_first = not step.inputs or (step.named and (step.layer_name == "" or aside))
        return self.free_name(at, *((own,) if own_name_first else ()), "x", "out", own)

    def free_name(self, at: int, *names: str) -> str:
        """The first of some names that nobody reads after this step; the last one numbered if need be."""
        numbered = (f"{names[-1]}_{k}" for k in count(2))
        return next(name for name in chain(names, numbered) if self.live_until.get(name, -1) <= at)

    def part_variable(self, part: str, step: LoweredStep, at: int, readers: Mapping[str, list[int]]) -> str:
        """The variable of one of several values that a step gives; `_` if nobody reads it."""
        if part not in readers:
            return "_"
        own = part_name(part)
        if part in self.name_clashes:
            own = f"{part.partition('@')[0]}_{own}"
        own = own.replace(".", "_")
        if own[0].isdigit():
            own = f"_{own}"
        name = self.free_name(at, own)
        self.live_until[name] = max(readers[part])
        self.value_code[part] = Name(name)
        return name


def part_name(part: str) -> str:
    """The name of one of several values that a step gives."""
    return part.partition("@")[2] or part.partition("@")[0]


def has_several_layers(step: LoweredStep) -> bool:
    """Whether a piece of a row has more than one layer."""
    return step.span is not None and step.node == step.layer_name


def qualify_parameter(expr: Expr, unit: ClassSpec, owner: str) -> Expr:
    """A name as it is read outside the constructor, where the unit's parameters are attributes of `owner`."""
    if owner and isinstance(expr, Name) and expr.text.partition(".")[0] in (*unit.params, *unit.derived):
        return Name(f"{owner}.{expr.text}")
    return expr


def call_parameters(unit: ClassSpec) -> list[str]:
    """The parameters that the flow of a unit reads, not only its constructor."""
    calls = [step.call for step in unit.steps]
    used = {
        part.text.partition(".")[0]
        for call in calls
        for part in walk_expression(call)
        if isinstance(part, Name)
    }
    return [name for name in (*unit.params, *unit.derived) if name in used]
