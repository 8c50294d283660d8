"""What became of a file's tensors, in words and as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.weights.adapt_options import MODES
from specbuild.weights.matching import AdaptedWeight, MatchedWeights, MatchExceptions, UnfitWeight

MAX_STEPS = 4  # steps named in one line


@dataclass(frozen=True)
class WeightReport:
    """How many weights the model has, which were carried, which are new, and what does not fit."""

    names: str  # the names that the file goes by
    total: int
    matched_count: int
    adapted: tuple[AdaptedWeight, ...]
    new: tuple[UnfitWeight, ...]
    missing: tuple[UnfitWeight, ...]
    mismatched: tuple[UnfitWeight, ...]
    left_over: tuple[tuple[str, tuple[int, ...]], ...]
    unused: tuple[tuple[str, tuple[int, ...]], ...]  # left over, and declared so
    new_steps: tuple[str, ...] = ()  # of the new weights: names of steps
    unmatched_patterns: tuple[str, ...] = ()  # patterns that fit those that are missing or mismatched
    adapt_options: tuple[str, ...] = ()  # what declares how some of these are adapted
    notes: tuple[str, ...] = field(default=())

    @property
    def is_complete(self) -> bool:
        return not (self.missing or self.mismatched or self.left_over)

    def summary_line(self) -> str:
        """One line: `318 of 320 carried, 2 new (cbam), 0 mismatched, 0 left over`."""
        shown = [*self.new_steps[:MAX_STEPS], *(["..."] if len(self.new_steps) > MAX_STEPS else [])]
        parts = [f"{self.matched_count} of {self.total} carried"]
        parts += [f"{len(self.adapted)} adapted"] if self.adapted else []
        parts.append(f"{len(self.new)} new" + (f" ({', '.join(shown)})" if shown else ""))
        parts += [f"{len(self.missing)} missing"] if self.missing else []
        parts += [f"{len(self.mismatched)} mismatched", f"{len(self.left_over)} left over"]
        parts += [f"{len(self.unused)} unused"] if self.unused else []
        return ", ".join(parts)

    def format_lines(self) -> Iterator[str]:
        """The summary, and each exception by its name."""
        yield self.summary_line()
        rows = [
            *(("missing", format_unfit(u)) for u in self.missing),
            *(("mismatched", format_unfit(u)) for u in self.mismatched),
            *(("left over", f"{name} {shape}") for name, shape in self.left_over),
            *(("adapted", f"{format_unfit(a.weight)}: {a.description}") for a in self.adapted),
            *(("new", format_unfit(u)) for u in self.new),
            *(("unused", f"{name} {shape}") for name, shape in self.unused),
        ]
        wide = max((len(kind) for kind, _ in rows), default=0)
        yield from (f"  {kind:{wide}}  {make_printable(text, 400)}" for kind, text in rows)
        yield from (f"  note: {make_printable(note, 400)}" for note in self.notes)

    def to_json(self) -> dict[str, Any]:
        return {
            "names": self.names,
            "weights": self.total,
            "carried": self.matched_count,
            "adapted": [{**unfit_record(a.weight), "how": a.description} for a in self.adapted],
            "new": [unfit_record(u) for u in self.new],
            "missing": [unfit_record(u) for u in self.missing],
            "mismatched": [unfit_record(u) for u in self.mismatched],
            "left_over": [{"name": n, "shape": list(s)} for n, s in self.left_over],
            "unused": [{"name": n, "shape": list(s)} for n, s in self.unused],
            "notes": list(self.notes),
        }

    def mismatch_error(self, file: str) -> SpecError:
        """What to say where something does not fit that nobody has declared."""
        counts = {
            "missing": len(self.missing),
            "mismatched": len(self.mismatched),
            "left over": len(self.left_over),
        }
        counted = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        hints = []
        if not self.matched_count:
            hints.append("no name in it is one of the model's; --from says whose names they are")
        elif self.unmatched_patterns:
            hints += (
                [f"{format_options('adapt', self.adapt_options)} to adapt them"] if self.adapt_options else []
            )
            hints.append(f"{format_options('allow-missing', self.unmatched_patterns)} to let them begin anew")
        if self.left_over and self.matched_count:
            hints.append(
                f"{format_options('allow-unused', (self.left_over[0][0],))} to leave such entries out"
            )
        return SpecError(
            "SB801",
            f"`{make_printable(file)}` does not fit the model: {counted}; nothing was written",
            hint="; ".join(hints),
        )


def format_options(what: str, patterns: Iterable[str]) -> str:
    """The options that declare an exception."""
    return " ".join(f"--{what} '{pattern}'" for pattern in list(patterns)[:MAX_STEPS])


def format_unfit(u: UnfitWeight) -> str:
    if not u.actual:
        return f"{u.path} {u.shape}"
    wanted = f", which would be {u.expected_shape}," if u.expected_shape != u.shape else ""
    return f"{u.path} {u.shape}; {u.file_name}{wanted} is {u.actual} in the file"


def unfit_record(u: UnfitWeight) -> dict[str, Any]:
    more = {"name": u.file_name, "wanted": list(u.expected_shape), "found": u.actual} if u.actual else {}
    return {"path": u.path, "shape": list(u.shape), **more}


def build_report(
    matched: MatchedWeights, exceptions: MatchExceptions, paths: list[str], notes: Iterable[str] = ()
) -> WeightReport:
    """The exceptions of a file, sorted by whether they were declared."""
    unfit_weights = (*matched.missing, *matched.mismatched)
    new = {u.path for u in unfit_weights if exceptions.is_allowed_missing(u.path)}
    lacking = {u.path for u in unfit_weights} - new
    idle = [f"nothing that is missing or left over matches {p!r}" for p in exceptions.idle_patterns(matched)]
    by = {a.declaration for a in matched.adapted}
    idle += [
        f"nothing of another size is adapted by {a.text!r}"
        for a in exceptions.adaptations
        if a.text not in by
    ]
    fitting = {
        mode: {u.path for u in matched.mismatched if u.suggested_mode == mode and u.path in lacking}
        for mode in MODES
    }
    return WeightReport(
        str(matched.naming),
        len(paths),
        len(matched.values) - len(matched.adapted),
        tuple(matched.adapted),
        tuple(u for u in unfit_weights if u.path in new),
        tuple(u for u in matched.missing if u.path in lacking),
        tuple(u for u in matched.mismatched if u.path in lacking),
        tuple(entry for entry in matched.left_over if not exceptions.is_allowed_unused(entry[0])),
        tuple(entry for entry in matched.left_over if exceptions.is_allowed_unused(entry[0])),
        tuple(dict.fromkeys(map(step_name, outermost_steps(new, paths)))),
        tuple(step_patterns(outermost_steps(lacking, paths))),
        tuple(f"{p}={mode}" for mode, some in fitting.items() for p in step_patterns(parent_steps(some))),
        (*notes, *idle),
    )


def outermost_steps(some: set[str], paths: list[str]) -> list[str]:
    """The widest steps whose every weight is among some, and weights that stand in none."""
    others = {head for path in paths if path not in some for head in parent_paths(path)}
    found = [next((h for h in parent_paths(path) if h not in others), path) for path in paths if path in some]
    return list(dict.fromkeys(found))


def parent_steps(some: set[str]) -> list[str]:
    """The steps that hold some weights."""
    return sorted({path.rpartition(".")[0] for path in some})


def step_name(step: str) -> str:
    """The name of a step in its path, without numbers of repeats."""
    return next((part for part in reversed(step.split(".")) if not part.isdigit()), step)


def step_patterns(steps: list[str]) -> list[str]:
    """What declares these steps: themselves, or where they are many, their names."""
    if len(steps) <= MAX_STEPS:
        return steps
    return list(dict.fromkeys(f"*.{step_name(s)}" if step_name(s) != s else s for s in steps))


def parent_paths(path: str) -> list[str]:
    """`a`, `a.b` for the weight `a.b.kernel`."""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
