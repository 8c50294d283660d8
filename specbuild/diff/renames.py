"""Renames told once: the widest block or group that has another name, and rules that carry its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from specbuild.diff.compare import Comparison
from specbuild.diff.flatten import prefixes
from specbuild.diff.match_steps import lifted

FIELDS = "ijklmn"


def widest(pairs: Mapping[str, str], renamed: Iterable[str]) -> dict[str, str]:
    """The renames of `renamed`, each told by the widest thing that took its steps along, and again where that is not all.

    `pairs` has every step of both models. The widest stand first.
    """
    whole = moved(pairs)
    found: dict[str, str] = {}
    for was in renamed:
        old, new = "", ""  # what is told of so far: `new` holds what `old` held
        for around in prefixes(was):
            now = whole.get(around)
            if now is not None and now != translated(around, old, new):
                found[around] = now
                old, new = around, now
        if translated(was, old, new) != pairs[was]:
            found[was] = pairs[was]
    return dict(sorted(found.items(), key=lambda pair: pair[0].count(".")))


def translated(path: str, old: str, new: str) -> str:
    return f"{new}{path[len(old) :]}" if old else path


def moved(pairs: Mapping[str, str]) -> dict[str, str]:
    """Blocks and groups that are others now: all steps of the one went into the other, most under the same names."""
    before, after = counts(pairs), counts(pairs.values())
    votes: dict[str, dict[str, int]] = {}
    for was, now in pairs.items():
        for old, new in lifted(was, now):
            here = votes.setdefault(old, {})
            here[new] = here.get(new, 0) + 1
    likely = {old: max(here, key=lambda new: here[new]) for old, here in votes.items()}
    inside: dict[str, int] = {}
    for was, now in pairs.items():
        for around in prefixes(was):
            if around in likely and now.startswith(f"{likely[around]}."):
                inside[around] = inside.get(around, 0) + 1
    return {
        old: new
        for old, new in likely.items()
        if inside.get(old) == before[old] == after[new] and 2 * votes[old][new] > before[old]
    }


def counts(paths: Iterable[str]) -> dict[str, int]:
    """How many steps there are in everything that holds some."""
    found: dict[str, int] = {}
    for path in paths:
        for around in prefixes(path):
            found[around] = found.get(around, 0) + 1
    return found


def rules(diff: Comparison) -> dict[str, str]:
    """A section of `weights` for a spec: the names that PyTorch's state_dict had before, and those that it has now.

    The first rule that fits is taken, so the narrowest stand first.
    """
    steps = {w.before.rpartition(".")[0] for w in diff.of("moved") if w.before is not None}
    held = {path: now for path, now in diff.matching.new.items() if diff.before.steps[path].weights}
    lone = {path for path in steps if diff.before.steps[path].op.name == "weight"}
    found = widest(held, (path for path in held if path in steps))
    return {
        was if was in lone else f"{was}.{{rest}}": now if was in lone else f"{now}.{{rest}}"
        for was, now in reversed(numbered(found, [*held, *counts(held)]).items())
    }


def numbered(found: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    """Renames alike but for a number in both paths as one, if no other step of that form is left out."""
    every: dict[str, set[str]] = {}
    for path in paths:
        every.setdefault(form(path), set()).add(path)
    groups: dict[tuple[str, str], list[str]] = {}
    for was, now in found.items():
        alike = re.findall(r"(?<=\.)\d+(?=\.|$)", was) == re.findall(r"(?<=\.)\d+(?=\.|$)", now)
        key = (form(was), form(now)) if alike else (was, now)
        groups.setdefault(key, []).append(was)
    told: dict[str, str] = {}
    for (was, now), members in groups.items():
        if len(members) > 1 and every.get(was) == set(members):
            told[was] = now
        else:
            told |= {member: found[member] for member in members}
    return told


def form(path: str) -> str:
    """A path with fields for its numbers: `layer1.{i}.conv`."""
    fields = iter(FIELDS)
    return ".".join("{" + next(fields, "i") + "}" if part.isdigit() else part for part in path.split("."))
