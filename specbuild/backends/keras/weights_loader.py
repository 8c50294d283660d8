"""Code for Keras files that loads canonical weights into a model, without specbuild."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from specbuild.backends.loader_rules import TABLE_NAME, LoadRule, shorten_rules
from specbuild.codegen.tree import DictOf, Function, Helper, Literal, Module, Return, TupleOf

LOADER_IMPORTS = ("import keras", "from safetensors.numpy import load_file")
TABLE_DOC = """What fills each variable, by the longest end of its path that is here.

An entry is the end of the weight's key in the file, and the order of its axes. {more}"""


def add_weights_loader(module: Module, full_rules: Mapping[str, LoadRule], separator: str) -> Module:
    """Return the file with a table of weights and a function that loads them."""
    rules = shorten_rules(full_rules, separator)
    features = frozenset(
        name
        for name, needed in (
            ("several", any(len(r.keys) > 1 or r.gate_order for r in rules.values())),
            ("stacked", any(r.stacked for r in rules.values())),
            ("reshaped", any(r.reshaped for r in rules.values())),
            ("blocks", any(r.gate_order for r in rules.values())),
        )
        if needed
    )
    items = tuple((Literal(end), TupleOf(rule.table_items(features))) for end, rule in rules.items())
    doc = TABLE_DOC.format(more=explain_entries(features)).strip()
    table = Function(TABLE_NAME, (), "dict", doc, (Return(DictOf(items)),))
    body = (*module.body, table, Helper(loader_source(features)))
    imports = tuple(line for line in LOADER_IMPORTS if line not in module.imports)
    return replace(module, imports=(*module.imports, *imports), body=body)


def explain_entries(features: frozenset[str]) -> str:
    """Return the last sentences of the table's docstring: what the other columns mean."""
    explanations = {
        "several": "Of several keys, the weights are stacked."
        if "stacked" in features
        else "Of several keys, the weights are added.",
        "reshaped": "True: two axes of the variable are one in the file.",
        "blocks": "Last: the order of the gates, which are parts of the first axis.",
    }
    return " ".join(text for name, text in explanations.items() if name in features)


def loader_source(features: frozenset[str]) -> str:
    """Return the source of the loading function, with only what the table needs."""
    names = ["keys" if "several" in features else "key", "order"]
    names += [name for name in ("reshaped", "blocks") if name in features]
    lines = [
        "def load_weights(model: keras.Model, path: str) -> None:",
        '    """Fill a model from a safetensors file that `specbuild weights` has written."""',
        "    values, table, found = load_file(path), weight_table(), []",
        "    for variable in model.weights:",
        '        if "seed_generator" in variable.path:',
        "            continue",
        '        ends = [end for end in table if f"/{variable.path}".endswith(f"/{end}")]',
        "        end = max(ends, key=len)",
        f"        {', '.join(names)} = table[end]",
        '        head = variable.path.removesuffix(end).replace("/", ".")',
    ]
    if "several" in features:
        lines.append("        parts = [values.pop(head + key) for key in keys]")
        if "blocks" in features:
            lines += [
                "        if blocks:",
                "            gates = [p.reshape(len(blocks), -1, *p.shape[1:]) for p in parts]",
                "            parts = [g[list(blocks)].reshape(p.shape) for g, p in zip(gates, parts)]",
            ]
        if "stacked" in features:
            lines += [
                "        parts = [part.transpose(order) for part in parts]",
                "        value = keras.ops.stack(parts) if len(parts) > 1 else parts[0]",
            ]
        else:
            lines.append("        value = sum(parts)")
    else:
        lines.append("        value = values.pop(head + key)")
    if "reshaped" in features:
        lines += [
            "        if reshaped:",
            "            sizes = [variable.shape[order.index(i)] for i in range(len(order))]",
            "            value = value.reshape(sizes)",
        ]
    assigned = "value" if "stacked" in features else "value.transpose(order)"
    lines += [
        f"        found.append((variable, {assigned}))",
        "    if values:",
        "        raise ValueError(f\"the model has no {', '.join(values)}\")",
        "    for variable, value in found:",
        "        variable.assign(value)",
    ]
    return "\n".join(lines)
