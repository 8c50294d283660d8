"""The parameters of the model itself: arguments of its constructor in place of the numbers that follow from them.

With a second capture, made with other arguments, an expression must hold in both. With one, only what is
hardly a coincidence counts: an argument of the same name, a list that the stages of the model repeat in its order, and the
only argument that is a size and has this value. The report lists these.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from specbuild.expressions.common_expressions import CommonExpressions
from specbuild.frontend.names import COMMON_NAMES, find_name_problem
from specbuild.importing.author_arguments import DROPOUT_NAME
from specbuild.importing.compared_steps import REPEAT, ComparedStep, pair_compared_steps, share_alternations
from specbuild.importing.drop_rates import find_rates
from specbuild.importing.instance_rows import Mismatch
from specbuild.importing.plans import BlockPlan, Plans
from specbuild.importing.relations import (
    DIVISORS,
    FACTORS,
    FEW,
    MIN_SIZE,
    PATCH,
    PATCH_KEYS,
    ROOTS,
    WINDOW,
    is_number,
    is_size,
)

CLASS_COUNTS = ("num_classes", "classes", "n_classes")
SIZE_NAME = re.compile(
    r"channels|chans|chs|features|planes|dim|width|hidden|embe?d|d_model|base|filters|units|_size"
)
NO_SIZE_NAME = re.compile(
    r"block|vocab|max|seq|context|per|group|mult|ratio|factor|head|patch|window|img|image|input|kernel|drop|scale"
)
STEM_NAME = re.compile(
    r"stem|init|first"
)  # sizes at the beginning of a model, which the rest does not follow
COUNT_NAME = re.compile(r"depth|layers?$|layers|blocks|repeat|stages")
MORE_FACTORS = (16, 32, 5, 9, 12)  # for numbers that differ between captures
WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
WHOLE_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")
PLACE_NAMES = frozenset(("d", "h", "w", "t", "s", "rows", "columns"))
SIDE_NAME, SIDES = re.compile(r"window|patch|kernel"), ("H", "W")
SHIFT = re.compile(r"0 if i % 2 == 0 else (\d+)")  # of every second block, by half a window
SAME_NAMES = {"heads": "num_heads"}


def lift_arguments(plans: Sequence[BlockPlan], blocks: Plans) -> ModelParams:
    """Put arguments of the constructor into the first of these plans of the model; the others are of other captures."""
    lifted = ModelParams(plans, blocks)
    try:
        lifted.compared_steps = list(pair_compared_steps(plans, blocks))
    except Mismatch as problem:
        lifted = lift_arguments(plans[:1], blocks)
        lifted.unexplained.append(str(problem))
        return lifted
    share_alternations(lifted.compared_steps)
    lifted.find_anchors()
    lifted.find_rates()
    for compared in lifted.compared_steps:
        lifted.rewrite(compared)
    first = plans[0]
    first.defaults = lifted.list_values(0)
    first.params = {name: [value] for name, value in first.defaults.items()}
    first.single_samples = list(dict.fromkeys(lifted.single_samples))
    return lifted


class ModelParams:
    """The search for expressions over the arguments of the model's constructor, one scope for each capture.

    `refuted` are expressions that hold in the first capture only, `unexplained` what differs and follows no argument.
    """

    def __init__(self, plans: Sequence[BlockPlan], blocks: Plans):
        self.used: set[str] = set()
        self.single_samples: list[tuple[str, str]] = []
        self.refuted: list[str] = []
        self.unexplained: list[str] = []
        self.compared_steps: list[ComparedStep] = []
        self.arguments = self.read_arguments(plans, blocks)
        self.expressions = CommonExpressions(self.arguments)
        self.windows: dict[tuple[ComparedStep, str], str] = {}
        self.rates: dict[tuple[ComparedStep, str], str] = {}
        self.anchors: dict[int, str] = {}  # sizes that only one argument has, and that occur in the model
        self.counts: dict[int, str] = {}

    def read_arguments(self, plans: Sequence[BlockPlan], blocks: Plans) -> list[dict[str, Any]]:
        """Return the arguments of each capture that a spec can have as parameters: numbers, and lists of whole numbers."""
        taken = {e.name for e in plans[0].instances[0].inputs} | {p.name for p in blocks.plans}
        taken |= {row.path.partition(".")[0] for row in plans[0].rows} | set(COMMON_NAMES.builtins)
        given = [plan.instances[0].call.constructor for plan in plans]
        names = [n for n in given[0] if n not in taken and find_name_problem(n) is None]
        names = [n for n in names if all(is_argument(g.get(n)) for g in given)]
        square = {n for n in names if SIDE_NAME.search(n) and all(is_square(g[n]) for g in given)}
        values = [{n: g[n][0] if n in square else g[n] for n in names} for g in given]
        return [{n: list(v) if isinstance(v, list | tuple) else v for n, v in own.items()} for own in values]

    def list_values(self, number: int) -> dict[str, Any]:
        """Return the values that the parameters have in a capture."""
        return {name: value for name, value in self.arguments[number].items() if name in self.used}

    # ----------------------------------------------------------------------------------- of one sample

    def find_anchors(self) -> None:
        """Find the arguments whose values occur unchanged in the first capture."""
        first = self.arguments[0]
        lists = {n: v for n, v in first.items() if isinstance(v, list) and len(v) > 1}
        for name, wanted in lists.items():
            self.find_window(name, wanted)
        numbers = {n: v for n, v in first.items() if isinstance(v, int) and not isinstance(v, bool)}
        sizes = {n: v for n, v in numbers.items() if v >= MIN_SIZE and has_size_name(n)}
        for name, values in lists.items():
            if has_size_name(name):
                sizes |= {f"{name}[{i}]": v for i, v in enumerate(values)}
        times = Counter(sizes.values())
        matched = {text.partition("[")[0] for text in self.windows.values()}
        found = {
            number
            for compared in self.compared_steps
            for key, value in compared.attributes[0].items()
            for number in channel_counts(key, value)
        }
        for text, value in sizes.items():
            is_known = "[" not in text or text.partition("[")[0] in matched
            if times[value] == 1 and value in found and is_known:
                self.anchors[value] = text
        counts = {n: v for n, v in numbers.items() if COUNT_NAME.search(n) and v > 1}
        times = Counter(counts.values())
        self.counts = {v: n for n, v in counts.items() if times[v] == 1}

    def find_rates(self) -> None:
        """Find the rates that rise over the model up to an argument."""
        lengths = {compared: text for (compared, key), text in self.windows.items() if key == REPEAT}
        self.rates = find_rates(self.compared_steps, self.arguments, lengths)
        if len(self.arguments) == 1:
            self.single_samples += list(dict.fromkeys((key, text) for (_, key), text in self.rates.items()))[
                -1:
            ]

    def find_window(self, name: str, wanted: list[int]) -> None:
        """Look for steps of one kind, one after the other, that have the numbers of a list at one attribute."""
        rows: dict[tuple[str, str], list[tuple[ComparedStep, Any]]] = defaultdict(list)
        for compared in self.compared_steps:
            for key, value in {REPEAT: compared.lengths[0], **compared.attributes[0]}.items():
                is_fitting = has_size_name(name) if is_size(key, [value]) else not has_size_name(name)
                if is_fitting and (key == REPEAT or is_number(value)):
                    rows[compared.head, key].append((compared, value))
        for (_, key), row in rows.items():
            values = [value for _, value in row]
            starts = [
                i for i in range(len(values) - len(wanted) + 1) if values[i : i + len(wanted)] == wanted
            ]
            if len(starts) == 1 and len(set(wanted)) > (1 if len(values) > len(wanted) else 0):
                for i in range(len(wanted)):
                    self.windows.setdefault((row[starts[0] + i][0], key), f"{name}[{i}]")

    def propose(self, compared: ComparedStep, key: str, name: str, value: Any) -> Iterator[str]:
        """Yield expressions that may give a number of the first capture, when there is no second one."""
        same_name = SAME_NAMES.get(name, name)
        if self.arguments[0].get(same_name) == value:
            yield same_name
        if key in PATCH_KEYS and value > 1 and self.arguments[0].get(PATCH) == value:
            yield PATCH
        if key == name and (compared, key) in self.windows:
            yield self.windows[compared, key]
        if (compared.head, key) == ("dropout", "rate"):
            names = [n for n, v in self.arguments[0].items() if DROPOUT_NAME.search(n) and v == value]
            yield from names if len(names) == 1 else ()
        if key == REPEAT or COUNT_NAME.search(key):
            if value in self.counts:
                yield self.counts[value]
        elif key == "count":  # a number of words is no multiple of a width
            names = [n for n, v in self.arguments[0].items() if is_number(v) and v == value]
            yield from names if len(names) == 1 else ()
        elif (key in ("axes", "into") and name != "C") or key.lower() in PLACE_NAMES:
            return  # a number of positions is no number of channels
        elif key == "by" and isinstance(value, float):
            roots = (f"{text} ** {root}" for text in self.anchors.values() for root in ROOTS)
            yield from (root for root in roots if (self.expressions.column(root) or [None])[0] == value)
        elif is_size(key, [value]):
            anchor = self.anchors.get(value, "")
            if anchor and (not STEM_NAME.search(anchor) or anchor not in self.used):
                yield anchor
            derived = [
                f"{value // size} * {text}" if value > size else f"{text} // {size // value}"
                for size, text in self.anchors.items()
                if "[" not in text and not STEM_NAME.search(text) and is_simple_ratio(value, size, key)
            ]
            if len(derived) == 1:
                yield derived[0]

    # ------------------------------------------------------------------------------- of several samples

    def list_candidates(self, is_count: bool) -> Iterator[str]:
        """Yield expressions for a number that differs between the captures, the simplest first.

        A number of layers is no factor of a size, nor the other way round.
        """
        first = self.arguments[0]
        plain = [n for n, v in first.items() if is_number(v)]
        items = [f"{n}[{i}]" for n, v in first.items() if isinstance(v, list) for i in range(len(v))]
        yield from plain
        yield from items
        related = [t for t in [*plain, *items] if bool(COUNT_NAME.search(t)) == is_count]
        for text in related:
            yield from (f"{k} * {text}" for k in FACTORS)
        for text in related:
            yield from (f"{text} // {k}" for k in DIVISORS)
        for text in related:
            yield from (f"{k} * {text}" for k in MORE_FACTORS)
            yield from (f"{text} + 1", f"{text} - 1")
        for one, other in combinations(related, 2):
            yield f"{one} * {other}"

    def list_multiples(self, values: Sequence[Any]) -> Iterator[str]:
        """Yield the multiples of sizes that a number may be, such as all positions of all channels."""
        first = self.arguments[0]
        sizes = {n: v for n, v in first.items() if is_number(v) and has_size_name(n)}
        lists = {n: v for n, v in first.items() if isinstance(v, list) and has_size_name(n)}
        sizes |= {f"{n}[{i}]": v for n, own in lists.items() for i, v in enumerate(own)}
        for text, size in sizes.items():
            if isinstance(values[0], int) and size > 1 and values[0] % size == 0:
                yield f"{values[0] // size} * {text}"

    # -------------------------------------------------------------------------------------- all compared steps

    def rewrite(self, compared: ComparedStep) -> None:
        """Put expressions into a step or repeat of the first plan."""
        for key in dict.fromkeys(k for attributes in compared.attributes for k in attributes):
            values = [attributes.get(key) for attributes in compared.attributes]
            compared.set_attribute(key, self.express(compared, key, key, values))
        if compared.can_repeat and (len(set(compared.lengths)) > 1 or compared.lengths[0] > 1):
            compared.set_length(self.express(compared, REPEAT, REPEAT, list(compared.lengths)))

    def express(self, compared: ComparedStep, key: str, name: str, values: list[Any]) -> Any:
        """Return an expression for these values, one for each capture; the value of the first if there is none."""
        first = values[0]
        if key == name and (compared, key) in self.rates:
            return self.use(self.rates[compared, key])
        if isinstance(first, dict) and all(isinstance(v, dict) and list(v) == list(first) for v in values):
            return {k: self.express(compared, key, k, [v[k] for v in values]) for k in first}
        if isinstance(first, list) and all(isinstance(v, list) and len(v) == len(first) for v in values):
            return [
                self.express(compared, key, f"{name}{i}", list(v))
                for i, v in enumerate(zip(*values, strict=True))
            ]
        if all(map(is_number, values)):
            return self.express_numbers(compared, key, name, values)
        if shift := self.express_shift(key, values):
            return shift
        if all(v == first for v in values):
            return first
        if all(isinstance(v, str) for v in values) and len({WHOLE_NUMBER.sub("#", v) for v in values}) == 1:
            return self.express_text(compared, key, name, values)
        return self.leave(compared, key, values)

    def express_shift(self, key: str, values: Sequence[Any]) -> str:
        """Return that every second block of a repeat is shifted by half a window; empty if this is not so."""
        matches = [SHIFT.fullmatch(v) if "shift" in key and isinstance(v, str) else None for v in values]
        shifts = [int(match[1]) for match in matches if match]
        if len(shifts) < len(values):
            return ""
        halves = (f"{n} // 2" for n in self.arguments[0] if WINDOW.search(n))
        found = self.expressions.find(halves, shifts)
        return "" if found is None else self.use(f"{found} * (i % 2)")

    def express_text(self, compared: ComparedStep, key: str, name: str, values: list[str]) -> str:
        """Return a rule in `i` with expressions for the numbers in it that differ."""
        columns = zip(*(map(int, WHOLE_NUMBER.findall(v)) for v in values), strict=True)
        found = [
            self.express_numbers(compared, key, name, list(c)) if len(set(c)) > 1 else c[0] for c in columns
        ]
        texts = iter(f"({t})" if " " in str(t) else str(t) for t in found)
        return WHOLE_NUMBER.sub(lambda match: next(texts), values[0])

    def express_numbers(self, compared: ComparedStep, key: str, name: str, values: list[Any]) -> Any:
        if len(set(values)) > 1:
            windows = [self.windows[compared, key]] if key == name and (compared, key) in self.windows else []
            same_name = SAME_NAMES.get(name, name)
            own = [same_name] if same_name in self.arguments[0] else []
            is_count = key == REPEAT or COUNT_NAME.search(key) is not None
            candidates = [*own, *windows, *self.list_candidates(is_count), *self.list_multiples(values)]
            found = self.expressions.find(candidates, values)
            return self.use(str(found)) if found is not None else self.leave(compared, key, values)
        if compared.is_classifier and key == "features":
            for text in CLASS_COUNTS:
                if self.expressions.column(text) == values:
                    return self.use(text)
        for text in self.propose(compared, key, name, values[0]):
            if self.expressions.column(text) == values:
                if text != SAME_NAMES.get(name, name):
                    self.single_samples.append((name, text))
                return self.use(text)
            if len(values) > 1:
                self.refuted.append(f"{compared.label}: {name} `{text}`")
        return values[0]

    def use(self, text: str) -> str:
        self.used |= set(WORD.findall(text))
        return text

    def leave(self, compared: ComparedStep, key: str, values: Sequence[Any]) -> Any:
        """Note that nothing is known for a value that differs; the file has that of the first capture."""
        self.unexplained.append(f"{compared.label}: {key} is {' or '.join(map(str, values))}")
        return values[0]


def is_argument(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    return is_number(value)


def is_square(value: Any) -> bool:
    """Return whether an argument is a side twice, such as that of a window."""
    return isinstance(value, list | tuple) and len(value) == len(SIDES) and len(set(value)) == 1


def has_size_name(name: str) -> bool:
    """Return whether an argument of this name is a size such as a number of channels."""
    return SIZE_NAME.search(name) is not None and NO_SIZE_NAME.search(name) is None


def is_simple_ratio(value: int, size: int, key: str) -> bool:
    """Return whether a number is a usual multiple of a size, or a usual part of it where it counts channels."""
    if value > size:
        return value % size == 0 and value // size in FACTORS
    is_part = value >= MIN_SIZE and size % value == 0 and size // value in FEW
    return is_part and key in ("channels", "features")


def channel_counts(key: str, value: Any) -> list[int]:
    """Return the numbers of an attribute that are sizes."""
    if isinstance(value, dict):
        value = value.get("C")
    is_plain = isinstance(value, int) and not isinstance(value, bool)
    return [value] if is_plain and is_size(key, [value]) else []
