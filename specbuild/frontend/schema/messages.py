"""Messages for schema errors: what is wrong, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.diagnostics.suggestions import format_suggestion, list_some, suggest_name, suggest_own_name
from specbuild.frontend.document import STEP_KEYS, STRUCTURES
from specbuild.frontend.edits import EDIT_VERBS, to_camel_case
from specbuild.frontend.foreign_names import find_attribute, suggest_attribute, write_inline
from specbuild.frontend.foreign_steps import suggest_step
from specbuild.frontend.foreign_values import suggest_choice, suggest_number_operand, suggest_use
from specbuild.frontend.habits import (
    find_type_key,
    suggest_attribute_habit,
    suggest_call,
    suggest_file_habit,
    suggest_list_of_inputs,
    suggest_list_step,
    suggest_missing_colon,
    suggest_step_habit,
    suggest_typed_step,
)
from specbuild.frontend.library import full_library_index
from specbuild.frontend.names import IDENTIFIER, find_name_problem, rename_hint
from specbuild.frontend.schema.checker import SchemaError
from specbuild.frontend.schema.edit_schema import EDIT_TITLE, SELECTOR_TITLE, companion_schemas
from specbuild.frontend.schema.file_schema import AXIS_OR_ELLIPSIS, BLOCK_NAME_PATTERN, file_key_schemas
from specbuild.frontend.schema.op_schema import is_unknown_block_schema, op_schemas
from specbuild.frontend.schema.phrases import (
    describe_path,
    describe_types,
    describe_yaml_value,
    description_clause,
    read_sizes,
    schema_summary,
    suggest_axes,
    suggest_colon,
    suggest_plain_step,
    suggest_quotes,
    suggest_value,
)
from specbuild.frontend.schema.step_schema import CHOICE_TITLE
from specbuild.frontend.source import KeyPath, Source
from specbuild.ops import OPS
from specbuild.ops.attribute_kinds import AxisName, AxisNames
from specbuild.ops.base import list_attributes

EXAMPLES = {
    "model": "model: Net",
    "inputs": "inputs: {image: {C: 3, H: 224, W: 224}}",
    "steps": "steps: [relu]",
    "do": "do: [relu]",
    "parallel": "parallel: {a: [relu], b: [gelu]}",
    "from": "from: stem",
}


EXAMPLE_VALUES = {"channels": "64", "features": "10", "units": "64"}  # of attributes


def example_attributes(op: str, key: str) -> str:
    """Return an example of the one attribute that an op needs."""
    if (op, key) == ("flatten", "axes"):
        return "axes: [C, H, W], into: C"
    kind = list_attributes(OPS[op])[key].kind
    axes = "[H, W]" if isinstance(kind, AxisNames) else "C" if isinstance(kind, AxisName) else "..."
    return f"{key}: {axes if key == 'over' else EXAMPLE_VALUES.get(key, '...')}"


class MessageWriter:
    """Turns the schema errors of one file into SpecErrors; `blocks` are known blocks with the names of their inputs."""

    def __init__(self, source: Source, blocks: Mapping[str, Collection[str]]) -> None:
        self.source = source
        self.blocks = dict(sorted(blocks.items()))
        # Keys that a hint suggests for a misspelled key; they are not reported as missing.
        self.suggested_keys: set[tuple[KeyPath, str]] = set()

    def describe_error(self, error: SchemaError) -> Iterator[SpecError]:
        return MESSAGE_METHODS[error.keyword](self, error)

    def error_at(
        self, code: str, path: KeyPath, message: str, hint: str = "", key: bool = False
    ) -> SpecError:
        return self.source.address_of(path).error(code, message, hint, key=key)

    # -- keys --------------------------------------------------------------------------------

    def unknown_key(self, error: SchemaError) -> Iterator[SpecError]:
        title, key, path = error.schema.get("title", ""), error.key, (*error.path, error.key)
        split_text = suggest_quotes(error.value, key) if title else ""
        if split_text:
            message = f"{key!r} is written where a key belongs: a comma ends the value before it"
            yield self.error_at("SB101", path, message, split_text, key=True)
        elif title == "a step" and (type_key := self.find_type_key(error.value)):
            if key == type_key:
                hint = suggest_typed_step(error.value, key, STEP_KEYS)
                yield self.error_at("SB101", path, f"a step has no key {key!r}", hint, key=True)
        elif title in ("a step", CHOICE_TITLE):
            yield self.unknown_step_key(error, path)
        elif not title or title == "parameters":
            yield self.invalid_name(
                key, path, BLOCK_NAME_PATTERN in error.schema.get("patternProperties", {}), key=True
            )
        elif key in STEP_KEYS and not title.startswith(("a ", "an ")):
            yield self.misplaced_step_key(key, path, title)
        else:
            if title in OPS and (
                hint := suggest_list_of_inputs(title, error.value, error.schema["properties"])
            ):
                if key == next(k for k in error.value if k not in error.schema["properties"]):
                    yield self.error_at("SB101", path, f"{title} has no attribute {key!r}", hint, key=True)
                return
            what = "attribute" if title in OPS else "parameter" if title[0].isupper() else "key"
            known = [k for k, under in error.schema["properties"].items() if under is not False]
            value = error.value[key]
            foreign = suggest_attribute(key, value, known) if what != "key" else ""
            is_renamed = title == "a spec" and isinstance(value, Mapping | list)
            habit = suggest_file_habit(key, value) if title == "a spec" else ""
            if is_renamed and closest_match(key, known) in ("inputs", "steps"):
                habit = ""
            if is_renamed:
                self.suggested_keys |= {((), other) for other in ("inputs", "steps") if f"`{other}" in habit}
            habit = suggest_attribute_habit(key, value) if what != "key" and not foreign else habit
            if title == "rename" and known == ["axes"]:
                foreign = f"write `rename: {{axes: {write_inline(dict(error.value))}}}`"
                self.suggested_keys.add((error.path, "axes"))
            guess = find_attribute(key, known) if foreign else closest_match(key, known)
            if guess in error.value:
                foreign, habit = f"remove it: {guess!r} is given", ""
            if title == "a parameter" and not guess and self.is_kind(key):
                default = write_inline({key: value})
                foreign = f"for a block or an op as the default, write `{{type: block, default: {default}}}`"
            if guess and not habit:
                self.suggested_keys.add((error.path, guess))
            listed = [name for name in known if name not in self.blocks.get(title, ())]
            known_hint = f"its {what}s are {list_some(listed)}" if listed else f"it takes no {what}s"
            hint = suggest_colon(key, known) or foreign or habit or format_suggestion(guess) or known_hint
            yield self.error_at("SB101", path, f"{title} has no {what} {key!r}", hint, key=True)

    def find_type_key(self, step: Mapping[str, Any]) -> str | None:
        """Return the key of a step that has its op as a value, if no key of it is an op or a block."""
        known = {*OPS, *STRUCTURES, *self.find_known_blocks(), "use"} - {find_type_key(step)}
        return None if known & step.keys() else find_type_key(step)

    def is_kind(self, name: str) -> bool:
        """Return whether an op or a block has this name."""
        return name in OPS or name in self.blocks or name in full_library_index()

    def unknown_step_key(self, error: SchemaError, path: KeyPath) -> SpecError:
        """Return a key of a step that is neither an op or block nor a step key: the closest of them is suggested."""
        kinds = [key for key in error.value if key != error.key and key not in STEP_KEYS]
        if "use" in kinds:
            message = f"{error.key!r} is not a key of a step with `use`"
            hint = suggest_use(error.value["use"], error.key, error.value[error.key])
            return self.error_at("SB101", path, message, hint, key=True)
        for kind in kinds:
            if kind in OPS and error.key in list_attributes(OPS[kind]):
                message = f"{error.key!r} is an attribute of {kind!r}, not a key of the step"
                hint = f"indent it below {kind!r}, or move it into the braces"
                return self.error_at("SB101", path, message, hint, key=True)
        habit = suggest_step_habit(error.key, error.value[error.key])
        if habit and (kinds or not error.key[:1].isupper()) and error.schema["title"] != CHOICE_TITLE:
            return self.error_at("SB101", path, f"a step has no key {error.key!r}", habit, key=True)
        step_key = closest_match(error.key, STEP_KEYS)
        if step_key and kinds and error.schema["title"] != CHOICE_TITLE:
            message = f"a step has no key {error.key!r}"
            return self.error_at("SB101", path, message, format_suggestion(step_key), key=True)
        return self.unknown_op(error.key, path, error.value[error.key])

    def unknown_op(self, name: str, path: KeyPath, body: Any = None) -> SpecError:
        what = "block" if name[:1].isupper() else "op"
        listing = "`specbuild library list` lists every op and block"
        blocks = [*self.blocks, *full_library_index()]
        hint = suggest_own_name(name, self.blocks) or suggest_step(name, body, blocks)
        hint = hint or suggest_call(name, blocks) or suggest_missing_colon(name, body, [*OPS, *blocks])
        hint = hint or suggest_name(name, [*OPS, *self.blocks, *STRUCTURES], otherwise=listing)
        return self.error_at("SB201", path, f"there is no {what} {name!r}", hint, key=True)

    def find_known_blocks(self) -> set[str]:
        """Return the names that may stand for a block in a step, those of imports included."""
        imports = self.source.data.get("imports") if isinstance(self.source.data, Mapping) else None
        return {*self.blocks, *full_library_index(), *(imports if isinstance(imports, Mapping) else ())}

    def misplaced_step_key(self, key: str, path: KeyPath, kind: str) -> SpecError:
        """Return a step key among the attributes of an op."""
        location = self.source.location(path[:-1])
        has_braces = location.text[location.column - 1 : location.column] == "{"
        hint = f"align it with {kind!r}"
        if has_braces:
            hint = f"move it out of the braces to its own line, aligned with {kind!r}"
        return self.error_at("SB105", path, f"{key!r} is a key of the step, not of {kind!r}", hint, key=True)

    def reserved_key(self, error: SchemaError) -> Iterator[SpecError]:
        """Yield a step key where the schema allows any other key."""
        *_, owner, key = ("", *error.path)
        if owner == "params":
            message = f"{key!r} cannot be the name of a parameter: it is a step key"
            yield self.error_at("SB203", error.path, message, rename_hint(str(key)), key=True)
        else:
            yield self.misplaced_step_key(str(key), error.path, str(owner))

    def missing_key(self, error: SchemaError) -> Iterator[SpecError]:
        yield from self.missing_keys(error, [error.key])

    def missing_keys(self, error: SchemaError, keys: Iterable[str]) -> Iterator[SpecError]:
        title = error.schema.get("title", "")
        known = error.schema.get("properties", {}) if error.path else file_key_schemas()
        for key in keys:
            if (error.path, key) in self.suggested_keys:
                continue
            if error.path:
                owner = title or describe_path(error.path)
            else:
                owner = "a spec" if key == "model" else "a model"
            is_op = bool(title) and " " not in title
            example = EXAMPLES.get(key) or f"{title if is_op else error.path[-1]}: {{{key}: ...}}"
            if (
                title in OPS
                and set(error.schema["required"]) == {key}
                and not isinstance(error.value, Mapping)
            ):
                example = f"{title}: {{{example_attributes(title, key)}}}"
            message = f"{owner} needs {key!r}{description_clause(known[key]['description'])}"
            yield self.error_at("SB103", error.path, message, f"write `{example}`", key=True)

    def missing_dependency(self, error: SchemaError) -> Iterator[SpecError]:
        missing = [key for key in error.schema["dependencies"][error.key] if key not in error.value]
        title, path, needed = error.schema.get("title", ""), (*error.path, error.key), missing[0]
        if title == EDIT_TITLE and error.key in EDIT_VERBS:
            clause = description_clause(companion_schemas()[needed]["description"])
            message = f"{error.key!r} needs {needed!r}{clause}"
            yield self.error_at("SB103", path, message, f"add `{needed}`", key=True)
        elif title in ("a step", EDIT_TITLE):
            message = f"{error.key!r} needs {needed!r}, which this {title.split()[1]} does not have"
            yield self.error_at("SB101", path, message, f"remove it, or add `{needed}`", key=True)
        elif needed == "axes" and (axes := error.value.keys() - error.schema["properties"].keys()):
            sizes = {key: size for key, size in error.value.items() if key in axes}
            nested = {"axes": sizes if error.path[0] == "inputs" else [*sizes]}
            nested |= {key: value for key, value in error.value.items() if key not in axes}
            message = f"beside {error.key!r}, the axes of {error.path[-1]!r} are written under 'axes'"
            hint = f"write `{error.path[-1]}: {write_inline(nested)}`"
            yield self.error_at("SB103", error.path, message, hint, key=True)
        else:
            yield from self.missing_keys(error, missing)

    def excluded_key(self, error: SchemaError) -> Iterator[SpecError]:
        allowed = error.schema["enum"]
        message = f"{error.key!r} cannot be combined with {allowed[0]!r}"
        hint = f"write axes and their sizes under `{allowed[0]}`"
        yield self.error_at("SB101", (*error.path, error.key), message, hint, key=True)

    # -- steps -------------------------------------------------------------------------------

    def several_ops(self, error: SchemaError) -> Iterator[SpecError]:
        kinds = [key for key in error.value if key not in STEP_KEYS]
        message = f"a step has exactly one op or block; this one has {list_some(map(repr, kinds))}"
        hint = "start a new step with `- ` for each"
        yield self.error_at("SB104", (*error.path, error.key), message, hint, key=True)

    def missing_op(self, error: SchemaError) -> Iterator[SpecError]:
        hint = "add one, such as `- relu` or `- conv: {channels: 64}`"
        yield self.error_at("SB103", error.path, "this step has no op and no block", hint)

    def unknown_block(self, error: SchemaError) -> Iterator[SpecError]:
        if isinstance(error.value, str):
            yield self.unknown_op(error.key, error.path)
        else:
            yield self.unknown_op(error.key, (*error.path, error.key), error.value[error.key])

    # -- edits -------------------------------------------------------------------------------

    def missing_verb(self, error: SchemaError) -> Iterator[SpecError]:
        hint = f"add one of {list_some(EDIT_VERBS)}"
        yield self.error_at("SB103", error.path, "this edit has no verb", hint)

    def several_verbs(self, error: SchemaError) -> Iterator[SpecError]:
        verbs = [key for key in error.value if key in EDIT_VERBS]
        message = f"an edit has exactly one verb; this one has {list_some(map(repr, verbs))}"
        hint = "start a new edit with `- ` for each"
        yield self.error_at("SB104", (*error.path, error.key), message, hint, key=True)

    def inapplicable_key(self, error: SchemaError) -> Iterator[SpecError]:
        verb = next(key for key in error.value if key in EDIT_VERBS)
        keys = EDIT_VERBS[verb]
        hint = f"the keys for {verb!r} are {list_some(keys)}" if keys else f"{verb!r} takes no other keys"
        message = f"{error.key!r} cannot be combined with {verb!r}"
        yield self.error_at("SB101", (*error.path, error.key), message, hint, key=True)

    def missing_position(self, error: SchemaError) -> Iterator[SpecError]:
        has_both = error.key in error.value
        code, key = ("SB104", error.key) if has_both else ("SB103", "insert")
        message = "'insert' needs one of 'after' and 'before'" + ", not both" * has_both
        hint = "for example, write `after: backbone.layer1`"
        yield self.error_at(code, (*error.path, key), message, hint, key=True)

    # -- values ------------------------------------------------------------------------------

    def wrong_type(self, error: SchemaError) -> Iterator[SpecError]:
        value, schema = error.value, error.schema
        if is_unknown_block_schema(schema) and error.path[-1] not in self.find_known_blocks():
            yield self.unknown_op(str(error.path[-1]), error.path, value)
        elif is_unknown_block_schema(schema):
            name = error.path[-1]
            hint = f"write `{name}: {{...}}` with the names of its parameters"
            message = f"{name!r} takes a mapping of parameters, not {describe_yaml_value(value)}"
            yield self.error_at("SB102", error.path, message, hint)
        elif value is None and schema.get("required"):
            yield from self.missing_keys(error, schema["required"])
        elif value is None:
            hint = "add a value, or remove it"
            if error.path[:1] == ("inputs",) and len(error.path) > 2:
                hint = f"for every size of this axis, write `{error.path[-1]}: any`"
            yield self.error_at("SB102", error.path, f"{describe_path(error.path)} has no value", hint)
        else:
            types = describe_types(schema)
            message = f"{describe_path(error.path)} must be {types}, not {describe_yaml_value(value)}"
            hint = self.suggest_operand(error)
            if isinstance(value, str):
                hint = hint or suggest_colon(value, schema.get("properties", ()))
            hint = hint or suggest_value(value, schema) or self.summary_hint(error)
            is_input = error.path[:1] == ("inputs",) and len(error.path) > 1
            sizes = read_sizes(value) if is_input and error.path[2:] in ((), ("shape",), ("size",)) else None
            if sizes:
                hint = suggest_axes(str(error.path[1]), sizes)
            elif schema.get("title") == "a step" and isinstance(value, list):
                hint = suggest_list_step(value)
            elif error.path[-1:] in (("steps",), ("do",)) and isinstance(value, Mapping):
                hint = "begin each step with `- `, as in `- relu`"
            elif schema.get("title") in OPS and not schema.get("required") and isinstance(value, bool | str):
                hint = suggest_plain_step(schema["title"], value, hint)
            yield self.error_at("SB102", error.path, message, hint)

    def suggest_operand(self, error: SchemaError) -> str:
        """Return the hint for a number where an op takes a value: `add: [x, 1]`, `where: {otherwise: 0}`."""
        path = error.path
        is_number = isinstance(error.value, int | float) and not isinstance(error.value, bool)
        if not is_number or len(path) < 2:
            return ""
        op = path[-3] if path[-2] == "of" and len(path) > 2 else path[-2]
        operands = self.source.address_of(path[:-1]).read_value()
        return suggest_number_operand(str(op), path[-1], operands, error.value)

    def wrong_choice(self, error: SchemaError) -> Iterator[SpecError]:
        branches = [error.schema, *error.schema.get("anyOf", ())]
        allowed = [value for branch in branches for value in branch.get("enum", ())]
        names = [describe_yaml_value(value).strip("'") for value in allowed]
        guess = closest_match(error.value, names) if isinstance(error.value, str) else None
        hint = suggest_choice(str(error.path[-1]), error.value, names)
        hint = hint or format_suggestion(guess) or self.summary_hint(error)
        yield self.wrong_value(error, "one of " * (len(names) > 1) + list_some(names), hint)

    def summary_hint(self, error: SchemaError) -> str:
        summary = schema_summary(error.schema)
        return f"{describe_path(error.path)}: {summary}" if summary else ""

    def below_minimum(self, error: SchemaError) -> Iterator[SpecError]:
        hint = self.summary_hint(error)
        if error.path[:1] == ("inputs",) and error.value == -1:
            hint = f"for every size of this axis, write `{error.path[-1]}: any`"
        yield self.wrong_value(error, f"at least {error.schema['minimum']}", hint)

    def above_maximum(self, error: SchemaError) -> Iterator[SpecError]:
        yield self.wrong_value(error, f"at most {error.schema['maximum']}", self.summary_hint(error))

    def wrong_value(self, error: SchemaError, allowed: str, hint: str) -> SpecError:
        message = f"{describe_path(error.path)} must be {allowed}, not {describe_yaml_value(error.value)}"
        return self.error_at("SB304", error.path, message, hint)

    def mismatched_text(self, error: SchemaError) -> Iterator[SpecError]:
        text, path, pattern = error.value, error.path, error.schema["pattern"]
        if error.schema.get("title") == SELECTOR_TITLE:
            hint = "write names with dots between them, such as `backbone.layer[1-3].*.bn3`"
            yield self.error_at("SB106", path, f"{describe_yaml_value(text)} is not a selector", hint)
        elif error.schema.get("title") != "a step":
            is_block, is_axis = pattern == BLOCK_NAME_PATTERN, pattern == AXIS_OR_ELLIPSIS
            yield self.invalid_name(text, path, is_block, axis=is_axis)
        elif text in OPS:
            schema = op_schemas([text])[text]
            schema = schema.get("else", schema)  # that without a given kernel
            yield from self.missing_keys(SchemaError("required", schema, text, path), schema["required"])
        elif text in STRUCTURES:
            hint = f"write `{EXAMPLES.get(text, f'{text}: name')}`"
            yield self.error_at("SB103", path, f"{text!r} needs a value", hint)
        else:
            yield self.unknown_op(text, path)

    def invalid_name(
        self, text: str, path: KeyPath, block: bool, axis: bool = False, key: bool = False
    ) -> SpecError:
        if block:
            camel = to_camel_case(text)
            hint = f"call it {camel}" if IDENTIFIER.fullmatch(camel) else "use a name such as ConvNorm"
            message = f"block and model names are CamelCase; {text!r} is not"
            return self.error_at("SB203", path, message, hint, key=key)
        reason, hint = find_name_problem(text) or ("is not a name", "")
        if axis:
            reason, hint = "is not the name of an axis", "use a name such as C, H or heads"
        return self.error_at("SB203", path, f"{text!r} {reason}", hint, key=key)

    def duplicate_item(self, error: SchemaError) -> Iterator[SpecError]:
        message = f"{describe_yaml_value(error.value)} appears twice"
        yield self.error_at("SB204", error.path, message, "remove one of them")

    def wrong_count(self, error: SchemaError) -> Iterator[SpecError]:
        limit, subject = error.schema[error.keyword], describe_path(error.path)
        if not error.value:
            yield self.error_at("SB103", error.path, f"{subject} is empty", self.summary_hint(error))
        elif error.schema.get("title") == CHOICE_TITLE:
            message = f"{subject} must be one block or op; this has {list_some(map(repr, error.value))}"
            yield self.error_at("SB104", error.path, message, "keep one of them")
        else:
            bound = "at least" if error.keyword.startswith("min") else "at most"
            message = f"{subject} must have {bound} {limit} entries, not {len(error.value)}"
            yield self.error_at("SB102", error.path, message, self.summary_hint(error))


MESSAGE_METHODS: dict[str, Callable[[MessageWriter, SchemaError], Iterator[SpecError]]] = {
    "additionalProperties": MessageWriter.unknown_key,
    "false": MessageWriter.reserved_key,
    "required": MessageWriter.missing_key,
    "dependencies": MessageWriter.missing_dependency,
    "propertyNames": MessageWriter.excluded_key,
    "severalOps": MessageWriter.several_ops,
    "missingOp": MessageWriter.missing_op,
    "unknownBlock": MessageWriter.unknown_block,
    "missingVerb": MessageWriter.missing_verb,
    "severalVerbs": MessageWriter.several_verbs,
    "inapplicableKey": MessageWriter.inapplicable_key,
    "missingPosition": MessageWriter.missing_position,
    "type": MessageWriter.wrong_type,
    "enum": MessageWriter.wrong_choice,
    "anyOf": MessageWriter.wrong_choice,
    "minimum": MessageWriter.below_minimum,
    "maximum": MessageWriter.above_maximum,
    "pattern": MessageWriter.mismatched_text,
    "uniqueItems": MessageWriter.duplicate_item,
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties"), MessageWriter.wrong_count),
}
