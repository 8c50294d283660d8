"""Parts of sentences that describe schemas and values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from specbuild.frontend.schema.checker import Schema
from specbuild.frontend.source import KeyPath

TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
}


def describe_path(path: KeyPath) -> str:
    """Describe the value at a path: `'channels'`, `a step`, `an item of 'kernel'`."""
    if not path:
        return "a spec"
    if isinstance(path[-1], str):
        return repr(path[-1])
    owners = [key for key in path if isinstance(key, str)]
    is_step = owners and (owners[-1] in ("steps", "do") or owners[-2:-1] == ["parallel"])
    if owners and owners[-1] == "edits":
        return "an edit"
    return "a step" if is_step else f"an item of {owners[-1]!r}" if owners else "an item"


def describe_types(schema: Schema) -> str:
    """Describe the types that a schema allows; text as an alternative to a number is an expression."""
    if schema.get("title") in ("a step", "a block or an op"):
        return "the name of an op or block, or a mapping"
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    allows_expression = bool({"integer", "number", "boolean"} & set(names))
    phrases = []
    for name in names:
        if name == "null" or (name == "integer" and "number" in names):
            continue
        phrase = "an expression" if name == "string" and allows_expression else TYPE_NAMES[name]
        if name in ("integer", "number") and "minimum" in schema:
            phrase += f" of at least {schema['minimum']}"
        phrases += phrase.split(" or ")
    *rest, last = phrases
    return f"{', '.join(rest)} or {last}" if rest else last


def describe_yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value)
    return {dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(value)) or str(value)


# Ops along axes of one value, and those of several values.
OF_VALUES = {"sum": "add", "mean": "average", "max": "maximum", "min": "minimum", "prod": "multiply"}


def suggest_value(value: Any, schema: Schema) -> str:
    """Suggest what to write instead of a value of the wrong type; empty if there is nothing to suggest."""
    title, required = schema.get("title", ""), schema.get("required", [])
    attributes = [*required, *schema.get("properties", ())]
    if title and attributes and not title.startswith(("a ", "an ")) and title != "parameters":
        if isinstance(value, list) and title in OF_VALUES and all(isinstance(x, str) for x in value):
            listed = ", ".join(value)
            if any(x[:1].islower() and x != "heads" for x in value):
                return f"write `{OF_VALUES[title]}: [{listed}]`; `{title}` goes along axes of one value"
            return f"write `{title}: {{over: [{listed}]}}`"
        if attributes[0] == "over" and is_about_positions(value):
            return f"write `{title}: {{over: {'[H, W]' if isinstance(value, list) else 'C'}}}`, with the names of the axes"
        text = "[...]" if isinstance(value, list) else describe_yaml_value(value).strip("'")
        keys = [f"{attributes[0]}: {text}"]
        if "kernel" in attributes and (square := re.fullmatch(r"(\d+)x\1(?:x\1)?", text)):
            keys = [*(f"{key}: ..." for key in required if key != "kernel"), f"kernel: {square[1]}"]
        if isinstance(value, list) and "of" in attributes:
            keys = [f"of: {text}", *(f"{key}: ..." for key in required)]
        return f"write `{title}: {{{', '.join(keys)}}}`"
    if isinstance(value, float) and value.is_integer() and "integer" in schema["type"]:
        return f"write {int(value)}"
    if schema["type"] == "string" and not isinstance(value, dict | list):
        return "quote text that looks like another type"
    return ""


def is_about_positions(value: Any) -> bool:
    """Return whether a value counts axes, as other libraries do: -1, [2, 3]."""
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(x, int) and not isinstance(x, bool) for x in values)


def suggest_plain_step(op: str, value: bool | str, hint: str) -> str:
    """Return what to write for an op with a value that it does not take: `avg_pool: global`, `add: image`, `relu: true`."""
    if op in ("avg_pool", "max_pool") and isinstance(value, str) and "global" in value.lower():
        return f"write `{'mean' if op == 'avg_pool' else 'max'}: {{over: [H, W]}}`"
    if isinstance(value, bool) or not value:
        return f"write `- {op}`" if value else hint
    return f"if the step reads {value!r}, write `- {{{op}: {{}}, from: {value}}}`; attributes are written in braces"


def read_sizes(value: Any) -> list[Any]:
    """Return the sizes in a list or in a text such as `3x32x32` or `(3, 32, 32)`; none for other values."""
    if isinstance(value, str) and re.fullmatch(r"\(?\d+(?: *[x×,*] *\d+)+\)?", value):
        return [int(size) for size in re.findall(r"\d+", value)]
    return value if isinstance(value, list) else []


def suggest_axes(name: str, sizes: list[Any]) -> str:
    """Return a hint that gives each size of an input its axis, by the usual orders of both frameworks."""
    axes = {1: "C", 2: "T C", 3: "C H W", 4: "C D H W"}.get(len(sizes), "").split()
    numbers = [size for size in sizes if isinstance(size, int)]
    if len(axes) > 2 and len(numbers) == len(axes) and numbers[-1] <= 4 < numbers[0]:
        axes = [*axes[1:], axes[0]]  # channels last
    if not axes:
        return "name each axis and its size, such as {C: 3, H: 224, W: 224}"
    listed = ", ".join(f"{axis}: {size}" for axis, size in zip(axes, sizes, strict=True))
    return f"name each axis: `{name}: {{{listed}}}`"


def schema_summary(schema: Schema) -> str:
    """Return the first sentence of a schema's description, for a hint."""
    return sentence_fragment(schema.get("description", ""))


def description_clause(text: str) -> str:
    return f": {sentence_fragment(text)}" if text else ""


def sentence_fragment(text: str) -> str:
    """Return the first sentence of a text with a small first letter, for use inside another sentence."""
    first = re.split(r"(?<=[^.])\.(?:\s|$)", text.strip(), maxsplit=1)[0]
    return first[:1].lower() + first[1:] if first[1:2].islower() or first[1:2] == " " else first


def suggest_quotes(mapping: Mapping[str, Any], key: str) -> str:
    """Return a hint if `key` is the rest of a text that a comma cut, such as the `8)` of `max(width, 8)`."""
    keys = list(mapping)
    start = index = keys.index(key)
    while start > 0 and mapping[keys[start]] is None:
        start -= 1
    text = mapping[keys[start]]
    if start == index or not isinstance(text, str):
        return ""
    parts = [text, *map(str, keys[start + 1 : index + 1])]
    for later in keys[index + 1 :]:
        if mapping[later] is not None or ", ".join(parts).count("(") <= ", ".join(parts).count(")"):
            break
        parts.append(later)
    whole = ", ".join(parts)
    if re.fullmatch(r"\([\d, ]+\)", whole):
        return f"write `{keys[start]}: [{whole[1:-1]}]`"  # a tuple
    if " " not in key and not ("(" in text and ")" in whole):
        return ""
    return f'quote the text: `{keys[start]}: "{whole}"`'


def suggest_colon(key: str, known: Collection[str]) -> str:
    """Return a hint for a key and its value that no colon separates, such as `channels 8`."""
    first, _, rest = key.partition(" ")
    return f"write `{first}: {rest.strip()}`" if rest and first in known else ""
