"""Published weights under a model's own names, by the rules of its file's `weights` section.

    weights:
      torchvision:
        features.0.{rest}: stem.{rest}
        layers.{i}.in_proj_{rest}: {split: 0, into: [blocks.{i + 1}.query.{rest}, blocks.{i + 1}.key.{rest}]}
        layers.{i}.layer_scale: {to: "blocks.{i + 1}.scale", reshape: true}
        layers.{i}.{rest}: blocks.{i + 1}.{rest}
        head.weight: {to: classifier.weight, transpose: [1, 0]}
        position_index: {ignore: true}

Left stands a name in the published file, right the model's own in the same framework: a key of the
state_dict in PyTorch, the path of a variable in Keras (for a layout whose name begins with `keras`).
On the left, `{rest}` takes all that follows, `{i}` a number, and `{i < 5}` only a number of which that is
true; on the right stand expressions in them. The first rule that fits is taken. A name that no rule fits
stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import framework_shapes, locate_weights
from specbuild.diagnostics.errors import closest_match
from specbuild.expressions import ExpressionError, evaluate_expression, referenced_names
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Block
from specbuild.ops.types import join_names

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

Shape: TypeAlias = tuple[int, ...]
Fields: TypeAlias = Mapping[str, int | str]

FIELD_PATTERN = re.compile(r"\{([^{}]*)\}")
REST_FIELD = "rest"


def convert_published_weights(model: Block, layout: str, entries: Mapping[str, Array]) -> dict[str, Array]:
    """The entries of a published file as the emitted model names and shapes them: a value for every weight.

    Raises SpecError, which names all that is left over, missing or of another shape.
    """
    wanted = framework_shapes(locate_weights(model, layout_framework(layout)))
    allowed = {**wanted, **dict.fromkeys(batch_counters(wanted), ())}
    renamed = rename_tensors(model, layout, entries, wanted)
    left = [
        name if own == name else f"{name} (as {own})"
        for own, name in renamed.origins.items()
        if own not in allowed
    ]
    misshapen = [
        f"{renamed.origins[own]} gives {part.shape} for {own} {allowed[own]}"
        for own, part in renamed.values.items()
        if own in allowed and part.shape != allowed[own]
    ]
    missing = [name for name in wanted if name not in renamed.values]
    problems = {
        "left over": left,
        "missing": missing,
        "of another shape": misshapen,
        "given twice": renamed.duplicates,
    }
    if any(problems.values()):
        counts = join_names([f"{len(of)} {what}" for what, of in problems.items() if of])
        trail = tuple(f"{what}: {', '.join(of)}" for what, of in problems.items() if of)
        raise weights_section(model, layout).error(
            "SB801", f"the weights of {layout} do not fit {model.kind}: {counts}", key=True, trail=trail
        )
    return renamed.values


def layout_framework(layout: str) -> str:
    """The framework whose names a layout speaks of."""
    return "keras" if layout.startswith("keras") else "torch"


def batch_counters(names: Iterable[str]) -> set[str]:
    """What PyTorch's batch norms count their steps in: no weights of the spec's, but keys of the state_dict."""
    return {
        n.removesuffix("running_mean") + "num_batches_tracked" for n in names if n.endswith(".running_mean")
    }


@dataclass
class RenamedTensors:
    """Entries of a published file under a model's own names, and the name that each had."""

    values: dict[str, Array] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)


def rename_tensors(
    model: Block, layout: str, entries: Mapping[str, Array], wanted: Mapping[str, Shape], prefix: str = ""
) -> RenamedTensors:
    """What the rules make of the entries. The names that the rules give stand `within` a part of a model, if
    `model` is one; `wanted` are the shapes of its weights, by their names in the whole."""
    table = load_rules(model, layout)
    inner = {name.removeprefix(prefix): shape for name, shape in wanted.items() if name.startswith(prefix)}
    renamed = RenamedTensors()
    for name, value in entries.items():
        for own, part in apply_rules(table, name, value, inner).items():
            whole = f"{prefix}{own}"
            if whole in renamed.values:
                renamed.duplicates.append(f"{whole} (by {name})")
            else:
                renamed.values[whole], renamed.origins[whole] = part, name
    return renamed


def apply_rules(
    table: Iterable[RenameRule], name: str, value: Array, wanted: Mapping[str, Shape]
) -> Mapping[str, Array]:
    """An entry under the model's own names, by the first rule that fits."""
    for rule in table:
        fields = rule.match_name(name)
        if fields is not None:
            return rule.rename_tensor(fields, value, wanted)
    return {name: value}


