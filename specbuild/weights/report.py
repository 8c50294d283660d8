"""Report how the tensors of a weight file match the model: as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from msgspec import Struct, field

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diff.whole_moves import find_prefix
from specbuild.weights.adapt_options import MODES
from specbuild.weights.matching import AdaptedWeight, MatchedWeights, MatchExceptions, UnfitWeight

MAX_STEPS = 4  # the most steps to list in one line
MAX_OPTIONS = 12  # the most options in a hint
MAX_LINES = 40  # the most lines for exceptions of one kind


class WeightReport(Struct, frozen=True):
    """How the tensors of a file match the weights of a model."""

    names: str  # the naming scheme of the file
    total: int  # number of the model's weights
    matched_count: int
    adapted: tuple[AdaptedWeight, ...]
    new: tuple[UnfitWeight, ...]  # missing or mismatched, but allowed to be: they get initial values
    missing: tuple[UnfitWeight, ...]
    mismatched: tuple[UnfitWeight, ...]
    left_over: tuple[tuple[str, tuple[int, ...]], ...]
    unused: tuple[tuple[str, tuple[int, ...]], ...]  # left over, but allowed to be
    new_steps: tuple[str, ...] = ()  # the names of the steps of new weights
    unmatched_patterns: tuple[str, ...] = ()  # values of --allow-missing for missing and mismatched weights
    adapt_options: tuple[str, ...] = ()  # values of --adapt for mismatched weights
    notes: tuple[str, ...] = field(default=())

    @property
    def is_complete(self) -> bool:
        return not (self.missing or self.mismatched or self.left_over)

    def summary_line(self) -> str:
        """For example `318 of 320 matched, 2 new (cbam), 0 mismatched, 0 left over`."""
        shown = [*self.new_steps[:MAX_STEPS], *(["..."] if len(self.new_steps) > MAX_STEPS else [])]
        parts = [f"{self.matched_count} of {self.total} matched"]
        parts += [f"{len(self.adapted)} adapted"] if self.adapted else []
        parts.append(f"{len(self.new)} new" + (f" ({', '.join(shown)})" if shown else ""))
        parts += [f"{len(self.missing)} missing"] if self.missing else []
        parts += [f"{len(self.mismatched)} mismatched", f"{len(self.left_over)} left over"]
        parts += [f"{len(self.unused)} unused"] if self.unused else []
        return ", ".join(parts)

    def format_lines(self) -> Iterator[str]:
        """Yield the summary, a line for each of the first exceptions of a kind, and the notes."""
        yield self.summary_line()
        rows = [
            *shorten_rows("missing", map(format_unfit, self.missing)),
            *shorten_rows("mismatched", map(format_unfit, self.mismatched)),
            *shorten_rows("left over", (f"{name} {shape}" for name, shape in self.left_over)),
            *shorten_rows("adapted", (f"{format_unfit(a.weight)}: {a.description}" for a in self.adapted)),
            *shorten_rows("new", map(format_unfit, self.new)),
            *shorten_rows("unused", (f"{name} {shape}" for name, shape in self.unused)),
        ]
        width = max((len(kind) for kind, _ in rows), default=0)
        yield from (f"  {kind:{width}}  {make_printable(text, 400)}" for kind, text in rows)
        yield from (f"  note: {make_printable(note, 400)}" for note in self.notes)

    def to_json(self) -> dict[str, Any]:
        return {
            "names": self.names,
            "weights": self.total,
            "matched": self.matched_count,
            "adapted": [{**unfit_record(a.weight), "adaptation": a.description} for a in self.adapted],
            "new": [unfit_record(u) for u in self.new],
            "missing": [unfit_record(u) for u in self.missing],
            "mismatched": [unfit_record(u) for u in self.mismatched],
            "left_over": [{"name": n, "shape": list(s)} for n, s in self.left_over],
            "unused": [{"name": n, "shape": list(s)} for n, s in self.unused],
            "notes": list(self.notes),
        }

    def mismatch_error(self, file: str) -> SpecError:
        """Return the error SB801 for everything that is not allowed, with options that would allow it."""
        counts = {
            "missing": len(self.missing),
            "mismatched": len(self.mismatched),
            "left over": len(self.left_over),
        }
        problems = ", ".join(f"{count} {problem}" for problem, count in counts.items() if count)
        message = f"`{make_printable(file)}` does not match the model: {problems}; nothing was written"
        return SpecError("SB801", message, hint="; ".join(self.mismatch_hints()))

    def mismatch_hints(self) -> Iterator[str]:
        """Yield the options that would allow what does not match."""
        if rule := self.find_prefix_rule():
            yield rule
            return
        if not self.matched_count:
            sample = f", such as {self.left_over[0][0]!r}," if self.left_over else ""
            yield (
                f"the names in the file{sample} are not those of {self.names}; --from chooses other names, and "
                "--into the part of the model that they belong to"
            )
            return
        if self.adapt_options:
            yield f"{format_options('adapt', self.adapt_options)} to adapt them"
        if self.unmatched_patterns:
            yield f"{format_options('allow-missing', self.unmatched_patterns)} to use initial values"
        if self.left_over:
            name, _ = self.left_over[0]
            yield f"{format_options('allow-unused', (name,))} to ignore such entries"

    def find_prefix_rule(self) -> str:
        """Return the hint for names that all got, or lost, one prefix; "" if they did not."""
        names = [name for name, _ in self.left_over]
        if sum(name.endswith(".weight") for name in names) < 2:  # rules name tensors of a state_dict
            return ""
        wanted = {u.path.rpartition(".")[0] for u in self.missing}
        found = {name.rpartition(".")[0] for name in names}
        for short, long in ((found, wanted), (wanted, found)):
            if prefix := find_prefix(short, long, lambda *_: True):
                is_longer = long is wanted
                old, new = ("{rest}", f"{prefix}.{{rest}}") if is_longer else (f"{prefix}.{{rest}}", "{rest}")
                rule = f'`weights: {{former: {{"{old}": "{new}"}}}}`'
                whose = "the model" if is_longer else "the file"
                return f"the names in {whose} have the prefix `{prefix}.`, the others do not: add {rule} to the spec"
        return ""


def shorten_rows(kind: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the kind with each of the first texts, then how many more there are."""
    remaining = iter(texts)
    yield from ((kind, text) for text in islice(remaining, MAX_LINES))
    if more := sum(1 for _ in remaining):
        yield kind, f"... and {more:,} more"


