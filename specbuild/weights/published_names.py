"""Rename published weights to a model's own names, by the rules in the `weights` section of its spec.

    weights:
      torchvision:
        features.0.{rest}: stem.{rest}
        layers.{i}.in_proj_{rest}: {split: 0, into: [blocks.{i + 1}.query.{rest}, blocks.{i + 1}.key.{rest}]}
        layers.{i}.layer_scale: {to: "blocks.{i + 1}.scale", reshape: true}
        layers.{i}.{rest}: blocks.{i + 1}.{rest}
        head.weight: {to: classifier.weight, transpose: [1, 0]}
        "{rest}.{word}_norm.gamma": "{rest}.{word}.norm.weight"
        "*.position_index": {ignore: true}

The left side is a name in the published file. The right side is the model's name in the same framework: a key
of the state_dict in PyTorch, or the path of a variable in Keras, for namings whose name begins with `keras`.
It may also be the path that specbuild prints, such as `classifier.kernel`.

A part of a `split` with the name "" is left out.

On the left, the field `{rest}` matches any text, `{word}` a part of a name without dots and slashes, `{i}` a
number, `{letter}` a small letter, whose value is its number (0 for a), and `{i < 5}` a number for which this is true;
`*` matches any text or none. Further fields are called
`{rest2}` and `{word2}`. On the right, braces contain expressions of these fields. Conditions and expressions can also
read the parameters of the model and what its `let` names: `{i < 2 * depths[0]}`. The first matching rule applies. A name
without a matching rule is not changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field

from specbuild.backends.registry import all_backend_names, load_backend
from specbuild.compiler.weight_locations import (
    WeightLocation,
    framework_shapes,
    group_by_tensor,
    locate_weights,
)
from specbuild.diagnostics.errors import make_printable
from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.expressions import ExpressionError, evaluate_expression, referenced_names
from specbuild.frontend.source import Source, SourceAddress
from specbuild.ir.graph import Block

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

Shape: TypeAlias = tuple[int, ...]
Fields: TypeAlias = Mapping[str, int | str]

FIELD_PATTERN = re.compile(r"\{([^{}]*)\}")
TARGET_TEXT = re.compile(r"[\w./-]*")
NAME_FIELD = re.compile(r"(rest|word|letter)[0-9]*")  # all other fields are numbers
# What a match may try grows with the length of a name to the power of these.
MAX_OPEN_PARTS, MAX_WORDS = 3, 8
MAX_NAME = 512  # characters; a longer name matches no rule
FIELD_VALUES = {"rest": ".+", "word": "[^./]+", "letter": "[a-z]"}


def convert_published_weights(model: Block, naming: str, entries: Mapping[str, Array]) -> dict[str, Array]:
    """Rename and reshape the entries of a published file for the emitted model.

    Every weight must get a value, but for tables whose numbers the spec gives. Raises SpecError SB801, which lists all
    entries that are left over, missing or of another shape.
    """
    framework = naming_framework(naming)
    weights = locate_weights(model, framework)
    shapes = framework_shapes(weights)
    needed = framework_shapes([weight for weight in weights if weight.spec.given is None])
    known = {**shapes, **dict.fromkeys(load_backend(framework).counter_names(shapes), ())}
    renamed = rename_tensors(model, naming, entries, weights)
    left_over = [
        name if own == name else f"{name} (as {own})"
        for own, name in renamed.origins.items()
        if own not in known
    ]
    misshapen = [
        f"{renamed.origins[own]} gives {part.shape} for {own} {known[own]}"
        for own, part in renamed.values.items()
        if own in known and part.shape != known[own]
    ]
    problems = {
        "left over": left_over,
        "missing": [name for name in needed if name not in renamed.values],
        "of another shape": misshapen,
        "given twice": renamed.duplicates,
    }
    problems = {problem: names for problem, names in problems.items() if names}
    if problems:
        counts = join_names([f"{len(names)} {problem}" for problem, names in problems.items()])
        trail = tuple(f"{problem}: {', '.join(names)}" for problem, names in problems.items())
        raise weights_section(model, naming).error(
            "SB801", f"the weights of {naming} do not match {model.name}: {counts}", key=True, trail=trail
        )
    return renamed.values


def naming_framework(naming: str) -> str:
    """Return the framework to whose names the rules of a naming scheme map: the one that its name begins with, else the first."""
    names = all_backend_names()
    return max((name for name in names if naming.startswith(name)), key=len, default=names[0])


class RenamedTensors(Struct):
    """Entries of a published file by the model's own names, and the published name of each."""

    values: dict[str, Array] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)


class OwnNames(Struct, frozen=True):
    """The names of a model's weights in a framework, with their shapes; `paths` are the names that specbuild prints."""

    shapes: Mapping[str, Shape]
    paths: Mapping[str, str]  # canonical path -> name in the framework

    def resolve(self, name: str) -> str:
        """Return the name in the framework of a weight that is given by either of its names."""
        return name if name in self.shapes else self.paths.get(name, name)


