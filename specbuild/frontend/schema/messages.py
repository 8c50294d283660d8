"""Faults of form in an author's words: what is wrong, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.frontend import names
from specbuild.frontend.document import STEP_KEYS, STRUCTURES
from specbuild.frontend.edits import EDIT_VERBS
from specbuild.frontend.schema.checker import KeyPath, SchemaError
from specbuild.frontend.schema.edit_schema import EDIT_TITLE, SELECTOR_TITLE, companion_schemas
from specbuild.frontend.schema.file_schema import AXIS_OR_ELLIPSIS, BLOCK_NAME_PATTERN, file_key_schemas
from specbuild.frontend.schema.op_schema import op_schemas
from specbuild.frontend.schema.phrases import (
    describe_path,
    describe_types,
    describe_value,
    description_clause,
    list_some,
    schema_summary,
    suggest_value,
    suggestion_hint,
)
from specbuild.frontend.schema.step_schema import CHOICE_TITLE
from specbuild.frontend.source import Source
from specbuild.ops import OPS
from specbuild.ops.base import list_attributes

EXAMPLES = {
    "model": "model: Net",
    "inputs": "inputs: {image: {C: 3, H: 224, W: 224}}",
    "steps": "steps: [relu]",
    "do": "do: [relu]",
    "parallel": "parallel: {a: [relu], b: [gelu]}",
    "from": "from: stem",
}


class MessageWriter:
    """Makes errors of the faults of one file; `blocks` are names that may be meant by a mistyped one."""

    def __init__(self, source: Source, blocks: Collection[str]) -> None:
        self.source = source
        self.blocks = sorted(blocks)
        self.suggested_keys: set[tuple[KeyPath, str]] = (
            set()
        )  # what mistyped keys were taken for: it is not missing

    def describe_error(self, fault: SchemaError) -> Iterator[SpecError]:
        return MESSAGE_METHODS[fault.keyword](self, fault)

    def error_at(
        self, code: str, path: KeyPath, message: str, hint: str = "", key: bool = False
    ) -> SpecError:
        return self.source.address_of(path).error(code, message, hint, key=key)

    # -- keys --------------------------------------------------------------------------------

    def unknown_key(self, fault: SchemaError) -> Iterator[SpecError]:
        title, key, path = fault.schema.get("title", ""), fault.key, (*fault.path, fault.key)
        if title in ("a step", CHOICE_TITLE):
            yield self.unknown_step_key(fault, path)
        elif not title or title == "parameters":
            yield self.invalid_name(
                key, path, BLOCK_NAME_PATTERN in fault.schema.get("patternProperties", {}), key=True
            )
        elif key in STEP_KEYS and not title.startswith(("a ", "an ")):
            yield self.misplaced_step_key(key, path, title)
        else:
            what = "attribute" if title in OPS else "parameter" if title[0].isupper() else "key"
            known = [k for k, under in fault.schema["properties"].items() if under is not False]
            guess = closest_match(key, known)
            if guess:
                self.suggested_keys.add((fault.path, guess))
            hint = suggestion_hint(guess) or (
                f"it has {list_some(known)}" if known else f"it takes no {what}s"
            )
            yield self.error_at("SB101", path, f"{title} has no {what} {key!r}", hint, key=True)

    def unknown_step_key(self, fault: SchemaError, path: KeyPath) -> SpecError:
        """A key of a step that is no op, no block and no key of steps: whichever it is nearest to."""
        kinds = [key for key in fault.value if key != fault.key and key not in STEP_KEYS]
        for kind in kinds:
            if kind in OPS and fault.key in list_attributes(OPS[kind]):
                message = f"{fault.key!r} is an attribute of {kind!r}, not a key of the step"
                hint = f"indent it further than {kind!r}, or put it into its braces"
                return self.error_at("SB101", path, message, hint, key=True)
        step_key = closest_match(fault.key, STEP_KEYS)
        if step_key and kinds and fault.schema["title"] != CHOICE_TITLE:
            return self.error_at(
                "SB101", path, f"a step has no key {fault.key!r}", suggestion_hint(step_key), key=True
            )
        return self.unknown_op(fault.key, path)

    def unknown_op(self, name: str, path: KeyPath) -> SpecError:
        what = "block" if name[:1].isupper() else "op"
        guess = closest_match(name, [*OPS, *self.blocks, *STRUCTURES])
        hint = suggestion_hint(guess) or "`specbuild library list` lists every op and block"
        return self.error_at("SB201", path, f"there is no {what} {name!r}", hint, key=True)

    def misplaced_step_key(self, key: str, path: KeyPath, kind: str) -> SpecError:
        """A key of steps among the attributes of an op."""
        place = self.source.location(path[:-1])
        braces = place.text[place.column - 1 : place.column] == "{"
        hint = f"indent it as far as {kind!r} stands"
        if braces:
            hint = f"put it outside of the braces, beside {kind!r}"
        return self.error_at("SB105", path, f"{key!r} is a key of the step, not of {kind!r}", hint, key=True)

    def reserved_key(self, fault: SchemaError) -> Iterator[SpecError]:
        """A key of steps where it could not be told from one."""
        *_, owner, key = ("", *fault.path)
        if owner == "params":
            message = f"{key!r} cannot be the name of a parameter: it is a key of steps"
            yield self.error_at("SB203", fault.path, message, f"call it {key}_1, say", key=True)
        else:
            yield self.misplaced_step_key(str(key), fault.path, str(owner))

    def missing_key(self, fault: SchemaError) -> Iterator[SpecError]:
        yield from self.missing_keys(fault, [fault.key])

    def missing_keys(self, fault: SchemaError, keys: Iterable[str]) -> Iterator[SpecError]:
        title = fault.schema.get("title", "")
        known = fault.schema.get("properties", {}) if fault.path else file_key_schemas()
        for key in keys:
            if (fault.path, key) in self.suggested_keys:
                continue
            whole = (
                title or describe_path(fault.path)
                if fault.path
                else "a spec"
                if key == "model"
                else "a model"
            )
            example = EXAMPLES.get(key) or f"{title or fault.path[-1]}: {{{key}: ...}}"
            message = f"{whole} needs {key!r}{description_clause(known[key]['description'])}"
            yield self.error_at("SB103", fault.path, message, f"write `{example}`", key=True)

    def missing_dependency(self, fault: SchemaError) -> Iterator[SpecError]:
        needed = [key for key in fault.schema["dependencies"][fault.key] if key not in fault.value]
        title = fault.schema.get("title", "")
        if title == EDIT_TITLE and fault.key in EDIT_VERBS:
            message = f"{fault.key!r} needs {needed[0]!r}{description_clause(companion_schemas()[needed[0]]['description'])}"
            yield self.error_at(
                "SB103", (*fault.path, fault.key), message, f"write `{needed[0]}` beside it", key=True
            )
        elif title in ("a step", EDIT_TITLE):
            message = f"{fault.key!r} belongs to {needed[0]!r}, and this {title.split()[1]} has none"
            hint = f"remove it, or write `{needed[0]}` beside it"
            yield self.error_at("SB101", (*fault.path, fault.key), message, hint, key=True)
        else:
            yield from self.missing_keys(fault, needed)

    def excluded_key(self, fault: SchemaError) -> Iterator[SpecError]:
        others = fault.schema["enum"]
        message = f"{fault.key!r} cannot stand beside {others[0]!r}"
        yield self.error_at(
            "SB101",
            (*fault.path, fault.key),
            message,
            f"axes and their sizes go under `{others[0]}`",
            key=True,
        )

    # -- steps -------------------------------------------------------------------------------

    def several_ops(self, fault: SchemaError) -> Iterator[SpecError]:
        kinds = [key for key in fault.value if key not in STEP_KEYS]
        message = f"a step is one op or block; this one has {list_some(map(repr, kinds))}"
        yield self.error_at(
            "SB104", (*fault.path, fault.key), message, "start a new step with `- ` for each", key=True
        )

    def missing_op(self, fault: SchemaError) -> Iterator[SpecError]:
        hint = "name one, such as `- relu` or `- conv: {channels: 64}`"
        yield self.error_at("SB103", fault.path, "this step has no op and no block", hint)

    def unknown_block(self, fault: SchemaError) -> Iterator[SpecError]:
        yield self.unknown_op(
            fault.key, fault.path if isinstance(fault.value, str) else (*fault.path, fault.key)
        )

    # -- edits -------------------------------------------------------------------------------

    def missing_verb(self, fault: SchemaError) -> Iterator[SpecError]:
        yield self.error_at(
            "SB103", fault.path, "this edit does nothing", f"begin it with one of {list_some(EDIT_VERBS)}"
        )

    def several_verbs(self, fault: SchemaError) -> Iterator[SpecError]:
        found = [key for key in fault.value if key in EDIT_VERBS]
        message = f"an edit does one thing; this one has {list_some(map(repr, found))}"
        yield self.error_at(
            "SB104", (*fault.path, fault.key), message, "start a new edit with `- ` for each", key=True
        )

    def inapplicable_key(self, fault: SchemaError) -> Iterator[SpecError]:
        verb = next(key for key in fault.value if key in EDIT_VERBS)
        hint = (
            f"beside it stands {list_some(EDIT_VERBS[verb])}"
            if EDIT_VERBS[verb]
            else "nothing stands beside it"
        )
        message = f"{fault.key!r} does not go with {verb!r}"
        yield self.error_at("SB101", (*fault.path, fault.key), message, hint, key=True)

    def missing_position(self, fault: SchemaError) -> Iterator[SpecError]:
        several = fault.key in fault.value
        message = "'insert' needs one of 'after' and 'before'" + ", not both" * several
        path = (*fault.path, fault.key if several else "insert")
        yield self.error_at(
            "SB104" if several else "SB103", path, message, "write `after: backbone.layer1`, say", key=True
        )

    # -- values ------------------------------------------------------------------------------

    def wrong_type(self, fault: SchemaError) -> Iterator[SpecError]:
        value, schema = fault.value, fault.schema
        if value is None and schema.get("required"):
            yield from self.missing_keys(fault, schema["required"])
        elif value is None:
            hint = "write one after it, or remove it"
            yield self.error_at("SB102", fault.path, f"{describe_path(fault.path)} has no value", hint)
        else:
            message = f"{describe_path(fault.path)} is {describe_types(schema)}, not {describe_value(value)}"
            yield self.error_at("SB102", fault.path, message, suggest_value(value, schema))

    def wrong_choice(self, fault: SchemaError) -> Iterator[SpecError]:
        branches = [fault.schema, *fault.schema.get("anyOf", ())]
        allowed = [one for branch in branches for one in branch.get("enum", ())]
        words = [describe_value(one).strip("'") for one in allowed]
        guess = closest_match(fault.value, words) if isinstance(fault.value, str) else None
        one_of = "one of " * (len(words) > 1)
        message = (
            f"{describe_path(fault.path)} is {one_of}{list_some(words)}, not {describe_value(fault.value)}"
        )
        yield self.error_at(
            "SB304", fault.path, message, suggestion_hint(guess) or schema_summary(fault.schema)
        )

    def below_minimum(self, fault: SchemaError) -> Iterator[SpecError]:
        message = f"{describe_path(fault.path)} is at least {fault.schema['minimum']}, not {describe_value(fault.value)}"
        yield self.error_at("SB304", fault.path, message, schema_summary(fault.schema))

    def above_maximum(self, fault: SchemaError) -> Iterator[SpecError]:
        message = f"{describe_path(fault.path)} is at most {fault.schema['maximum']}, not {describe_value(fault.value)}"
        yield self.error_at("SB304", fault.path, message, schema_summary(fault.schema))

    def mismatched_text(self, fault: SchemaError) -> Iterator[SpecError]:
        text, path, wanted = fault.value, fault.path, fault.schema["pattern"]
        if fault.schema.get("title") == SELECTOR_TITLE:
            hint = "write names with dots between them, such as `backbone.layer[1-3].*.bn3`"
            yield self.error_at("SB106", path, f"{describe_value(text)} is not a selector", hint)
        elif fault.schema.get("title") != "a step":
            yield self.invalid_name(text, path, wanted == BLOCK_NAME_PATTERN, axis=wanted == AXIS_OR_ELLIPSIS)
        elif text in OPS:
            yield from self.missing_keys(
                SchemaError("required", op_schemas()[text], text, path), op_schemas()[text]["required"]
            )
        elif text in STRUCTURES:
            yield self.error_at(
                "SB103", path, f"{text!r} needs a value", f"write `{EXAMPLES.get(text, f'{text}: name')}`"
            )
        else:
            yield self.unknown_op(text, path)

    def invalid_name(
        self, text: str, path: KeyPath, block: bool, axis: bool = False, key: bool = False
    ) -> SpecError:
        if block:
            camel = "".join(part[:1].upper() + part[1:] for part in text.split("_"))
            hint = f"call it {camel}" if names.IDENTIFIER.fullmatch(camel) else "write ConvNorm, say"
            return self.error_at(
                "SB203", path, f"the name of a block or model is CamelCase; {text!r} is not", hint, key=key
            )
        what, hint = names.find_name_problem(text) or ("is not a name", "")
        if axis:
            what, hint = "is not the name of an axis", "axes are named like C, H or heads"
        return self.error_at("SB203", path, f"{text!r} {what}", hint, key=key)

    def duplicate_item(self, fault: SchemaError) -> Iterator[SpecError]:
        yield self.error_at(
            "SB204", fault.path, f"{describe_value(fault.value)} is given twice", "remove one of them"
        )

    def wrong_count(self, fault: SchemaError) -> Iterator[SpecError]:
        limit = fault.schema[fault.keyword]
        if not fault.value:
            yield self.error_at(
                "SB103", fault.path, f"{describe_path(fault.path)} is empty", schema_summary(fault.schema)
            )
        elif fault.schema.get("title") == CHOICE_TITLE:
            message = f"{describe_path(fault.path)} is one block or op; this has {list_some(map(repr, fault.value))}"
            yield self.error_at("SB104", fault.path, message, "keep one of them")
        else:
            bound = "at least" if fault.keyword.startswith("min") else "at most"
            message = f"{describe_path(fault.path)} has {len(fault.value)} of {bound} {limit} entries"
            yield self.error_at("SB102", fault.path, message, schema_summary(fault.schema))


MESSAGE_METHODS: dict[str, Callable[[MessageWriter, SchemaError], Iterator[SpecError]]] = {
    "additionalProperties": MessageWriter.unknown_key,
    "false": MessageWriter.reserved_key,
    "required": MessageWriter.missing_key,
    "dependencies": MessageWriter.missing_dependency,
    "propertyNames": MessageWriter.excluded_key,
    "kinds": MessageWriter.several_ops,
    "no kind": MessageWriter.missing_op,
    "no block": MessageWriter.unknown_block,
    "no verb": MessageWriter.missing_verb,
    "verbs": MessageWriter.several_verbs,
    "strange": MessageWriter.inapplicable_key,
    "where": MessageWriter.missing_position,
    "type": MessageWriter.wrong_type,
    "enum": MessageWriter.wrong_choice,
    "anyOf": MessageWriter.wrong_choice,
    "minimum": MessageWriter.below_minimum,
    "maximum": MessageWriter.above_maximum,
    "pattern": MessageWriter.mismatched_text,
    "uniqueItems": MessageWriter.duplicate_item,
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties"), MessageWriter.wrong_count),
}
