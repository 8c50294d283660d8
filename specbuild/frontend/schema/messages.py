"""Faults of form in an author's words: what is wrong, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from specbuild.diagnostics.errors import SpecError, nearest
from specbuild.frontend import names
from specbuild.frontend.document import STEP_KEYS, STRUCTURE
from specbuild.frontend.edits import EDITS
from specbuild.frontend.schema.checker import Fault, Path
from specbuild.frontend.schema.edit_schema import EDIT, SELECTOR, beside
from specbuild.frontend.schema.file_schema import AXIS_OR_REST, BLOCK_NAME, file_keys
from specbuild.frontend.schema.op_schema import ops
from specbuild.frontend.schema.phrases import about, advice, clause, expected, meant, shown, some, subject
from specbuild.frontend.schema.step_schema import CHOICE
from specbuild.frontend.source import Source
from specbuild.ops import OPS
from specbuild.ops.base import attributes

EXAMPLES = {
    "model": "model: Net",
    "inputs": "inputs: {image: {C: 3, H: 224, W: 224}}",
    "steps": "steps: [relu]",
    "do": "do: [relu]",
    "parallel": "parallel: {a: [relu], b: [gelu]}",
    "from": "from: stem",
}


class Telling:
    """Makes errors of the faults of one file; `blocks` are names that may be meant by a mistyped one."""

    def __init__(self, source: Source, blocks: Collection[str]) -> None:
        self.source = source
        self.blocks = sorted(blocks)
        self.meant: set[tuple[Path, str]] = set()  # what mistyped keys were taken for: it is not missing

    def errors(self, fault: Fault) -> Iterator[SpecError]:
        return TOLD[fault.keyword](self, fault)

    def error(self, code: str, path: Path, message: str, hint: str = "", key: bool = False) -> SpecError:
        return self.source.at(path).error(code, message, hint, key=key)

    # -- keys --------------------------------------------------------------------------------

    def unknown_key(self, fault: Fault) -> Iterator[SpecError]:
        title, key, path = fault.schema.get("title", ""), fault.key, (*fault.path, fault.key)
        if title in ("a step", CHOICE):
            yield self.unknown_kind(fault, path)
        elif not title or title == "parameters":
            yield self.bad_name(key, path, BLOCK_NAME in fault.schema.get("patternProperties", {}), key=True)
        elif key in STEP_KEYS and not title.startswith(("a ", "an ")):
            yield self.indented(key, path, title)
        else:
            what = "attribute" if title in OPS else "parameter" if title[0].isupper() else "key"
            known = [k for k, under in fault.schema["properties"].items() if under is not False]
            guess = nearest(key, known)
            if guess:
                self.meant.add((fault.path, guess))
            hint = meant(guess) or (f"it has {some(known)}" if known else f"it takes no {what}s")
            yield self.error("SB101", path, f"{title} has no {what} {key!r}", hint, key=True)

    def unknown_kind(self, fault: Fault, path: Path) -> SpecError:
        """A key of a step that is no op, no block and no key of steps: whichever it is nearest to."""
        kinds = [key for key in fault.value if key != fault.key and key not in STEP_KEYS]
        for kind in kinds:
            if kind in OPS and fault.key in attributes(OPS[kind]):
                message = f"{fault.key!r} is an attribute of {kind!r}, not a key of the step"
                hint = f"indent it further than {kind!r}, or put it into its braces"
                return self.error("SB101", path, message, hint, key=True)
        step_key = nearest(fault.key, STEP_KEYS)
        if step_key and kinds and fault.schema["title"] != CHOICE:
            return self.error("SB101", path, f"a step has no key {fault.key!r}", meant(step_key), key=True)
        return self.no_kind(fault.key, path)

    def no_kind(self, name: str, path: Path) -> SpecError:
        what = "block" if name[:1].isupper() else "op"
        guess = nearest(name, [*OPS, *self.blocks, *STRUCTURE])
        hint = meant(guess) or "`specbuild library list` lists every op and block"
        return self.error("SB201", path, f"there is no {what} {name!r}", hint, key=True)

    def indented(self, key: str, path: Path, kind: str) -> SpecError:
        """A key of steps among the attributes of an op."""
        place = self.source.place(path[:-1])
        braces = place.text[place.column - 1 : place.column] == "{"
        hint = f"indent it as far as {kind!r} stands"
        if braces:
            hint = f"put it outside of the braces, beside {kind!r}"
        return self.error("SB105", path, f"{key!r} is a key of the step, not of {kind!r}", hint, key=True)

    def refused_key(self, fault: Fault) -> Iterator[SpecError]:
        """A key of steps where it could not be told from one."""
        *_, owner, key = ("", *fault.path)
        if owner == "params":
            message = f"{key!r} cannot be the name of a parameter: it is a key of steps"
            yield self.error("SB203", fault.path, message, f"call it {key}_1, say", key=True)
        else:
            yield self.indented(str(key), fault.path, str(owner))

    def missing_key(self, fault: Fault) -> Iterator[SpecError]:
        yield from self.missing(fault, [fault.key])

    def missing(self, fault: Fault, keys: Iterable[str]) -> Iterator[SpecError]:
        title = fault.schema.get("title", "")
        known = fault.schema.get("properties", {}) if fault.path else file_keys()
        for key in keys:
            if (fault.path, key) in self.meant:
                continue
            whole = title or subject(fault.path) if fault.path else "a spec" if key == "model" else "a model"
            example = EXAMPLES.get(key) or f"{title or fault.path[-1]}: {{{key}: ...}}"
            message = f"{whole} needs {key!r}{clause(known[key]['description'])}"
            yield self.error("SB103", fault.path, message, f"write `{example}`", key=True)

    def depends(self, fault: Fault) -> Iterator[SpecError]:
        needed = [key for key in fault.schema["dependencies"][fault.key] if key not in fault.value]
        title = fault.schema.get("title", "")
        if title == EDIT and fault.key in EDITS:
            message = f"{fault.key!r} needs {needed[0]!r}{clause(beside()[needed[0]]['description'])}"
            yield self.error(
                "SB103", (*fault.path, fault.key), message, f"write `{needed[0]}` beside it", key=True
            )
        elif title in ("a step", EDIT):
            message = f"{fault.key!r} belongs to {needed[0]!r}, and this {title.split()[1]} has none"
            hint = f"remove it, or write `{needed[0]}` beside it"
            yield self.error("SB101", (*fault.path, fault.key), message, hint, key=True)
        else:
            yield from self.missing(fault, needed)

    def beside(self, fault: Fault) -> Iterator[SpecError]:
        others = fault.schema["enum"]
        message = f"{fault.key!r} cannot stand beside {others[0]!r}"
        yield self.error(
            "SB101",
            (*fault.path, fault.key),
            message,
            f"axes and their sizes go under `{others[0]}`",
            key=True,
        )

    # -- steps -------------------------------------------------------------------------------

    def several_kinds(self, fault: Fault) -> Iterator[SpecError]:
        kinds = [key for key in fault.value if key not in STEP_KEYS]
        message = f"a step is one op or block; this one has {some(map(repr, kinds))}"
        yield self.error(
            "SB104", (*fault.path, fault.key), message, "start a new step with `- ` for each", key=True
        )

    def kindless(self, fault: Fault) -> Iterator[SpecError]:
        hint = "name one, such as `- relu` or `- conv: {channels: 64}`"
        yield self.error("SB103", fault.path, "this step has no op and no block", hint)

    def no_block(self, fault: Fault) -> Iterator[SpecError]:
        yield self.no_kind(
            fault.key, fault.path if isinstance(fault.value, str) else (*fault.path, fault.key)
        )

    # -- edits -------------------------------------------------------------------------------

    def verbless(self, fault: Fault) -> Iterator[SpecError]:
        yield self.error("SB103", fault.path, "this edit does nothing", f"begin it with one of {some(EDITS)}")

    def several_verbs(self, fault: Fault) -> Iterator[SpecError]:
        found = [key for key in fault.value if key in EDITS]
        message = f"an edit does one thing; this one has {some(map(repr, found))}"
        yield self.error(
            "SB104", (*fault.path, fault.key), message, "start a new edit with `- ` for each", key=True
        )

    def strange_key(self, fault: Fault) -> Iterator[SpecError]:
        verb = next(key for key in fault.value if key in EDITS)
        hint = f"beside it stands {some(EDITS[verb])}" if EDITS[verb] else "nothing stands beside it"
        message = f"{fault.key!r} does not go with {verb!r}"
        yield self.error("SB101", (*fault.path, fault.key), message, hint, key=True)

    def no_where(self, fault: Fault) -> Iterator[SpecError]:
        several = fault.key in fault.value
        message = "'insert' needs one of 'after' and 'before'" + ", not both" * several
        path = (*fault.path, fault.key if several else "insert")
        yield self.error(
            "SB104" if several else "SB103", path, message, "write `after: backbone.layer1`, say", key=True
        )

    # -- values ------------------------------------------------------------------------------

    def wrong_type(self, fault: Fault) -> Iterator[SpecError]:
        value, schema = fault.value, fault.schema
        if value is None and schema.get("required"):
            yield from self.missing(fault, schema["required"])
        elif value is None:
            hint = "write one after it, or remove it"
            yield self.error("SB102", fault.path, f"{subject(fault.path)} has no value", hint)
        else:
            message = f"{subject(fault.path)} is {expected(schema)}, not {shown(value)}"
            yield self.error("SB102", fault.path, message, advice(value, schema))

    def not_one_of(self, fault: Fault) -> Iterator[SpecError]:
        branches = [fault.schema, *fault.schema.get("anyOf", ())]
        allowed = [one for branch in branches for one in branch.get("enum", ())]
        words = [shown(one).strip("'") for one in allowed]
        guess = nearest(fault.value, words) if isinstance(fault.value, str) else None
        one_of = "one of " * (len(words) > 1)
        message = f"{subject(fault.path)} is {one_of}{some(words)}, not {shown(fault.value)}"
        yield self.error("SB304", fault.path, message, meant(guess) or about(fault.schema))

    def too_little(self, fault: Fault) -> Iterator[SpecError]:
        message = f"{subject(fault.path)} is at least {fault.schema['minimum']}, not {shown(fault.value)}"
        yield self.error("SB304", fault.path, message, about(fault.schema))

    def too_much(self, fault: Fault) -> Iterator[SpecError]:
        message = f"{subject(fault.path)} is at most {fault.schema['maximum']}, not {shown(fault.value)}"
        yield self.error("SB304", fault.path, message, about(fault.schema))

    def wrong_text(self, fault: Fault) -> Iterator[SpecError]:
        text, path, wanted = fault.value, fault.path, fault.schema["pattern"]
        if fault.schema.get("title") == SELECTOR:
            hint = "write names with dots between them, such as `backbone.layer[1-3].*.bn3`"
            yield self.error("SB106", path, f"{shown(text)} is not a selector", hint)
        elif fault.schema.get("title") != "a step":
            yield self.bad_name(text, path, wanted == BLOCK_NAME, axis=wanted == AXIS_OR_REST)
        elif text in OPS:
            yield from self.missing(Fault("required", ops()[text], text, path), ops()[text]["required"])
        elif text in STRUCTURE:
            yield self.error(
                "SB103", path, f"{text!r} needs a value", f"write `{EXAMPLES.get(text, f'{text}: name')}`"
            )
        else:
            yield self.no_kind(text, path)

    def bad_name(
        self, text: str, path: Path, block: bool, axis: bool = False, key: bool = False
    ) -> SpecError:
        if block:
            camel = "".join(part[:1].upper() + part[1:] for part in text.split("_"))
            hint = f"call it {camel}" if names.IDENTIFIER.fullmatch(camel) else "write ConvNorm, say"
            return self.error(
                "SB203", path, f"the name of a block or model is CamelCase; {text!r} is not", hint, key=key
            )
        what, hint = names.fault(text) or ("is not a name", "")
        if axis:
            what, hint = "is not the name of an axis", "axes are named like C, H or heads"
        return self.error("SB203", path, f"{text!r} {what}", hint, key=key)

    def twice(self, fault: Fault) -> Iterator[SpecError]:
        yield self.error("SB204", fault.path, f"{shown(fault.value)} is given twice", "remove one of them")

    def wrong_count(self, fault: Fault) -> Iterator[SpecError]:
        limit = fault.schema[fault.keyword]
        if not fault.value:
            yield self.error("SB103", fault.path, f"{subject(fault.path)} is empty", about(fault.schema))
        elif fault.schema.get("title") == CHOICE:
            message = f"{subject(fault.path)} is one block or op; this has {some(map(repr, fault.value))}"
            yield self.error("SB104", fault.path, message, "keep one of them")
        else:
            bound = "at least" if fault.keyword.startswith("min") else "at most"
            message = f"{subject(fault.path)} has {len(fault.value)} of {bound} {limit} entries"
            yield self.error("SB102", fault.path, message, about(fault.schema))


TOLD: dict[str, Callable[[Telling, Fault], Iterator[SpecError]]] = {
    "additionalProperties": Telling.unknown_key,
    "false": Telling.refused_key,
    "required": Telling.missing_key,
    "dependencies": Telling.depends,
    "propertyNames": Telling.beside,
    "kinds": Telling.several_kinds,
    "no kind": Telling.kindless,
    "no block": Telling.no_block,
    "no verb": Telling.verbless,
    "verbs": Telling.several_verbs,
    "strange": Telling.strange_key,
    "where": Telling.no_where,
    "type": Telling.wrong_type,
    "enum": Telling.not_one_of,
    "anyOf": Telling.not_one_of,
    "minimum": Telling.too_little,
    "maximum": Telling.too_much,
    "pattern": Telling.wrong_text,
    "uniqueItems": Telling.twice,
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties"), Telling.wrong_count),
}
