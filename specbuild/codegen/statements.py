"""Writes steps as statements in the usual style: one layer call per line, with code without layers inside it.

Code that calls no layer is inlined: it is written inside the statement that reads its result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import chain, count

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import OWN_MEMBER, LayerRow
from specbuild.codegen.from_expression import negate
from specbuild.codegen.literals import LINE_WIDTH
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.parameter_reads import qualify_parameter
from specbuild.codegen.printer import print_expression
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    CodeMark,
    Comment,
    Conditional,
    Do,
    Expr,
    For,
    If,
    Index,
    Infix,
    Literal,
    Name,
    Prefix,
    SliceExpr,
    Statement,
    Unpack,
    ValuePlaceholder,
)
from specbuild.codegen.tree_walk import map_children, walk_expression
from specbuild.ir.axis_sources import AxisOfInput

INDENT = 8


class StatementWriter(Struct):
    """Writes the steps of one class as statements: the body of its `forward` or `call`."""

    class_spec: ClassSpec
    layer_of: Callable[[LoweredStep], Expr]  # code that reads the member of a step
    condition_of: Callable[[LoweredStep], Expr]  # code that reads the condition of a step
    owner: str = ""  # the object whose attributes are the constructor's parameters, such as `self`
    indent: int = INDENT
    shape_function: Name | None = None  # gives the shape of a value; None: the attribute `shape`
    checks_sizes: bool = (
        False  # whether the framework has the helpers `check_size`, `check_least` and `check_multiple`
    )
    compare_function: Name | None = None  # compares sizes of two inputs; None: `check_size` does
    replaces_inputs: bool = False  # whether steps read what the function that compares returns
    rows_are_lists: bool = False  # a row that is called piece by piece is a list, not a layer
    statements: list[Statement] = field(default_factory=list)
    value_code: dict[str, Expr] = field(default_factory=dict)  # value key -> code that reads it now
    layer_call_values: set[str] = field(default_factory=set)  # inlined values that contain a layer call
    # variable -> index of the last step that reads it
    live_until: dict[str, int] = field(default_factory=dict)
    taken_numbers: dict[str, int] = field(
        default_factory=dict
    )  # name -> its numbers below are in use to the end
    read_counts: dict[str, Counter[int]] = field(default_factory=dict)  # step key -> reads, by value number
    # values that are needed at the same time as another value of the same name
    name_clashes: set[str] = field(default_factory=set)

    def write_statements(self) -> list[Expr]:
        """Write the statements of all steps; returns the expressions of the outputs."""
        steps, end = self.class_spec.steps, len(self.class_spec.steps)
        outputs = [value.key for value in self.class_spec.first_instance.outputs.values()]
        needed = self.needed_steps(outputs)
        own_scope = () if self.owner else self.class_spec.used_variables
        self.live_until |= dict.fromkeys(
            (*self.called_functions(), *self.class_spec.used_globals, *own_scope), end
        )
        readers: dict[str, list[int]] = {}
        for index in needed:
            for key in steps[index].inputs:
                readers.setdefault(key, []).append(index)
        for key in outputs:
            readers.setdefault(key, []).append(end)
        self.name_clashes = self.find_name_clashes(readers)
        for word, value in self.class_spec.first_instance.inputs.items():
            name = self.class_spec.input_names.get(word, word)
            self.value_code[value.key] = Name(name)
            # a function that builds a Keras model reads its inputs again at its end
            self.live_until[name] = max(readers.get(value.key, [-1])) if self.owner else end
        self.write_list_items()
        self.write_size_checks()
        self.write_sizes(readers)
        for index in needed:
            is_last = outputs == [steps[index].key] and index == needed[-1]
            self.write_step(index, steps[index], readers, is_last)
        return [self.value_code[key] for key in outputs]

    def write_list_items(self) -> None:
        """Write the statements that take lists among the inputs apart; a list of another length is an error."""
        for argument, items in self.class_spec.arguments.items():
            if items is not None:
                self.statements.append(Unpack(items, Name(argument)))

    def write_size_checks(self) -> None:
        """Write a call for each size that is fixed: a framework may repeat a value, or mix samples, at another."""
        inputs = self.class_spec.first_instance.inputs
        for check, size in self.class_spec.size_checks.items() if self.checks_sizes else ():
            value = self.value_code[inputs[check.source].key]
            dim = Literal(inputs[check.source].layout.dim(check.axis))
            size, label = self.qualify(size), Literal(f"{check.axis} of {check.source}")
            if check.is_least and self.replaces_inputs and (check.source, check.axis) in self.free_axes:
                call = Call(Name("match_least"), (value, dim, size, label))
                self.write_comparison(inputs[check.source].key, call)
                continue
            if check.same_as is not None:
                other, axis = check.same_as
                other_dim = Literal(inputs[other].layout.dim(axis))
                like = self.value_code[inputs[other].key]
                if self.compare_function is not None:
                    call = Call(self.compare_function, (value, dim, like, other_dim, label))
                    self.write_comparison(inputs[check.source].key, call)
                    continue
                size = Index(Attribute(like, "shape"), (other_dim,))
            self.statements.append(Do(Call(Name(check.helper), (value, dim, size, label))))

    @property
    def free_axes(self) -> Collection[AxisOfInput]:
        """The axes of inputs that can have any size."""
        return self.class_spec.block.free_axes

    def write_comparison(self, key: str, code: Expr) -> None:
        """Write a call that compares the size of an input with another one; its result may stand for the input."""
        if not self.replaces_inputs:
            self.statements.append(Do(code))
            return
        name = f"checked_{key}"
        if self.value_code[key] != Name(name):
            name = self.free_name(-1, name)
            self.live_until[name] = len(self.class_spec.steps)
        self.statements.append(Assign(name, code))
        self.value_code[key] = Name(name)

    def qualify(self, expr: Expr) -> Expr:
        """Return code of the constructor as it is read here."""
        return map_children(qualify_parameter(expr, self.class_spec, self.owner), self.qualify)

    def write_sizes(self, readers: Mapping[str, list[int]]) -> None:
        """Write the statements that read sizes from the inputs, such as `height, width = x.shape[2:]`.

        A size that is read only once, where its input is read too or later, stays inside that code.
        """
        sizes = self.class_spec.sizes
        inputs = self.class_spec.first_instance.inputs
        assigned: dict[str, dict[int, str]] = {}  # input -> dimension -> key of the size
        for key, size in sizes.items():
            used = readers.get(key, [])
            self.value_code[key] = Index(self.read_shape(size.source), (Literal(size.dim),))
            is_read_once = len(used) == 1 and self.count_reads(self.class_spec.steps[used[0]], key) == 1
            if used and not (is_read_once and used[0] <= max(readers.get(size.source, [-1]))):
                assigned.setdefault(size.source, {})[size.dim] = key
        for source, keys in assigned.items():
            for key in keys.values():
                name = self.free_name(-1, sizes[key].variable)
                self.live_until[name] = max(readers[key])
                self.value_code[key] = Name(name)
            first, last = min(keys), max(keys)
            if first == last:
                shape = Index(self.read_shape(source), (Literal(first),))
                self.statements.append(Assign(self.value_name(keys[first]), shape))
                continue
            end = None if last == inputs[source].layout.rank - 1 else Literal(last + 1)
            names = tuple(self.value_name(keys[d]) if d in keys else "_" for d in range(first, last + 1))
            part = SliceExpr(Literal(first), end)
            self.statements.append(Unpack(names, Index(self.read_shape(source), (part,))))

    def read_shape(self, source: str) -> Expr:
        """Return the shape of an input of the block."""
        name = self.value_code[source]
        return Attribute(name, "shape") if self.shape_function is None else Call(self.shape_function, (name,))

    def value_name(self, key: str) -> str:
        """Return the variable that holds a value."""
        code = self.value_code[key]
        assert isinstance(code, Name)
        return code.text

    def find_name_clashes(self, readers: Mapping[str, list[int]]) -> set[str]:
        """Return values that are needed together with one of the same name, of steps with several results."""
        clashes: set[str] = set()
        latest: dict[str, tuple[int, str]] = {}
        for index, step in enumerate(self.class_spec.steps):
            for part in step.parts:
                if part in readers:
                    end, name = max(readers[part]), part_name(part)
                    until, other = latest.get(name, (-1, part))
                    clashes |= {part, other} if until > index else set()
                    latest[name] = max((until, other), (end, part))
        return clashes

    def called_functions(self) -> set[str]:
        """Return the plain functions that the steps call; no variable may have their names."""
        code = (part for step in self.class_spec.steps for part in walk_expression(step.call))
        functions = (part.function for part in code if isinstance(part, Call))
        return {f.text for f in functions if isinstance(f, Name) and "." not in f.text}

    def needed_steps(self, outputs: list[str]) -> list[int]:
        """Return the indices of the steps that need a statement.

        Others only hold a layer that later steps call.
        """
        needed, result = set(outputs), []
        for index, step in reversed(list(enumerate(self.class_spec.steps))):
            if step.key in needed or needed.intersection(step.parts):
                needed.update(step.inputs)
                result.append(index)
        return result[::-1]

    def write_step(
        self, index: int, step: LoweredStep, readers: Mapping[str, list[int]], is_last: bool
    ) -> None:
        """Write a step as a statement, or remember its code for the step that it is inlined into."""
        code = self.join_alternatives(index, self.step_code(step), readers)
        calls_layer = not step.can_inline or any(key in self.layer_call_values for key in step.inputs)
        used = readers.get(step.key, [])
        if step.doc:
            self.statements.append(Comment(step.doc))
        if (isinstance(step.member, LayerRow) and step.member.is_loop) or (
            self.rows_are_lists and has_several_layers(step)
        ):
            self.write_loop(index, step, code, used)
        elif step.parts:
            names = tuple(self.part_variable(part, step, index, readers) for part in step.parts)
            self.statements.append(Unpack(names, code))
        elif (
            isinstance(code, Conditional)
            and self.free_name(index, "x") == "x"
            and code.otherwise == Name("x")
        ):
            self.live_until["x"] = max(used, default=index)
            self.value_code[step.key] = Name("x")
            self.statements.append(If(code.test, (Assign("x", code.then),)))
        elif isinstance(code, Name):
            self.value_code[step.key] = code
            self.extend_lifetime(code, max(used, default=index))
        elif is_last or self.can_inline_code(index, step, code, calls_layer, used):
            self.value_code[step.key] = code
            if calls_layer:
                self.layer_call_values.add(step.key)
            self.extend_lifetime(code, max(used, default=index))
        else:
            name = self.choose_variable(index, step, used)
            self.live_until[name] = max(used, default=index)
            self.value_code[step.key] = Name(name)
            self.statements.append(Assign(name, code))

    def join_alternatives(self, index: int, code: Expr, readers: Mapping[str, list[int]]) -> Expr:
        """Return `f(x) if test else g(x)` for `f(x) if test else x`, which is written last, and then g without the test."""
        if not (isinstance(code, Conditional) and isinstance(code.otherwise, Name) and self.statements):
            return code
        match self.statements[-1]:
            case Assign(target, Conditional(test, then, otherwise)):
                pass
            case If(test, (Assign(target, then),), ()):
                otherwise = Name(target)
            case _:
                return code
        is_only_reader = readers.get(self.class_spec.steps[index - 1].key) == [index]
        if code.otherwise.text != target or code.test != negate(test) or not is_only_reader:
            return code

        def read_before(expr: Expr) -> Expr:
            return otherwise if expr == Name(target) else map_children(expr, read_before)

        self.statements.pop()
        return replace(code, test=test, then=then, otherwise=read_before(code.then))

    def write_loop(self, index: int, step: LoweredStep, code: Expr, used: list[int]) -> None:
        """Write a loop over layers: each is called on the previous output and the same further inputs."""
        assert isinstance(code, Call)
        first, *others = code.args
        read_names = {
            part.text for other in others for part in walk_expression(other) if isinstance(part, Name)
        }
        variable = next(
            n
            for n in ("x", "out", *(f"x_{k}" for k in range(2, 100)))
            if n not in read_names and self.live_until.get(n, -1) <= index
        )
        if first != Name(variable):
            self.statements.append(Assign(variable, first))
        layer = self.free_name(index, "layer")
        body = Assign(variable, Call(Name(layer), (Name(variable), *others)))
        self.statements.append(For(layer, code.function, (body,)))
        self.live_until[variable] = max(used, default=index)
        self.value_code[step.key] = Name(variable)

    def step_code(self, step: LoweredStep) -> Expr:
        """Return the code of a step with its operands filled in."""
        numbers = self.class_spec.value_numbers
        operands = {numbers[key]: self.value_code[key] for key in step.inputs}

        def fill_inputs(expr: Expr) -> Expr:
            if isinstance(expr, ValuePlaceholder):
                return operands[expr.index]
            if expr == OWN_MEMBER:
                return self.member_code(step)
            if isinstance(expr, Call) and expr.function == OWN_MEMBER:
                called = self.layer_code(step)
                keywords = tuple((name, fill_inputs(value)) for name, value in expr.keywords)
                return Call(called, tuple(map(fill_inputs, expr.args)), keywords)
            return map_children(qualify_parameter(expr, self.class_spec, self.owner), fill_inputs)

        code = mark_code(fill_inputs(step.call), "value", step.parts or (step.key,))
        if step.key in self.class_spec.flags and not step.can_be_identity:
            return Conditional(self.condition_of(step), code, self.value_code[step.skip_key])
        if step.key in self.class_spec.presence:
            name, is_given = self.class_spec.presence[step.key]
            test = Infix("is not" if is_given else "is", self.value_code[name], Literal(None))
            return Conditional(test, code, self.value_code[step.skip_key])
        return code

    def layer_code(self, step: LoweredStep) -> Expr:
        """Return the layer that a step calls, or its piece of a row."""
        layer = self.layer_of(step)
        if step.span is None:
            is_row = isinstance(step.member, LayerRow) and step.member.is_loop
            return mark_code(layer, "each" if is_row else "calls", (step.node,))
        start, end = step.span
        part: Expr = Literal(start)
        if has_several_layers(step):
            part = SliceExpr(Literal(start) if start else None, None if end is None else Literal(end))
        if self.rows_are_lists or not has_several_layers(step):
            return Index(mark_code(layer, "each", (step.layer_name,)), (part,))
        return mark_code(Index(layer, (part,)), "calls", (step.node,))

    def member_code(self, step: LoweredStep) -> Expr:
        """Return the member of a step that is read or given to a function; in Keras this may be a layer or its call."""
        code = self.layer_of(step)
        if isinstance(code, Call) and isinstance(code.function, Call):
            return replace(code, function=mark_code(code.function, "calls", (step.node,)))
        return mark_code(code, "calls", (step.node,)) if isinstance(code, Call) else code

    def can_inline_code(
        self, index: int, step: LoweredStep, code: Expr, calls_layer: bool, used: list[int]
    ) -> bool:
        """Return whether a value is written inside the one statement that reads it."""
        if len(used) != 1 or step.doc or used[0] == len(self.class_spec.steps):
            return False
        [reader] = used
        reader_step = self.class_spec.steps[reader]
        is_converted = reader_step.key.startswith(f"{step.key}~")  # its only reader converts its layout
        if (
            step.named
            and not is_converted
            and ((step.member is None and not step.layer_name) or not step.inputs)
        ):
            return False
        if (
            reader_step.doc
            or reader_step.key in self.class_spec.flags
            or reader_step.key in self.class_spec.presence
            or self.count_reads(reader_step, step.key) > 1
        ):
            return False
        if isinstance(code, Prefix) and isinstance(reader_step.call, Prefix):  # `--x` looks like a decrement
            return False
        if calls_layer and not (reader == index + 1 and self.can_hold_layer_call(reader_step, step)):
            return False
        room = LINE_WIDTH - self.indent - len("x = ") - self.reader_width(reader_step)
        return len(print_expression(code)) <= room

    def can_hold_layer_call(self, reader: LoweredStep, step: LoweredStep) -> bool:
        """Return whether a value that a layer gives may be written inside a step: alone, or beside variables, as in `x + f(x)`.

        Beside variables, a second call of a layer keeps the name that the author gave to its result, and a function that
        builds a Keras model keeps a line for each layer.
        """
        if not reader.can_inline:
            return False
        others = [self.value_code[key] for key in reader.inputs if key != step.key]
        if not others:
            return True
        has_own_name = step.named and step.member is None
        is_infix = isinstance(reader.call, Infix) and all(isinstance(code, Name) for code in others)
        return is_infix and not has_own_name and bool(self.owner)

    def count_reads(self, step: LoweredStep, key: str) -> int:
        """Return how often a step's code reads a value."""
        counts = self.read_counts.get(step.key)
        if counts is None:
            parts = walk_expression(step.call)
            counts = Counter(part.index for part in parts if isinstance(part, ValuePlaceholder))
            self.read_counts[step.key] = counts
        return counts[self.class_spec.value_numbers[key]]

    def reader_width(self, step: LoweredStep) -> int:
        """Return the width of a step's own code, without the value that is inlined into it."""
        blank = {number: Name("_") for number in map(self.class_spec.value_numbers.__getitem__, step.inputs)}

        def fill_blanks(expr: Expr) -> Expr:
            if isinstance(expr, ValuePlaceholder):
                return blank[expr.index]
            if expr == OWN_MEMBER:
                return self.layer_of(step)
            return map_children(qualify_parameter(expr, self.class_spec, self.owner), fill_blanks)

        return len(print_expression(fill_blanks(step.call)))

    def extend_lifetime(self, code: Expr, until: int) -> None:
        """Keep the variables of an inlined expression alive until the step that reads it."""
        for part in walk_expression(code):
            if isinstance(part, Name) and part.text in self.live_until:
                self.live_until[part.text] = max(self.live_until[part.text], until)

    def choose_variable(self, index: int, step: LoweredStep, used: list[int]) -> str:
        """Return `x` on the main path, or `out` while `x` is in use; the step's own name for other values."""
        own = step.key.partition("~")[0].partition("@")[0].replace(".", "_")
        if own[0].isdigit():
            own = f"_{own}"
        steps, first = self.class_spec.steps, self.class_spec.first_instance
        joins_others = bool(used) and used[0] < len(steps) and len(steps[used[0]].inputs) > 1
        is_branch = steps[index - 1].key not in step.inputs if index else len(first.inputs) > 1
        is_output = used == [len(steps)] and len(first.outputs) > 1
        is_off_main_path = len(used) > 1 or is_output or (step.named and joins_others and is_branch)
        prefers_own_name = not step.inputs or (step.named and (step.layer_name == "" or is_off_main_path))
        return self.free_name(index, *((own,) if prefers_own_name else ()), "x", "out", own)

    def free_name(self, index: int, *names: str) -> str:
        """Return the first of these names that is not read after this step, or else the last one with a number."""
        last, end = names[-1], len(self.class_spec.steps)
        number = self.taken_numbers.get(last, 2)
        while self.live_until.get(f"{last}_{number}", -1) >= end:  # it is never free again
            number += 1
        self.taken_numbers[last] = number
        numbered = (f"{last}_{k}" for k in count(number))
        return next(name for name in chain(names, numbered) if self.live_until.get(name, -1) <= index)

    def part_variable(
        self, part: str, step: LoweredStep, index: int, readers: Mapping[str, list[int]]
    ) -> str:
        """Return the variable for one of several results of a step; `_` if nothing reads it."""
        if part not in readers:
            return "_"
        own = part_name(part)
        if part in self.name_clashes:
            own = f"{part.partition('@')[0]}_{own}"
        own = own.replace(".", "_")
        if own[0].isdigit():
            own = f"_{own}"
        name = self.free_name(index, own)
        self.live_until[name] = max(readers[part])
        self.value_code[part] = Name(name)
        return name


def mark_code(code: Expr, kind: str, keys: tuple[str, ...]) -> Expr:
    """Return the code with a mark of the step that it belongs to, by the step's keys."""
    return replace(code, mark=CodeMark(kind, keys, code.mark))


def part_name(part: str) -> str:
    """Return the name of one of several results of a step."""
    return part.partition("@")[2] or part.partition("@")[0]


def has_several_layers(step: LoweredStep) -> bool:
    """Return whether a step calls a piece of a row with more than one layer."""
    return step.span is not None and step.node == step.layer_name
