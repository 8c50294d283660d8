"""A model that was put under a step of another, or taken out of one: all its paths got, or lost, one prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

MIN_SHARE = 0.75  # of the paths, so that a few other changes hide nothing
MIN_PATHS = 2


def find_prefix(short: Iterable[str], long: Iterable[str], fits: Callable[[str, str], bool]) -> str:
    """Return the prefix under which most of the `short` paths are found among the `long` ones; "" if there is none.

    `fits` tells for a short and a long path whether they can be the same step. Paths that both have as they are count
    against the prefix.
    """
    known, others = set(short), set(long)
    counts: Counter[str] = Counter()
    for path in others:
        parts = path.split(".")
        for i in range(1, len(parts)):
            rest = ".".join(parts[i:])
            if rest in known and fits(rest, path):
                counts[".".join(parts[:i])] += 1
    unmoved = sum(path in others and fits(path, path) for path in known)
    prefix, count = max(counts.items(), key=lambda item: (item[1], -len(item[0])), default=("", 0))
    return prefix if count >= MIN_PATHS and count > MIN_SHARE * len(known) and count > unmoved else ""


def moved_prefix(pairs: Mapping[str, str]) -> tuple[str, str]:
    """Return the prefixes, before and after, that all pairs of paths have beside a common rest; one of them is "".

    Both are "" if the pairs do not have them.
    """
    for forward in (True, False):
        sides = [(old, new) if forward else (new, old) for old, new in pairs.items()]
        if len(sides) < MIN_PATHS:
            break
        short, long = sides[0]
        prefix = long.removesuffix(f".{short}") if long.endswith(f".{short}") else ""
        if prefix and all(long == f"{prefix}.{short}" for short, long in sides):
            return ("", prefix) if forward else (prefix, "")
    return "", ""
