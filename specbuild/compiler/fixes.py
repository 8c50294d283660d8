"""Applies hints to the text of a spec, where it is certain what to write. All other characters stay, comments too.

A hint is certain if it names one replacement for the word or the step at the error's place, and if the error is then
gone. The hint of a misspelt word counts only if one letter is wrong.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

import yaml
from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.compiler.line_fixes import Fix, fix_line
from specbuild.diagnostics.errors import SpecError, is_one_typo, normalize_word

MAX_SECONDS = (
    1.0  # of processor time for the checks before the last one: a large spec is checked once more, not often
)
SUGGESTED = re.compile(r"did you mean '([^']+)'\?")
REPLACEMENT = re.compile(r"(?:a colon is missing: )?write `([^`]+)`")
LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
WORD = re.compile(r"[^\s:,\[\]{}#'\"]+")
PLACEHOLDERS = ("...", "<", "\n")

FixGroup: TypeAlias = "list[tuple[SpecError, Fix]]"  # applied together
CheckFunction = Callable[[str], Sequence[SpecError]]  # the errors of a text


class FixedText(Struct):
    """A text with the fixes that were made in it, and the errors that are left."""

    text: str
    fixes: list[Fix] = field(default_factory=list)
    errors: Sequence[SpecError] = ()
    is_stopped: bool = False  # since checking took too long


def fix_text(text: str, check: CheckFunction, errors: Sequence[SpecError] | None = None) -> FixedText:
    """Apply the hints of the `errors` in a text as far as they are certain, and as long as checking is quick.

    Without `errors`, the text is checked for them first.

    Hints on different lines are applied together, and one after another only where this mends not all of their errors.
    """
    begin = time.process_time()
    fixed = FixedText(text, errors=check(text) if errors is None else errors)
    tried: set[tuple[str, tuple[Fix, ...]]] = set()
    while groups := [g for g in order_fix_groups(fixed) if (fixed.text, list_fixes(g)) not in tried]:
        for group in groups:
            if time.process_time() - begin > MAX_SECONDS:
                return replace(fixed, is_stopped=True)
            tried.add((fixed.text, list_fixes(group)))
            changed = apply_fixes(fixed.text, list_fixes(group))
            errors = check(changed)
            if all(is_mended(error, fixed.errors, errors) for error, _ in group):
                fixed = FixedText(changed, [*fixed.fixes, *list_fixes(group)], errors)
                break
        else:
            return fixed
    return fixed


def order_fix_groups(fixed: FixedText) -> list[FixGroup]:
    """Return which fixes to try, best first: one on each line together, then each alone."""
    single = list(possible_fixes(fixed.text, fixed.errors))
    together = list({fix.line: (error, fix) for error, fix in reversed(single)}.values())
    return [group for group in (together, *([pair] for pair in single)) if group]


def list_fixes(group: FixGroup) -> tuple[Fix, ...]:
    return tuple(fix for _, fix in sorted(group, key=lambda pair: pair[1].start))


def apply_fixes(text: str, fixes: Sequence[Fix]) -> str:
    """Return the text with fixes that do not overlap, in the order of their places."""
    for fix in reversed(fixes):
        text = fix.apply_to(text)
    return text


def is_mended(error: SpecError, before: Sequence[SpecError], after: Sequence[SpecError]) -> bool:
    """Return whether an error is gone and its line has no new one: later lines may have errors that it hid."""
    return error.message not in {e.message for e in errors_beside(error, after)} and len(
        errors_beside(error, after)
    ) < len(errors_beside(error, before))


def errors_beside(error: SpecError, errors: Sequence[SpecError]) -> list[SpecError]:
    """Return the errors on the line of an error."""
    assert error.location is not None
    line = (error.location.file, error.location.line)
    return [e for e in errors if e.location is not None and (e.location.file, e.location.line) == line]


def possible_fixes(text: str, errors: Sequence[SpecError]) -> Iterator[tuple[SpecError, Fix]]:
    """Yield each error whose hint says what to write at its place."""
    starts = line_starts(text)
    for error in errors:
        location = error.location
        if location is None or location.line > len(starts) or error.code == "SB103":
            continue  # what is missing is only an example in the hint
        start = starts[location.line - 1] + location.column - 1
        fix = (
            misspelt_word(text, start, error)
            or fix_line(text, start, error)
            or replaced_entry(text, start, error)
        )
        if fix is not None and fix.text != fix.old:
            yield error, fix


def line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def misspelt_word(text: str, start: int, error: SpecError) -> Fix | None:
    """Return the fix of `did you mean 'conv'?`, if one letter is wrong, or case and underscores."""
    match, word = SUGGESTED.fullmatch(error.hint), WORD.match(text, start)
    assert error.location is not None
    if match is None or word is None or repr(word[0]) not in error.message:
        return None
    wrong, right = word[0], match[1]
    if not (is_one_typo(wrong, right) or normalize_word(wrong) == normalize_word(right)):
        return None
    if re.sub(r"\D", "", wrong) != re.sub(r"\D", "", right):
        return None  # another number may be as likely
    return Fix(start, word.end(), right, error.location.line, wrong)


def replaced_entry(text: str, start: int, error: SpecError) -> Fix | None:
    """Return the fix of ``write `linear: {features: 10}` ``: the key at the error's place and its value, or an item."""
    match = REPLACEMENT.fullmatch(error.hint)
    if match is None or any(mark in match[1] for mark in PLACEHOLDERS):
        return None
    span = entry_span(text, start)
    if span is None:
        return None
    old = text[start : span[1]]
    if "\n" in old or "#" in old:
        return None  # comments between the lines would be lost
    written = match[1].removeprefix("- ")
    new, colon, rest = written.partition(": ")
    if text[:start].endswith(f"{new}: "):  # the place is that of the value: `dropout: 0.5`
        written = rest
    key, old_colon, old_rest = old.partition(":")
    assert error.location is not None
    if colon and old_colon and is_equally_written(rest, old_rest.strip()):
        return Fix(start, start + len(key), new, error.location.line, key)
    return Fix(start, span[1], written, error.location.line, old)


def is_equally_written(a: str, b: str) -> bool:
    """Return whether two texts are the same value: `1e-5` is 1.0e-05."""
    try:
        return a == b or float(a) == float(b)
    except ValueError:
        return False


def entry_span(text: str, start: int) -> tuple[int, int] | None:
    """Return the start and the end of the key that starts at an index, with its value, or of an item of a list."""
    end = entry_ends(text).get(start)
    return None if end is None else (start, end)


@lru_cache(maxsize=1)
def entry_ends(text: str) -> dict[int, int]:
    """Return where the entries end that start at each index."""
    try:
        root = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError:
        return {}
    ends: dict[int, int] = {}
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                start, end = key.start_mark.index, value.end_mark.index
                if value.start_mark.index == end:  # no value: up to the colon, if there is one
                    colon = re.compile(r"\s*:").match(text, key.end_mark.index)
                    end = colon.end() if colon else key.end_mark.index
                ends.setdefault(start, start + len(text[start:end].rstrip()))
                waiting += [key, value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        else:
            ends.setdefault(node.start_mark.index, node.end_mark.index)
    return ends
