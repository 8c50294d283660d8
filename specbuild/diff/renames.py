"""Reduce renames to the outermost renamed block or group, and write rules that rename its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from specbuild.diff.compare import Comparison
from specbuild.diff.flatten import enclosing_paths
from specbuild.diff.match_steps import implied_renames

FIELD_NAMES = "ijklmn"


def widest_renames(pairs: Mapping[str, str], renamed: Iterable[str]) -> dict[str, str]:
    """Reduce the renames of `renamed` to the outermost blocks and groups, and what they do not explain.

    `pairs` maps the path before to the path after for every paired step. The outermost renames come first.
    """
    whole = moved_containers(pairs)
    renames: dict[str, str] = {}
    for was in renamed:
        old, new = "", ""  # the innermost rename found so far
        for around in enclosing_paths(was):
            now = whole.get(around)
            if now is not None and now != apply_rename(around, old, new):
                renames[around] = now
                old, new = around, now
        if apply_rename(was, old, new) != pairs[was]:
            renames[was] = pairs[was]
    return dict(sorted(renames.items(), key=lambda pair: pair[0].count(".")))


def apply_rename(path: str, old: str, new: str) -> str:
    return f"{new}{path[len(old) :]}" if old else path


def moved_containers(pairs: Mapping[str, str]) -> dict[str, str]:
    """Renamed blocks and groups: all their steps are in the new one, most under the same names."""
    before, after = count_contained_steps(pairs), count_contained_steps(pairs.values())
    votes: dict[str, dict[str, int]] = {}
    for was, now in pairs.items():
        for old, new in implied_renames(was, now):
            here = votes.setdefault(old, {})
            here[new] = here.get(new, 0) + 1
    likely = {old: max(here, key=lambda new: here[new]) for old, here in votes.items()}
    inside: dict[str, int] = {}
    for was, now in pairs.items():
        for around in enclosing_paths(was):
            if around in likely and now.startswith(f"{likely[around]}."):
                inside[around] = inside.get(around, 0) + 1
    return {
        old: new
        for old, new in likely.items()
        if inside.get(old) == before[old] == after[new] and 2 * votes[old][new] > before[old]
    }


def count_contained_steps(paths: Iterable[str]) -> dict[str, int]:
    """Count the steps inside each block and group."""
    counts: dict[str, int] = {}
    for path in paths:
        for around in enclosing_paths(path):
            counts[around] = counts.get(around, 0) + 1
    return counts


def weight_rules(diff: Comparison) -> dict[str, str]:
    """Rules for the `weights` of the new spec: old names in PyTorch's state_dict -> new names.

    The first rule that matches a name applies, so the innermost come first.
    """
    steps = {w.before.rpartition(".")[0] for w in diff.weights_with_fate("moved") if w.before is not None}
    weighted_steps = {
        path: now for path, now in diff.matching.path_after.items() if diff.before.steps[path].weights
    }
    lone = {path for path in steps if diff.before.steps[path].op.name == "weight"}
    renames = widest_renames(weighted_steps, (path for path in weighted_steps if path in steps))
    return {
        was if was in lone else f"{was}.{{rest}}": now if was in lone else f"{now}.{{rest}}"
        for was, now in reversed(
            merge_numbered_renames(renames, [*weighted_steps, *count_contained_steps(weighted_steps)]).items()
        )
    }


def merge_numbered_renames(renames: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    """Join renames that differ only in an index, if they cover all paths of that pattern."""
    every: dict[str, set[str]] = {}
    for path in paths:
        every.setdefault(path_template(path), set()).add(path)
    groups: dict[tuple[str, str], list[str]] = {}
    for was, now in renames.items():
        alike = re.findall(r"(?<=\.)\d+(?=\.|$)", was) == re.findall(r"(?<=\.)\d+(?=\.|$)", now)
        key = (path_template(was), path_template(now)) if alike else (was, now)
        groups.setdefault(key, []).append(was)
    merged: dict[str, str] = {}
    for (was, now), members in groups.items():
        if len(members) > 1 and every.get(was) == set(members):
            merged[was] = now
        else:
            merged |= {member: renames[member] for member in members}
    return merged


def path_template(path: str) -> str:
    """A path with fields in place of its indices: `layer1.{i}.conv`."""
    fields = iter(FIELD_NAMES)
    return ".".join("{" + next(fields, "i") + "}" if part.isdigit() else part for part in path.split("."))
