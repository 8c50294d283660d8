"""Adds code to an emitted Keras file that loads canonical weights into its model, without specbuild."""

from __future__ import annotations

from dataclasses import dataclass, replace

from specbuild.codegen.tree import DictOf, Expr, Function, Helper, Literal, Module, Return, TupleOf
from specbuild.compiler.weight_locations import WeightLocation, group_by_tensor, is_stacked, locate_weights
from specbuild.ir.graph import Block

LOADER_IMPORT = "from safetensors.numpy import load_file"
TABLE_NAME = "weight_table"
TABLE_DOC = """What fills each variable, by the longest end of its path that is here.

An entry is the end of the weight's key in the file, and the order of its axes. {more}"""


@dataclass(frozen=True)
class LoadRule:
    """How a variable is loaded: the endings of its keys in the file, and how these tensors are converted."""

    keys: tuple[str, ...]
    order: tuple[int, ...]
    reshaped: bool = False  # to the variable's sizes, in the axis order of the file
    stacked: bool = False  # several tensors are stacked along a new axis; otherwise they are added
    blocks: tuple[int, ...] | None = None  # the order of the equal parts of the first axis

    def table_items(self, features: frozenset[str]) -> tuple[Expr, ...]:
        """The rule as an entry of the table, with the columns that some rule of the table needs."""
        keys = [Literal(key) for key in self.keys]
        items: list[Expr] = [
            TupleOf(tuple(keys)) if "several" in features else keys[0],
            number_tuple(self.order),
        ]
        if "reshaped" in features:
            items.append(Literal(self.reshaped))
        if "blocks" in features:
            items.append(number_tuple(self.blocks or ()))
        return tuple(items)


def number_tuple(numbers: tuple[int, ...]) -> Expr:
    return TupleOf(tuple(map(Literal, numbers)))


def add_loader(module: Module, model: Block) -> Module:
    """The file with a table of weights and a function that loads them."""
    rules = build_rules(model)
    features = frozenset(
        name
        for name, needed in (
            ("several", any(len(r.keys) > 1 or r.blocks for r in rules.values())),
            ("stacked", any(r.stacked for r in rules.values())),
            ("reshaped", any(r.reshaped for r in rules.values())),
            ("blocks", any(r.blocks for r in rules.values())),
        )
        if needed
    )
    items = tuple((Literal(end), TupleOf(rule.table_items(features))) for end, rule in rules.items())
    doc = TABLE_DOC.format(more=explain_entries(features)).strip()
    table = Function(TABLE_NAME, (), "dict", doc, (Return(DictOf(items)),))
    body = (*module.body, table, Helper(loader_source(features)))
    return replace(module, imports=(*module.imports, LOADER_IMPORT), body=body)


def build_rules(model: Block, backend: str = "keras") -> dict[str, LoadRule]:
    """Load rules by path endings: for each variable, the longest matching ending is its rule.

    Uses as few endings as possible: variables share a rule that is correct for all of them.
    """
    separator = "." if backend == "torch" else "/"
    full_rules = {
        path: variable_rule(weights)
        for path, weights in group_by_tensor(locate_weights(model, backend)).items()
    }
    paths_by_ending: dict[str, list[str]] = {}
    for path in full_rules:
        for ending in path_endings(path, separator):
            paths_by_ending.setdefault(ending, []).append(path)
    rules: dict[str, LoadRule] = {}
    for path, full_rule in full_rules.items():
        for ending in path_endings(path, separator):
            rule = shorten_rule(path, ending, full_rule)
            others = [shorten_rule(other, ending, full_rules[other]) for other in paths_by_ending[ending]]
            if rule is not None and (ending == path or all(other == rule for other in others)):
                rules[ending] = rule
                break
    return rules


def variable_rule(weights: list[WeightLocation]) -> LoadRule:
    """The rule of the variable that holds these weights, with complete keys."""
    keys, storage = tuple(weight.path for weight in weights), weights[0].storage
    order = storage.order or tuple(range(len(storage.shape or weights[0].shape)))
    return LoadRule(keys, order, storage.shape is not None, is_stacked(weights), storage.blocks)


def path_endings(path: str, separator: str) -> list[str]:
    """For `stem/conv/kernel`: `kernel`, `conv/kernel`, `stem/conv/kernel`."""
    parts = path.split(separator)
    return [separator.join(parts[n:]) for n in reversed(range(len(parts)))]


def shorten_rule(path: str, ending: str, rule: LoadRule) -> LoadRule | None:
    """The rule with only the endings of its keys; None if the keys do not begin like the variable's path."""
    head = path.removesuffix(ending).replace("/", ".")
    if not all(key.startswith(head) for key in rule.keys):
        return None
    return replace(rule, keys=tuple(key.removeprefix(head) for key in rule.keys))


def explain_entries(features: frozenset[str]) -> str:
    """The last sentences of the table's docstring: what the other columns mean."""
    explanations = {
        "several": "Of several keys, the weights are stacked."
        if "stacked" in features
        else "Of several keys, the weights are added.",
        "reshaped": "True: two axes of the variable are one in the file.",
        "blocks": "Last: the order of the gates, which are parts of the first axis.",
    }
    return " ".join(text for name, text in explanations.items() if name in features)


def loader_source(features: frozenset[str]) -> str:
    """The source of the loading function, with only what the table needs."""
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
