"""Renames told once: the widest block or group that has another name, and rules that carry its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from specbuild.diff.compare import Diff
from specbuild.diff.flat import prefixes
from specbuild.diff.match import lifted

FIELDS = "ijklmn"


def widest(pairs: Mapping[str, str], renamed: Iterable[str]) -> dict[str, str]:
    """The renames of `renamed`, each as the widest thing whose steps have all gone along; `pairs` has every step."""
    before, after = counts(pairs), counts(pairs.values())
    votes: dict[tuple[str, str], int] = {}
    for was, now in pairs.items():
        for pair in lifted(was, now):
            votes[pair] = votes.get(pair, 0) + 1
    found: dict[str, str] = {}
    for was in renamed:
        told = (was, pairs[was])
        for pair in lifted(*told):
            if votes[pair] == before[pair[0]] == after[pair[1]]:
                told = pair
        found[told[0]] = told[1]
    return found


def counts(paths: Iterable[str]) -> dict[str, int]:
    """How many steps there are in everything that holds some."""
    found: dict[str, int] = {}
    for path in paths:
        for around in prefixes(path):
            found[around] = found.get(around, 0) + 1
    return found


def rules(diff: Diff) -> dict[str, str]:
    """A section of `weights` for a spec: the names that PyTorch's state_dict had before, and those that it has now."""
    steps = {w.before.rpartition(".")[0] for w in diff.of("moved") if w.before is not None}
    held = {path: now for path, now in diff.matching.new.items() if diff.before.steps[path].weights}
    lone = {path for path in steps if diff.before.steps[path].op.name == "weight"}
    found = widest(held, (path for path in held if path in steps))
    return {
        was if was in lone else f"{was}.{{rest}}": now if was in lone else f"{now}.{{rest}}"
        for was, now in numbered(found, [*held, *counts(held)]).items()
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