def find_own_names(weights: Iterable[WeightLocation], path: str = "", prefix: str = "") -> OwnNames:
    """Return the names of the weights of a model, or of its part with these prefixes in canonical and framework names."""
    groups = group_by_tensor(w for w in weights if w.path.startswith(path))
    shapes = framework_shapes(w for sharing in groups.values() for w in sharing)
    paths = {
        sharing[0].path.removeprefix(path): name.removeprefix(prefix)
        for name, sharing in groups.items()
        if len(sharing) == 1
    }
    return OwnNames({name.removeprefix(prefix): shape for name, shape in shapes.items()}, paths)


def rename_tensors(
    model: Block,
    naming: str,
    entries: Mapping[str, Array],
    weights: Iterable[WeightLocation],
    path: str = "",
    prefix: str = "",
) -> RenamedTensors:
    """Apply the rules of a naming to the entries.

    If `model` is a part of a larger model, `weights` are those of the whole, and `path` and `prefix` the
    beginnings of the part's names, in canonical names and in the framework.
    """
    rules = load_rules(model, naming)
    own_names = find_own_names(weights, path, prefix)
    renamed = RenamedTensors()
    for published_name, value in entries.items():
        for own_name, part in apply_rules(rules, published_name, value, own_names).items():
            name = f"{prefix}{own_name}"
            if name in renamed.values:
                renamed.duplicates.append(f"{name} (by {published_name})")
            else:
                renamed.values[name], renamed.origins[name] = part, published_name
    return renamed


def apply_rules(
    rules: Iterable[RenameRule], name: str, value: Array, own_names: OwnNames
) -> Mapping[str, Array]:
    """Rename an entry by the first rule that matches; the result has several names if the rule splits it."""
    for rule in rules:
        fields = rule.match_name(name)
        if fields is not None:
            return rule.rename_tensor(fields, value, own_names)
    return {name: value}


class RenameRule(Struct, frozen=True):
    """What to do with the entries whose names match a template."""

    pattern: re.Pattern[str]
    conditions: tuple[str, ...]
    targets: tuple[str, ...]  # empty: the entry is ignored
    split: int | None
    transpose: tuple[int, ...] | None
    reshape: bool
    at: SourceAddress
    params: Mapping[str, Any]  # the values of the model's parameters, and of the names under `let`

    def match_name(self, name: str) -> Fields | None:
        """Return the values of the template's fields; None if the name does not match."""
        match = self.pattern.fullmatch(name) if len(name) <= MAX_NAME else None
        if match is None:
            return None
        fields = {key: field_value(key, text) for key, text in match.groupdict().items()}
        env = {**self.params, **fields}
        return fields if all(evaluate_field(c, env, self.at) for c in self.conditions) else None

    def rename_tensor(self, fields: Fields, value: Array, own_names: OwnNames) -> dict[str, Array]:
        """Return the value, or its parts, by the model's names in the framework."""
        if not self.targets:
            return {}
        env = {**self.params, **fields}
        names = [own_names.resolve(fill_template(target, env, self.at)) for target in self.targets]
        shapes = own_names.shapes
        parts = [value] if self.split is None else split_tensor(value, self.split, len(names), self.at)
        renamed = {}
        for name, part in zip(names, parts, strict=True):
            if not name:
                continue
            if self.transpose is not None and len(self.transpose) == part.ndim:
                part = part.transpose(self.transpose)
            if self.reshape and name in shapes and prod(shapes[name]) == part.size:
                part = part.reshape(shapes[name])
            renamed[name] = part
        return renamed


def load_rules(model: Block, naming: str) -> list[RenameRule]:
    """Return the rules in a model's spec for one naming; raises SpecError SB202 if there are none."""
    at = weights_section(model, naming)
    namings = at.source.data.get("weights") or {}
    if naming not in namings:
        hint = suggest_name(naming, namings, "it has weights of", otherwise="it has no `weights`")
        raise at.error("SB202", f"{at.source.file} has no weights of {naming!r}", hint)
    return parse_rules(namings[naming], at, {**model.params, **evaluate_let(at.source, model.params)})


