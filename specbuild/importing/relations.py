"""Numbers to expressions: what holds for the numbers of every instance of a block, with the author's own names.

An argument of the constructor goes before arithmetic on sizes, and an expression without constants before one with.
The report lists the expressions that a single sample supports.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from typing import Any

from specbuild.expressions.common_expressions import CommonExpressions
from specbuild.frontend.names import COMMON_NAMES, find_name_problem
from specbuild.importing.axis_names import number_name
from specbuild.importing.formulas import Formula
from specbuild.importing.instance_rows import Mismatch
from specbuild.importing.named_values import Instance

# Attributes whose values are sizes, and may be computed from others; other numbers are only looked up.
SIZES = re.compile(
    r"channels|features|groups|planes|dim|width|hidden|chs|squeeze|mid|into|axes|stop|start|units|size$|out|inp"
)
WINDOWS = ("kernel", "stride", "padding", "dilation", "output_padding", "size", "scale")
FACTORS = (2, 3, 4, 6, 8)
AREAS = (9, 16, 25, 49)  # of kernels: a kernel as a matrix has so many times the channels
DIVISORS = (2, 3, 4, 8, 16)
FEW = (2, 3, 4)  # those that one sample is enough for
MAX_PAIRS = 4_000  # of conditions that are tried together
NUMBER = (int, float)
# Arguments that are no sizes, however large.
COUNTS = re.compile(
    r"kernel|stride|padd|dilat|head|rate|ratio|depth|layers|blocks|num_|scale|eps|prob|drop|repeat"
)
# Arguments that are no factors of a number of channels: three heads have nothing to do with a width of three times C.
NO_FACTORS = re.compile(
    r"kernel|stride|window|shift|padd|dilat|head|^h$|depth|layers|blocks|num_|radix|group|cardinality"
)
# Attributes of ops that may be a multiple or a part of the channels, though there is only one sample.
ARITHMETIC = ("channels", "features", "units", "groups", "into", "axes")
MIN_SIZE = 8
KERNEL_SIZE = re.compile("kernel")
KERNEL = {"O", "I"}  # the axes that all kernels have
HIDDEN_RATIO = re.compile("mlp|expan|ffn|hidden")  # factors of the hidden channels
KEY_HEADS = re.compile("kv|key_value")
HEADS = re.compile("head|^h$")
# A window and its stride that are as large as a patch are the patch.
WINDOW, PLACES_IN_WINDOW = re.compile("window"), ("T", "S", "R")
PLACES = ("D", "H", "W", "T", "S", "R", "P", "rows", "columns")  # axes whose size is no number of channels
PATCH, PATCH_KEYS = "patch_size", ("kernel", "stride")
RATE_NAME = re.compile(r"drop|prob|^rate$|dpr")  # chances, which decide on no weights
DIGITS = 6  # of rates, which are rounded
SEVERAL = 3  # sizes that are the same part of the channels, which is no accident
MANY, USUAL = 4, 0.75  # instances, and the part of them whose number is the default
ROOTS = (0.5, -0.5)  # the powers of a width that attention and embeddings are scaled by
MULTIPLE = 8  # of which MobileNet's numbers of channels are


def is_number(value: Any) -> bool:
    return isinstance(value, NUMBER) and not isinstance(value, bool)


def is_size(attribute: str, values: Sequence[Any]) -> bool:
    """Return whether an attribute with these values is a size such as a number of channels."""
    if SIZES.search(attribute) and not attribute.startswith(("kernel", "stride", "padding", "dilation")):
        return True
    return not COUNTS.search(attribute) and all(isinstance(v, int) and v >= MIN_SIZE for v in values)


class Relations:
    """The arguments and sizes of the instances of one block, and the search for expressions over them.

    `params` are the parameters that the block needs for the expressions that were found, each with its value in
    every instance.
    """

    def __init__(self, instances: Sequence[Instance]):
        self.instances = instances
        self.params: dict[str, list[Any]] = {}
        self.added: set[str] = set()  # parameters that the author did not have
        self.fillers: dict[str, Any] = {}  # of parameters that only some instances need
        self.single_samples: list[tuple[str, str]] = []  # attribute and expression
        self.inputs = {entry.name for entry in instances[0].inputs}
        first = instances[0].inputs[0].name if instances[0].inputs else ""
        self.channels = f"{first}.C" if first and all("C" in x.inputs[0].axes for x in instances) else ""
        self.arguments = self.read_columns("constructor")
        self.flags = {n: c for n, c in self.read_columns("settings").items() if n not in self.arguments}
        scopes = []
        for k, instance in enumerate(instances):
            scope: dict[str, Any] = {n: c[k] for n, c in {**self.flags, **self.arguments}.items()}
            scopes.append(scope | {entry.name: entry.axes for entry in instance.inputs})
        self.expressions = CommonExpressions(scopes)

    def read_columns(self, source: str) -> dict[str, list[Any]]:
        """Return the values of the numbers among the arguments or attributes of the modules, by name.

        Those that always equal the channels of the input are left out.
        """
        columns = {}
        channels = [x.inputs[0].axes["C"] for x in self.instances] if self.channels else []
        for name in getattr(self.instances[0].call, source):
            column = [getattr(instance.call, source).get(name) for instance in self.instances]
            column = [self.read_number(v) for v in column]
            usable = all(isinstance(v, NUMBER) for v in column) and name not in self.inputs
            usable = usable and column != channels
            if usable and find_name_problem(name) is None and name not in COMMON_NAMES.builtins:
                columns[name] = column
        return columns

    def read_number(self, value: Any) -> Any:
        """Return an argument as a number, if it is one, or a list of equal ones such as the sides of a window."""
        is_row = isinstance(value, list | tuple) and len(value) > 0
        if is_row and all(isinstance(v, int) and v == value[0] for v in value):
            value = value[0]
        return round(value, DIGITS) if isinstance(value, float) else value

    # ----------------------------------------------------------------------------------------- numbers

    def express(self, attribute: str, values: Sequence[Any], members: Sequence[int], hint: str = "") -> Any:
        """Return the code for these values of an attribute, one for each instance of `members`.

        A literal, an expression, or lists and mappings of them. Raises Mismatch for texts that differ.
        """
        first, hint = values[0], hint or attribute
        if isinstance(first, dict):
            if attribute == "axes" and first.keys() >= KERNEL:
                return self.express_kernel(values, members)
            return {
                key: (self.find_place(key, [v[key] for v in values], members) if attribute == "axes" else "")
                or self.express(
                    "places" if attribute == "axes" and key in PLACES else attribute,
                    [v[key] for v in values],
                    members,
                    self.name_size(attribute, key),
                )
                for key in first
            }
        if isinstance(first, Formula):
            return self.express_formula(values, members)
        is_same = all(v == first and type(v) is type(first) for v in values)
        if isinstance(first, list):
            if is_same:
                return first
            if any(not isinstance(v, list) or len(v) != len(first) for v in values):
                raise Mismatch
            columns = zip(*values, strict=True)
            return [self.express(attribute, c, members, f"{hint}{i}") for i, c in enumerate(columns)]
        if all(map(is_number, values)):
            return self.express_numbers(attribute, list(values), members, hint)
        if is_same:
            return first
        if all(isinstance(v, bool) for v in values):
            return self.find_condition(list(values), members) or self.add_param(values, members, hint)
        raise Mismatch

    def express_kernel(self, values: Sequence[Any], members: Sequence[int]) -> dict[str, Any]:
        """Return the axes of a kernel that the model computes: channels, and the sides of a window, which are no sizes of a map."""
        expressed = {}
        for axis in values[0]:
            sizes = [v[axis] for v in values]
            of_group = f"{self.channels} // groups"
            if axis == "I" and self.channels and "groups" in self.arguments:
                found = self.expressions.find([self.channels, of_group], sizes, members)
                if found is not None:
                    expressed[axis] = self.use(str(found))
                    continue
            attribute = "channels" if axis in KERNEL else "kernel_size"
            expressed[axis] = self.express_numbers(attribute, sizes, members, attribute)
        return expressed

    def express_formula(self, values: Sequence[Any], members: Sequence[int]) -> str:
        """Return the expression of a table with names in place of its numbers. Raises Mismatch."""
        if any(not isinstance(v, Formula) or v.template != values[0].template for v in values):
            raise Mismatch
        words = {}
        for name in values[0].numbers:
            numbers = [v.numbers[name] for v in values]
            words[name] = self.find_place(name, numbers, members) or self.express_numbers(
                name, numbers, members, name.lower()
            )
        return str(values[0].fill(words))

    def find_place(self, axis: str, values: Sequence[int], members: Sequence[int]) -> str:
        """Return the size of an axis of the first input, or how many windows it has; empty if it is neither."""
        place = {"rows": "H", "columns": "W"}.get(axis, axis)
        if axis == "R" and (repeats := self.find_key_repeats(values, members)):
            return repeats
        windows = [n for n in (*self.params, *self.arguments) if WINDOW.search(n) and self.is_whole(n)]
        if axis in PLACES_IN_WINDOW:
            sides = (side for n in windows for side in (n, f"(2 * {n} - 1)"))
            found = self.expressions.find((f"{side} * {side}" for side in sides), values, members)
            return "" if found is None else self.use(str(found))
        if place not in ("D", "H", "W") or any(place not in i.inputs[0].axes for i in self.instances):
            return ""
        whole = f"{self.instances[0].inputs[0].name}.{place}"
        candidates = [whole] if place == axis else [f"{whole} // {n}" for n in windows]
        found = self.expressions.find(candidates, values, members)
        return "" if found is None else self.use(str(found))

    def name_size(self, attribute: str, axis: str) -> str:
        """Return a name for a parameter that is the size of an axis."""
        name = {"rows": "window_rows", "columns": "window_columns"}.get(axis, axis.lower())
        return name if attribute in ("axes", "into") else f"{attribute}_{axis.lower()}"

    def express_numbers(self, attribute: str, values: list[Any], members: Sequence[int], hint: str) -> Any:
        sized = is_size(attribute, values)
        is_same = len(set(values)) == 1
        has_argument = self.has_argument(attribute, values, members)
        if attribute == "shift" and (shift := self.find_shift(values, members)):
            return shift
        if attribute in PATCH_KEYS and values[0] > 1 and self.has_argument(PATCH, values, members):
            return self.use(PATCH)
        if attribute == "by" and (root := self.find_root(values, members)):
            return root
        if is_same and (not sized or attribute in ("start", "stop")):
            # an argument that varies is better, though it does not vary in the few instances that have the step
            varies = has_argument and len(set(self.arguments[attribute])) > 1
            return self.use(attribute) if varies else values[0]
        if has_argument:
            return self.use(attribute)
        candidates = self.list_candidates(attribute, values, members)
        plain = (c for c in candidates if not self.is_flag(c))
        found = self.expressions.find(plain, values, members)
        if found is not None and not (values[0] <= 1 and is_same):
            text = str(found)
            if len(set(values)) == 1 and text != self.channels:
                self.single_samples.append((attribute, text))
            return self.use(text)
        if is_same:
            return values[0]
        return self.add_param(values, members, hint)

    def find_shift(self, values: Sequence[Any], members: Sequence[int]) -> str:
        """Return the argument that says how far a map is rolled, with its sign; empty if there is none."""
        names = [n for n in self.arguments if "shift" in n]
        found = self.expressions.find((f"{sign}{n}" for n in names for sign in ("", "-")), values, members)
        return "" if found is None else self.use(str(found))

    def find_root(self, values: Sequence[Any], members: Sequence[int]) -> str:
        """Return a root of a width that is this factor in every instance; empty if there is none."""
        if any(not isinstance(v, float) or v == 1 for v in values):
            return ""
        heads = [n for n in self.arguments if HEADS.search(n) and self.is_whole(n)]
        widths = [self.channels] if self.channels else []
        widths += [f"({self.channels} // {n})" for n in heads if self.channels]
        widths += [n for n in self.arguments if self.is_whole(n) and SIZES.search(n)]
        found = self.expressions.find((f"{n} ** {root}" for n in widths for root in ROOTS), values, members)
        return "" if found is None else self.use(str(found))

    def has_argument(self, name: str, values: Sequence[Any], members: Sequence[int]) -> bool:
        """Return whether the author has an argument of this name with these values."""
        is_known = name in self.arguments and not self.is_flag(name)
        return is_known and [self.arguments[name][k] for k in members] == list(values)

    def is_flag(self, name: str) -> bool:
        """Return whether an argument is true or false in some instance: then it is no number, though True equals 1."""
        column = self.arguments.get(name) or self.flags.get(name) or self.params.get(name) or []
        return any(isinstance(v, bool) for v in column)

    def list_candidates(self, attribute: str, values: Sequence[Any], members: Sequence[int]) -> Iterator[str]:
        """Yield expressions that may stand for a number, the likeliest first."""
        sized, is_same = is_size(attribute, values), len(set(values)) == 1
        channels = self.channels if sized and attribute != "places" else ""
        varies = bool(channels) and len({self.column(channels)[k] for k in members}) > 1
        if channels and (varies or not is_same):
            yield channels
        arguments = [n for n in (*self.params, *self.arguments) if n not in self.added or n in self.params]
        if attribute in ("channels", "features") and channels and len(set(values)) >= SEVERAL:
            factors = [n for n in arguments if self.is_whole(n) and not NO_FACTORS.search(n)]
            # a transition halves whatever it is given
            yield from (f"{channels} // {k}" for k in (*factors, *FEW))
        if not is_same:
            yield from dict.fromkeys(arguments)
            yield from self.list_kernel_sizes(channels, arguments)
        if channels and not (varies or not is_same):
            yield channels
        if all(is_number(v) and v < 0 for v in values) and not (sized and is_same):
            yield from (f"-{n}" for n in arguments if is_number(self.column(n)[0]))
        if not sized:
            yield from self.flags
            return
        whole = [n for n in dict.fromkeys(arguments) if self.is_whole(n)]
        yield from self.list_key_widths(channels, whole)
        if is_same:
            yield from (n for n in whole if n in self.params or SIZES.search(n))
        if attribute in ("channels", "features"):
            others = [e.name for e in self.instances[0].inputs[1:]] if channels else []
            yield from (f"{name}.C" for name in others if not is_same or self.is_alone(name))
        whole = [n for n in whole if not NO_FACTORS.search(n)]
        whole.sort(key=lambda n: not HIDDEN_RATIO.search(n))
        for name in whole:
            if channels:
                yield f"{name} * {channels}"
                yield f"{channels} // {name}"
        for first, second in combinations(whole, 2):
            yield f"{first} * {second}"
        if is_same and (varies or attribute not in ARITHMETIC):
            return  # a number that does not follow the channels is no multiple of them
        for name in [n for n in dict.fromkeys(arguments) if n in self.arguments or n in self.params]:
            if not is_same and all(map(is_number, self.column(name))):
                yield from (f"{k} * {name}" for k in FACTORS)
                yield from (f"{name} // {k}" for k in DIVISORS)
        if channels:
            yield from (f"{k} * {channels}" for k in (FEW if is_same else (*FACTORS, *AREAS)))
            yield from (f"{channels} // {k}" for k in (FEW if is_same else DIVISORS))
        if channels and not is_same:
            yield from self.list_rounded(channels, whole, values)

    def is_alone(self, name: str) -> bool:
        """Return whether an input has other channels than every other input, in every instance: then its width is its own."""
        for instance in self.instances:
            widths = {entry.name: entry.axes.get("C") for entry in instance.inputs}
            if list(widths.values()).count(widths[name]) > 1:
                return False
        return True

    def list_kernel_sizes(self, channels: str, arguments: Sequence[str]) -> Iterator[str]:
        """Yield the sizes of a kernel of all channels as one row."""
        for name in [n for n in arguments if KERNEL_SIZE.search(n) and self.is_whole(n)] if channels else ():
            yield f"{name} * {channels}"
            yield f"{name} * {name} * {channels}"

    def find_key_repeats(self, values: Sequence[int], members: Sequence[int]) -> str:
        """Return how many heads of queries share each key, if this number says it; else nothing."""
        whole = [n for n in self.arguments if HEADS.search(n) and self.is_whole(n)]
        groups = [n for n in whole if KEY_HEADS.search(n)]
        candidates = (f"{n} // {g}" for g in groups for n in whole if n not in groups)
        found = self.expressions.find(candidates, values, members)
        return "" if found is None else self.use(str(found))

    def list_key_widths(self, channels: str, whole: Sequence[str]) -> Iterator[str]:
        """Yield the widths of keys that several heads of queries share."""
        groups = [n for n in whole if KEY_HEADS.search(n)] if channels else []
        heads = [n for n in whole if HEADS.search(n) and n not in groups]
        yield from (f"{channels} // {n} * {g}" for g in groups for n in heads)

    def list_rounded(self, channels: str, whole: Sequence[str], values: Sequence[Any]) -> Iterator[str]:
        """Yield numbers of channels with a minimum, or rounded to a multiple of 8 as in MobileNet."""
        parts = [f"{channels} // {n}" for n in (*whole, *DIVISORS)]
        if list(values).count(min(values)) > 1 or min(values) >= MIN_SIZE:
            yield from (f"max({part}, {min(values)})" for part in parts)
        if all(v % MULTIPLE == 0 for v in values):
            yield from (f"divisible({part}, {MULTIPLE})" for part in parts)
            yield from (f"divisible({n} * {channels}, {MULTIPLE})" for n in whole)

    def column(self, text: str) -> list[Any]:
        if text in self.params:
            return self.params[text]
        return self.expressions.column(text) or [None] * len(self.instances)

    def is_whole(self, name: str) -> bool:
        """Return whether an argument is a whole number above 1 in some instance, and never 0."""
        column = self.column(name)
        return (
            all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in column) and max(column) > 1
        )

    def use(self, text: str) -> str:
        """Make a parameter of each argument that an expression reads."""
        for name in re.findall(r"(?<![\w.])[A-Za-z_]\w*(?![\w.])", text):
            for columns in (self.arguments, self.flags):
                if name in columns and name not in self.params:
                    self.params[name] = columns[name]
        return text

    def add_param(self, values: Sequence[Any], members: Sequence[int], hint: str) -> str:
        """Return a parameter of the block with these values: one that it has, or a new one called `hint`."""
        for name, column in self.params.items():
            own = [column[k] for k in members]
            if own == list(values) and list(map(type, own)) == list(map(type, values)):
                return name
        given = dict(zip(members, values, strict=True))
        taken = {*self.params, *self.arguments, *self.flags, *self.inputs, *COMMON_NAMES.builtins}
        name = number_name(hint if find_name_problem(hint) is None else f"{hint}_1", taken)
        missing = 0.0 if hint == "rate" else values[0]
        column = [given.get(k, missing) for k in range(len(self.instances))]
        self.params[name] = column
        self.added.add(name)
        if len(given) < len(column):
            self.fillers[name] = missing
        for scope, value in zip(self.expressions.scopes, column, strict=True):
            scope[name] = value  # type: ignore[index]
        return name

    # -------------------------------------------------------------------------------------- conditions

    def condition(self, present: set[int], hint: str, has_weights: bool = False) -> str:
        """Return the condition for a row that only some instances have; a new flag if none is found.

        A model has the same weights whatever chance it is given: rows that have some depend on no chance.
        """
        everyone = list(range(len(self.instances)))
        wanted = [k in present for k in everyone]
        found = self.find_condition(wanted, everyone, has_weights)
        return found or self.add_param(wanted, everyone, f"with_{hint}")

    def find_condition(self, wanted: list[bool], members: Sequence[int], has_weights: bool = False) -> str:
        """Return a condition that is true just where it is wanted; empty if there is none."""
        columns = {**self.params, **self.arguments}
        columns = {n: c for n, c in columns.items() if not (has_weights and RATE_NAME.search(n))}
        strong = list(self.list_tests(columns))
        found = self.expressions.find(self.list_window_tests(), wanted, members)
        found = found or self.expressions.find(strong, wanted, members)
        if found is not None:
            condition = self.add_stride(str(found), wanted, members)
            return self.use(self.add_channels(condition, strong, wanted, members))
        truths = {t: [self.column(t)[k] for k in members] for t in strong}
        for first, second in islice(combinations(strong, 2), MAX_PAIRS):
            pairs = list(zip(truths[first], truths[second], strict=True))
            if [bool(a or b) for a, b in pairs] == wanted:
                return self.use(f"{first} or {second}")
            if [bool(a and b) for a, b in pairs] == wanted:
                return self.use(f"{first} and {second}")
        found = self.expressions.find(self.list_tests(self.flags), wanted, members)
        return self.use(str(found)) if found is not None else ""

    def add_stride(self, condition: str, wanted: Sequence[bool], members: Sequence[int]) -> str:
        """Let a comparison of channels ask for the stride too, if that agrees: both decide whether shapes are equal."""
        stride = next((n for n in ("stride", "strides") if n in {**self.params, **self.arguments}), "")
        if not stride or not condition.startswith(f"{self.channels} ") or not self.channels:
            return condition
        equal = [self.column(stride)[k] == 1 for k in members]
        if all(equal):
            return condition
        if " == " in condition and all(e for e, w in zip(equal, wanted, strict=True) if w):
            return f"{stride} == 1 and {condition}"
        if " != " in condition and all(w for e, w in zip(equal, wanted, strict=True) if not e):
            return f"{stride} != 1 or {condition}"
        return condition

    def add_channels(
        self, condition: str, tests: Sequence[str], wanted: list[bool], members: Sequence[int]
    ) -> str:
        """Let a condition on the stride ask for the channels too, if that agrees with all instances."""
        if condition not in ("stride != 1", "strides != 1") or not self.channels:
            return condition
        comparisons = [f"{condition} or {t}" for t in tests if t.startswith(f"{self.channels} != ")]
        return str(self.expressions.find(comparisons, wanted, members) or condition)

    def list_window_tests(self) -> Iterator[str]:
        """Yield the conditions for what is done to windows that do not cover the whole map."""
        first = self.instances[0].inputs[0].name if self.instances[0].inputs else ""
        if not first or any("H" not in i.inputs[0].axes for i in self.instances):
            return
        for name in (n for n in self.arguments if WINDOW.search(n) and self.is_whole(n)):
            shifts = [n for n in self.arguments if "shift" in n]
            yield from (f"{shift} > 0" for shift in shifts)
            yield from (f"{shift} > 0 and {first}.H > {name}" for shift in shifts)
            yield f"{first}.H > {name}"

    def list_tests(self, columns: dict[str, list[Any]]) -> Iterator[str]:
        for name, column in columns.items():
            if all(isinstance(v, bool) for v in column):
                yield from (name, f"not {name}")
        numbers = [n for n, c in columns.items() if all(map(is_number, c))]
        for name in numbers:
            yield from (f"{name} != 1", f"{name} == 1", f"{name} > 0")
        widths = [n for n in numbers if not NO_FACTORS.search(n)]
        for name in widths if self.channels else ():
            for factor in ("", "2 * ", "4 * "):
                yield f"{self.channels} != {factor}{name}"
                yield f"{self.channels} == {factor}{name}"

    # -------------------------------------------------------------------------------------- parameters

    def find_default(self, name: str) -> Any:
        """Return the author's default of an argument, if it is a number that some instance has; else None."""
        calls = [instance.call for instance in self.instances]
        values = {repr(call.defaults.get(name)) for call in calls}
        value = self.read_number(calls[0].defaults.get(name))
        column = self.params[name]
        is_usable = len(values) == 1 and isinstance(value, NUMBER) and name not in self.added
        if not is_usable or not any(v == value and type(v) is type(value) for v in column):
            return None
        return value

    def defaults(self) -> dict[str, Any]:
        """Return the default of each parameter that has one: the number that never differs, or a usual one."""
        chosen: dict[str, Any] = {}
        for name, column in self.params.items():
            if name in self.fillers:
                chosen[name] = self.fillers[name]
                continue
            if (given := self.find_default(name)) is not None:
                chosen[name] = given
                continue
            value, times = Counter(column).most_common(1)[0]
            if any(isinstance(v, float) for v in column):
                value = float(value)
            if times == len(column) and name not in self.added and len(column) > 1:
                chosen[name] = value
            elif isinstance(value, float):
                if 0.0 in column:
                    chosen[name] = 0.0
            elif (value in (0, 1) and 2 * times >= len(column)) or (
                len(column) >= MANY and times >= USUAL * len(column) and not SIZES.search(name)
            ):
                chosen[name] = value
        return chosen