def format_options(option: str, patterns: Iterable[str]) -> str:
    """Return the option with each of the first patterns."""
    options = [f"--{option} '{pattern}'" for pattern in patterns]
    more = f" (and {len(options) - MAX_OPTIONS} more)" if len(options) > MAX_OPTIONS else ""
    return " ".join(options[:MAX_OPTIONS]) + more


def format_unfit(weight: UnfitWeight) -> str:
    """For example `head.kernel (3, 4); head.weight is (5, 4) in the file`."""
    if not weight.actual:
        return f"{weight.path} {weight.shape}"
    expected = f", expected as {weight.expected_shape}," if weight.expected_shape != weight.shape else ""
    return f"{weight.path} {weight.shape}; {weight.file_name}{expected} is {weight.actual} in the file"


def unfit_record(weight: UnfitWeight) -> dict[str, Any]:
    record = {"path": weight.path, "shape": list(weight.shape)}
    if not weight.actual:
        return record
    expected_shape = list(weight.expected_shape)
    return {**record, "name": weight.file_name, "expected_shape": expected_shape, "actual": weight.actual}


def build_report(
    matched: MatchedWeights, exceptions: MatchExceptions, paths: list[str], notes: Iterable[str] = ()
) -> WeightReport:
    """Sort what does not match by whether it is allowed; `paths` are those of all weights of the model."""
    unfit_weights = (*matched.missing, *matched.mismatched)
    new = {u.path for u in unfit_weights if exceptions.is_allowed_missing(u.path)}
    refused = {u.path for u in unfit_weights} - new
    adaptable = {
        mode: {u.path for u in matched.mismatched if u.suggested_mode == mode and u.path in refused}
        for mode in MODES
    }
    return WeightReport(
        names=str(matched.naming),
        total=len(paths),
        matched_count=len(matched.values) - len(matched.adapted),
        adapted=tuple(matched.adapted),
        new=tuple(u for u in unfit_weights if u.path in new),
        missing=tuple(u for u in matched.missing if u.path in refused),
        mismatched=tuple(u for u in matched.mismatched if u.path in refused),
        left_over=tuple(e for e in matched.left_over if not exceptions.is_allowed_unused(e[0])),
        unused=tuple(e for e in matched.left_over if exceptions.is_allowed_unused(e[0])),
        new_steps=tuple(dict.fromkeys(map(step_name, outermost_steps(new, paths)))),
        unmatched_patterns=tuple(step_patterns(outermost_steps(refused, paths))),
        adapt_options=tuple(
            f"{pattern}={mode}"
            for mode, weights in adaptable.items()
            for pattern in step_patterns(parent_steps(weights))
        ),
        notes=(*notes, *idle_notes(matched, exceptions)),
    )


def idle_notes(matched: MatchedWeights, exceptions: MatchExceptions) -> Iterator[str]:
    """Yield notes on exceptions without effect."""
    for pattern in exceptions.idle_patterns(matched):
        yield f"nothing that is missing or left over matches {pattern!r}"
    applied = {adapted.declaration for adapted in matched.adapted}
    for adaptation in exceptions.adaptations:
        if adaptation.text not in applied:
            yield f"no tensor of another size is adapted by {adaptation.text!r}"


def outermost_steps(selected: set[str], paths: list[str]) -> list[str]:
    """Return the outermost steps all of whose weights are selected.

    A weight itself if it is in no such step.
    """
    mixed = {parent for path in paths if path not in selected for parent in parent_paths(path)}
    steps = [
        next((parent for parent in parent_paths(path) if parent not in mixed), path)
        for path in paths
        if path in selected
    ]
    return list(dict.fromkeys(steps))


def parent_steps(weights: set[str]) -> list[str]:
    """Return the steps that contain some weights."""
    return sorted({path.rpartition(".")[0] for path in weights})


def step_name(path: str) -> str:
    """Return the last name in a step's path that is not the index of a repeat."""
    return next((part for part in reversed(path.split(".")) if not part.isdigit()), path)


def step_patterns(steps: list[str]) -> list[str]:
    """Return patterns that match these steps: their paths, or `*.NAME` if there are many."""
    if len(steps) <= MAX_STEPS:
        return steps
    return list(dict.fromkeys(f"*.{step_name(s)}" if step_name(s) != s else s for s in steps))


def parent_paths(path: str) -> list[str]:
    """Return `a` and `a.b` for the weight `a.b.kernel`."""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