def evaluate_let(source: Source, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the names under `let`, without those that read sizes of inputs."""
    values: dict[str, Any] = {}
    for name, expression in (source.data.get("let") or {}).items():
        with suppress(ExpressionError):
            values[name] = evaluate_expression(str(expression), {**params, **values})
    return values


def check_rules(source: Source) -> None:
    """Parse the rules of a file for all namings; raises SpecError."""
    params = {**(source.data.get("params") or {}), **(source.data.get("let") or {})}
    for naming, rules in (source.data.get("weights") or {}).items():
        parse_rules(rules, source.address_of(("weights", naming)), params)


def parse_rules(
    rules: Mapping[str, Any] | None, at: SourceAddress, params: Mapping[str, Any]
) -> list[RenameRule]:
    return [parse_rule(template, raw, at.child(template), params) for template, raw in (rules or {}).items()]


def weights_section(model: Block, naming: str) -> SourceAddress:
    """Return the address of the rules: in the file of the model, or before it, in one whose model is an alias of it."""
    sources = [at.source for at in (*model.alias_at, model.at)]
    source = next((s for s in sources if naming in (s.data.get("weights") or {})), sources[-1])
    return source.address_of(("weights", naming))


def parse_rule(template: str, raw: Any, at: SourceAddress, params: Mapping[str, Any]) -> RenameRule:
    """Parse one rule, whose form the schema has already checked; raises SpecError."""
    options: Mapping[str, Any] = {"to": raw} if isinstance(raw, str) else raw
    if len({"to", "into", "ignore"} & set(options)) != 1:
        raise at.error("SB802", "a rule needs one of `to: a`, `split: 0, into: [a, b]` and `ignore: true`")
    targets = tuple(options.get("into", [options["to"]] if "to" in options else []))
    for target in targets:
        if not TARGET_TEXT.fullmatch(FIELD_PATTERN.sub("", target)):
            message = f"{make_printable(repr(target), 60)} cannot be the name of a weight"
            raise at.error(
                "SB802", message, "a name has letters, digits, `_` and dots, such as stem.conv.weight"
            )
    transpose = tuple(options["transpose"]) if "transpose" in options else None
    if transpose is not None and sorted(transpose) != list(range(len(transpose))):
        raise at.child("transpose").error(
            "SB802", f"{list(transpose)} is not an order of dimensions", "an example is [1, 0]"
        )
    pattern, conditions = parse_template(template, at, params)
    expressions = [expression for target in targets for expression in FIELD_PATTERN.findall(target)]
    for name in (name for expression in expressions for name in field_names(expression, at)):
        if name not in pattern.groupindex and name not in params:
            hint = f"its fields are {join_names(pattern.groupindex)}" if pattern.groupindex else ""
            raise at.error("SB302", f"{template!r} has no field {name!r}", hint)
    return RenameRule(
        pattern,
        conditions,
        targets,
        options.get("split"),
        transpose,
        options.get("reshape", False),
        at,
        params,
    )


def parse_template(
    template: str, at: SourceAddress, params: Mapping[str, Any]
) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Translate a template into a regular expression and the conditions on its fields."""
    pieces, conditions = [], []
    known_fields: set[str] = set()
    for i, piece in enumerate(FIELD_PATTERN.split(template)):
        if i % 2 == 0:
            pieces.append(".*".join(map(re.escape, piece.split("*"))))
            continue
        names = field_names(piece, at)
        if len(names) > 1:  # a condition, in which parameters may be written beside the field
            names = [name for name in names if name not in params]
        if len(names) != 1:
            hint = "examples of fields are {rest}, {word}, {i} and {i < 5}"
            raise at.error("SB802", f"{{{piece}}} is not a field", hint, key=True)
        [name] = names
        if piece.strip() != name:
            conditions.append(piece)
        kind = NAME_FIELD.fullmatch(name)
        value = FIELD_VALUES[kind[1]] if kind else "[0-9]+"
        pieces.append(f"(?P={name})" if name in known_fields else f"(?P<{name}>{value})")
        known_fields.add(name)
    opens = template.count("*") + sum(name.startswith("rest") for name in known_fields)
    if opens > MAX_OPEN_PARTS or sum(name.startswith("word") for name in known_fields) > MAX_WORDS:
        message = f"{make_printable(repr(template), 60)} has too many fields"
        hint = f"a rule has at most {MAX_OPEN_PARTS} of `*` and {{rest}}, and {MAX_WORDS} of {{word}}"
        raise at.error("SB802", message, hint, key=True)
    return re.compile("".join(pieces)), tuple(conditions)


def field_value(name: str, text: str) -> int | str:
    """Return what expressions read of a field: a letter is its number, from 0 for a."""
    kind = NAME_FIELD.fullmatch(name)
    if kind is None:
        return int(text)
    return ord(text) - ord("a") if kind[1] == "letter" else text


def fill_template(template: str, fields: Fields, at: SourceAddress) -> str:
    """Replace each expression of a template by its value."""
    return FIELD_PATTERN.sub(lambda field: str(evaluate_field(field[1], fields, at)), template)


def evaluate_field(expression: str, fields: Fields, at: SourceAddress) -> Any:
    try:
        return evaluate_expression(expression, fields)
    except ExpressionError as e:
        raise at.error(e.code, e.message, e.hint) from None


def field_names(expression: str, at: SourceAddress) -> list[str]:
    try:
        return sorted(referenced_names(expression))
    except ExpressionError as e:
        raise at.error(e.code, e.message, e.hint, key=True) from None


def split_tensor(value: Array, dimension: int, count: int, at: SourceAddress) -> Iterator[Array]:
    """Split a tensor into equal parts along one dimension; raises SpecError SB801 if that is impossible."""
    length = value.shape[dimension] if 0 <= dimension < value.ndim else 0
    if not length or length % count:
        raise at.error(
            "SB801",
            f"a tensor of shape {value.shape} cannot be split into {count} parts along dimension {dimension}",
        )
    for i in range(count):
        part = slice(i * length // count, (i + 1) * length // count)
        yield value[(slice(None),) * dimension + (part,)]
