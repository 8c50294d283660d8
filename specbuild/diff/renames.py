"""Reduce renames to the outermost renamed block or group, and write rules that rename its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from specbuild.diff.compare import Comparison
from specbuild.diff.flatten import enclosing_paths
from specbuild.diff.match_steps import count_renames, likely_renames
from specbuild.diff.whole_moves import moved_prefix

FIELD_NAMES = "ijklmn"


def widest_renames(pairs: Mapping[str, str], renamed: Iterable[str]) -> dict[str, str]:
    """Reduce the renames of `renamed` to the outermost blocks and groups, and what they do not explain.

    `pairs` maps the path before to the path after for every paired step. The outermost renames come first.
    """
    container_renames = moved_containers(pairs)
    renames: dict[str, str] = {}
    for old_path in renamed:
        old, new = "", ""  # the innermost rename found so far
        for container in enclosing_paths(old_path):
            new_container = container_renames.get(container)
            if new_container is not None and new_container != apply_rename(container, old, new):
                renames[container] = new_container
                old, new = container, new_container
        if apply_rename(old_path, old, new) != pairs[old_path]:
            renames[old_path] = pairs[old_path]
    return dict(sorted(renames.items(), key=lambda pair: pair[0].count(".")))


def apply_rename(path: str, old: str, new: str) -> str:
    return f"{new}{path[len(old) :]}" if old else path


def moved_containers(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return renamed blocks and groups: all their steps are in the new one, most under the same names."""
    before, after = count_contained_steps(pairs), count_contained_steps(pairs.values())
    counts = count_renames(pairs)
    likely = likely_renames(counts)
    inside: dict[str, int] = {}
    for old_path, new_path in pairs.items():
        for container in enclosing_paths(old_path):
            if container in likely and new_path.startswith(f"{likely[container]}."):
                inside[container] = inside.get(container, 0) + 1
    return {
        old: new
        for old, new in likely.items()
        if inside.get(old) == before[old] == after[new] and 2 * counts[old][new] > before[old]
    }


def count_contained_steps(paths: Iterable[str]) -> dict[str, int]:
    """Count the steps inside each block and group."""
    counts: dict[str, int] = {}
    for path in paths:
        for container in enclosing_paths(path):
            counts[container] = counts.get(container, 0) + 1
    return counts


def former_weight_rules(diff: Comparison) -> dict[str, str]:
    """Return rules for the `weights` of the new spec: old names in PyTorch's state_dict -> new names.

    The first rule that matches a name applies, so the innermost come first.
    """
    moved_steps = {
        w.before.rpartition(".")[0] for w in diff.weights_with_fate("moved") if w.before is not None
    }
    weighted_steps = {
        path: new for path, new in diff.matching.path_after.items() if diff.before.steps[path].weights
    }
    weight_steps = {path for path in moved_steps if diff.before.steps[path].op.name == "weight"}
    old_prefix, new_prefix = moved_prefix(weighted_steps)
    if old_prefix or new_prefix:
        return {join_rest(old_prefix): join_rest(new_prefix)}
    renames = widest_renames(weighted_steps, (path for path in weighted_steps if path in moved_steps))
    return {
        old if old in weight_steps else f"{old}.{{rest}}": new if old in weight_steps else f"{new}.{{rest}}"
        for old, new in reversed(
            merge_numbered_renames(renames, [*weighted_steps, *count_contained_steps(weighted_steps)]).items()
        )
    }


def join_rest(prefix: str) -> str:
    """Return the pattern of all names under a prefix."""
    return f"{prefix}.{{rest}}" if prefix else "{rest}"


def merge_numbered_renames(renames: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    """Join renames that differ only in an index, if they cover all paths of that pattern."""
    paths_by_template: dict[str, set[str]] = {}
    for path in paths:
        paths_by_template.setdefault(path_template(path), set()).add(path)
    groups: dict[tuple[str, str], list[str]] = {}
    for old, new in renames.items():
        same_indices = re.findall(r"(?<=\.)\d+(?=\.|$)", old) == re.findall(r"(?<=\.)\d+(?=\.|$)", new)
        key = (path_template(old), path_template(new)) if same_indices else (old, new)
        groups.setdefault(key, []).append(old)
    merged: dict[str, str] = {}
    for (old, new), members in groups.items():
        if len(members) > 1 and paths_by_template.get(old) == set(members):
            merged[old] = new
        else:
            merged |= {member: renames[member] for member in members}
    return merged


def path_template(path: str) -> str:
    """Return a path with fields in place of its indices: `layer1.{i}.conv`."""
    fields = iter(FIELD_NAMES)
    return ".".join("{" + next(fields, "i") + "}" if part.isdigit() else part for part in path.split("."))