@dataclass(frozen=True)
class RenameRule:
    """What becomes of the entries whose names fit a template."""

    pattern: re.Pattern[str]
    conditions: tuple[str, ...]
    targets: tuple[str, ...]  # none: the entry is left out
    split: int | None
    transpose: tuple[int, ...] | None
    reshape: bool
    at: SourceAddress

    def match_name(self, name: str) -> Fields | None:
        """The fields of a name that fits."""
        match = self.pattern.fullmatch(name)
        if match is None:
            return None
        fields = {key: text if key == REST_FIELD else int(text) for key, text in match.groupdict().items()}
        return fields if all(evaluate_field(c, fields, self.at) for c in self.conditions) else None

    def rename_tensor(self, fields: Fields, value: Array, wanted: Mapping[str, Shape]) -> dict[str, Array]:
        """The value, or its parts, under the model's own names."""
        if not self.targets:
            return {}
        own = [fill_template(target, fields, self.at) for target in self.targets]
        parts = [value] if self.split is None else split_tensor(value, self.split, len(own), self.at)
        found = {}
        for name, part in zip(own, parts, strict=True):
            if self.transpose is not None and len(self.transpose) == part.ndim:
                part = part.transpose(self.transpose)
            if self.reshape and name in wanted and prod(wanted[name]) == part.size:
                part = part.reshape(wanted[name])
            found[name] = part
        return found


def load_rules(model: Block, layout: str) -> list[RenameRule]:
    """The rules of a model's file for one layout; raises SpecError."""
    at = weights_section(model, layout)
    layouts = at.source.data.get("weights") or {}
    if layout not in layouts:
        guess = closest_match(layout, layouts)
        hint = (
            f"did you mean {guess!r}?"
            if guess
            else f"its layouts are {join_names(layouts)}"
            if layouts
            else "it has no `weights`"
        )
        raise at.error("SB202", f"{at.source.file} has no weights of {layout!r}", hint)
    return [
        parse_rule(template, raw, at.child(template)) for template, raw in (layouts[layout] or {}).items()
    ]


def weights_section(model: Block, layout: str) -> SourceAddress:
    return model.at.source.address_of(("weights", layout))


def parse_rule(template: str, raw: Any, at: SourceAddress) -> RenameRule:
    """One rule as written; the schema has already vouched for its form."""
    options: Mapping[str, Any] = {"to": raw} if isinstance(raw, str) else raw
    if len({"to", "into", "ignore"} & set(options)) != 1:
        raise at.error("SB802", "a rule has one of `to: a`, `split: 0, into: [a, b]` and `ignore: true`")
    targets = tuple(options.get("into", [options["to"]] if "to" in options else []))
    transpose = tuple(options["transpose"]) if "transpose" in options else None
    if transpose is not None and sorted(transpose) != list(range(len(transpose))):
        raise at.child("transpose").error(
            "SB802", f"{list(transpose)} is not an order of dimensions", "write [1, 0], say"
        )
    pattern, conditions = parse_template(template, at)
    for target in targets:
        for words in FIELD_PATTERN.findall(target):
            for name in field_names(words, at):
                if name not in pattern.groupindex:
                    raise at.error(
                        "SB302",
                        f"{template!r} has no field {name!r}",
                        f"it has {join_names(pattern.groupindex)}" if pattern.groupindex else "",
                    )
    return RenameRule(
        pattern, conditions, targets, options.get("split"), transpose, options.get("reshape", False), at
    )


def parse_template(template: str, at: SourceAddress) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """A template as a pattern, and the conditions on its fields."""
    pieces, conditions = [], []
    known_fields: set[str] = set()
    for i, piece in enumerate(FIELD_PATTERN.split(template)):
        if i % 2 == 0:
            pieces.append(re.escape(piece))
            continue
        field = field_names(piece, at)
        if len(field) != 1:
            raise at.error("SB802", f"{{{piece}}} is no field", "fields are {rest}, {i} or {i < 5}", key=True)
        [name] = field
        if piece.strip() != name:
            conditions.append(piece)
        pieces.append(
            f"(?P={name})"
            if name in known_fields
            else f"(?P<{name}>{'.+' if name == REST_FIELD else '[0-9]+'})"
        )
        known_fields.add(name)
    return re.compile("".join(pieces)), tuple(conditions)


def fill_template(template: str, fields: Fields, at: SourceAddress) -> str:
    """A template with the value of each of its expressions."""
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
    """Equal parts of a value along one dimension."""
    length = value.shape[dimension] if 0 <= dimension < value.ndim else 0
    if not length or length % count:
        raise at.error(
            "SB801",
            f"a value of shape {value.shape} does not split into {count} parts along dimension {dimension}",
        )
    for i in range(count):
        part = slice(i * length // count, (i + 1) * length // count)
        yield value[(slice(None),) * dimension + (part,)]
