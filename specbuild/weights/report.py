"""What became of a file's tensors, in words and as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from specbuild.diagnostics.errors import SpecError, printable
from specbuild.weights.adapt_options import MODES
from specbuild.weights.matching import Adapted, Carried, Declared, Unfit

MOST_PLACES = 4  # steps named in one line


@dataclass(frozen=True)
class Report:
    """How many weights the model has, which were carried, which are new, and what does not fit."""

    names: str  # the names that the file goes by
    total: int
    carried: int
    adapted: tuple[Adapted, ...]
    new: tuple[Unfit, ...]
    missing: tuple[Unfit, ...]
    mismatched: tuple[Unfit, ...]
    left_over: tuple[tuple[str, tuple[int, ...]], ...]
    unused: tuple[tuple[str, tuple[int, ...]], ...]  # left over, and declared so
    places: tuple[str, ...] = ()  # of the new weights: names of steps
    lacking: tuple[str, ...] = ()  # patterns that fit those that are missing or mismatched
    adaptable: tuple[str, ...] = ()  # what declares how some of these are adapted
    notes: tuple[str, ...] = field(default=())

    @property
    def fits(self) -> bool:
        return not (self.missing or self.mismatched or self.left_over)

    def summary(self) -> str:
        """One line: `318 of 320 carried, 2 new (cbam), 0 mismatched, 0 left over`."""
        shown = [*self.places[:MOST_PLACES], *(["..."] if len(self.places) > MOST_PLACES else [])]
        parts = [f"{self.carried} of {self.total} carried"]
        parts += [f"{len(self.adapted)} adapted"] if self.adapted else []
        parts.append(f"{len(self.new)} new" + (f" ({', '.join(shown)})" if shown else ""))
        parts += [f"{len(self.missing)} missing"] if self.missing else []
        parts += [f"{len(self.mismatched)} mismatched", f"{len(self.left_over)} left over"]
        parts += [f"{len(self.unused)} unused"] if self.unused else []
        return ", ".join(parts)

    def lines(self) -> Iterator[str]:
        """The summary, and each exception by its name."""
        yield self.summary()
        rows = [
            *(("missing", told(u)) for u in self.missing),
            *(("mismatched", told(u)) for u in self.mismatched),
            *(("left over", f"{name} {shape}") for name, shape in self.left_over),
            *(("adapted", f"{told(a.weight)}: {a.how}") for a in self.adapted),
            *(("new", told(u)) for u in self.new),
            *(("unused", f"{name} {shape}") for name, shape in self.unused),
        ]
        wide = max((len(kind) for kind, _ in rows), default=0)
        yield from (f"  {kind:{wide}}  {printable(text, 400)}" for kind, text in rows)
        yield from (f"  note: {printable(note, 400)}" for note in self.notes)

    def record(self) -> dict[str, Any]:
        return {
            "names": self.names,
            "weights": self.total,
            "carried": self.carried,
            "adapted": [{**unfit(a.weight), "how": a.how} for a in self.adapted],
            "new": [unfit(u) for u in self.new],
            "missing": [unfit(u) for u in self.missing],
            "mismatched": [unfit(u) for u in self.mismatched],
            "left_over": [{"name": n, "shape": list(s)} for n, s in self.left_over],
            "unused": [{"name": n, "shape": list(s)} for n, s in self.unused],
            "notes": list(self.notes),
        }

    def fault(self, file: str) -> SpecError:
        """What to say where something does not fit that nobody has declared."""
        counts = {
            "missing": len(self.missing),
            "mismatched": len(self.mismatched),
            "left over": len(self.left_over),
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        hints = []
        if not self.carried:
            hints.append("no name in it is one of the model's; --from says whose names they are")
        elif self.lacking:
            hints += [f"{allowed('adapt', self.adaptable)} to adapt them"] if self.adaptable else []
            hints.append(f"{allowed('allow-missing', self.lacking)} to let them begin anew")
        if self.left_over and self.carried:
            hints.append(f"{allowed('allow-unused', (self.left_over[0][0],))} to leave such entries out")
        return SpecError(
            "SB801",
            f"`{printable(file)}` does not fit the model: {said}; nothing was written",
            hint="; ".join(hints),
        )


def allowed(what: str, patterns: Iterable[str]) -> str:
    """The options that declare an exception."""
    return " ".join(f"--{what} '{pattern}'" for pattern in list(patterns)[:MOST_PLACES])


def told(u: Unfit) -> str:
    if not u.found:
        return f"{u.path} {u.shape}"
    wanted = f", which would be {u.wanted}," if u.wanted != u.shape else ""
    return f"{u.path} {u.shape}; {u.name}{wanted} is {u.found} in the file"


def unfit(u: Unfit) -> dict[str, Any]:
    more = {"name": u.name, "wanted": list(u.wanted), "found": u.found} if u.found else {}
    return {"path": u.path, "shape": list(u.shape), **more}


def report(found: Carried, declared: Declared, paths: list[str], notes: Iterable[str] = ()) -> Report:
    """The exceptions of a file, sorted by whether they were declared."""
    unfit = (*found.missing, *found.mismatched)
    new = {u.path for u in unfit if declared.new(u.path)}
    lacking = {u.path for u in unfit} - new
    idle = [f"nothing that is missing or left over matches {p!r}" for p in declared.idle(found)]
    by = {a.by for a in found.adapted}
    idle += [
        f"nothing of another size is adapted by {a.text!r}" for a in declared.adapted if a.text not in by
    ]
    fitting = {
        mode: {u.path for u in found.mismatched if u.advice == mode and u.path in lacking} for mode in MODES
    }
    return Report(
        str(found.naming),
        len(paths),
        len(found.values) - len(found.adapted),
        tuple(found.adapted),
        tuple(u for u in unfit if u.path in new),
        tuple(u for u in found.missing if u.path in lacking),
        tuple(u for u in found.mismatched if u.path in lacking),
        tuple(entry for entry in found.left_over if not declared.unused(entry[0])),
        tuple(entry for entry in found.left_over if declared.unused(entry[0])),
        tuple(dict.fromkeys(map(named, outermost(new, paths)))),
        tuple(patterns(outermost(lacking, paths))),
        tuple(f"{p}={mode}" for mode, some in fitting.items() for p in patterns(holders(some))),
        (*notes, *idle),
    )


def outermost(some: set[str], paths: list[str]) -> list[str]:
    """The widest steps whose every weight is among some, and weights that stand in none."""
    others = {head for path in paths if path not in some for head in heads(path)}
    found = [next((h for h in heads(path) if h not in others), path) for path in paths if path in some]
    return list(dict.fromkeys(found))


def holders(some: set[str]) -> list[str]:
    """The steps that hold some weights."""
    return sorted({path.rpartition(".")[0] for path in some})


def named(step: str) -> str:
    """The name of a step in its path, without numbers of repeats."""
    return next((part for part in reversed(step.split(".")) if not part.isdigit()), step)


def patterns(steps: list[str]) -> list[str]:
    """What declares these steps: themselves, or where they are many, their names."""
    if len(steps) <= MOST_PLACES:
        return steps
    return list(dict.fromkeys(f"*.{named(s)}" if named(s) != s else s for s in steps))


def heads(path: str) -> list[str]:
    """`a`, `a.b` for the weight `a.b.kernel`."""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
