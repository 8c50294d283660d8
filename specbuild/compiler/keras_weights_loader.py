"""The part of an emitted Keras file that fills its model from canonical weights, without specbuild."""

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
    """What a variable is made of: the ends of the keys, and how the tensors become it."""

    keys: tuple[str, ...]
    order: tuple[int, ...]
    reshaped: bool = False  # to the variable's own sizes, in the order of the file
    stacked: bool = False  # several stand one after another; otherwise they are added
    blocks: tuple[int, ...] | None = None  # the order of the equal parts of the first axis

    def table_items(self, features: frozenset[str]) -> tuple[Expr, ...]:
        """The rule as the table tells it: no more than any rule of the table needs."""
        keys = [Literal(key) for key in self.keys]
        found: list[Expr] = [
            TupleOf(tuple(keys)) if "several" in features else keys[0],
            number_tuple(self.order),
        ]
        if "reshaped" in features:
            found.append(Literal(self.reshaped))
        if "blocks" in features:
            found.append(number_tuple(self.blocks or ()))
        return tuple(found)


def number_tuple(numbers: tuple[int, ...]) -> Expr:
    return TupleOf(tuple(map(Literal, numbers)))


def add_loader(page: Module, model: Block) -> Module:
    """The file with a table of its weights and a function that loads them."""
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
    told_table = Function(
        TABLE_NAME,
        (),
        "dict",
        TABLE_DOC.format(more=explain_entries(features)).strip(),
        (Return(DictOf(items)),),
    )
    return replace(
        page,
        imports=(*page.imports, LOADER_IMPORT),
        body=(*page.body, told_table, Helper(loader_source(features))),
    )


def build_rules(model: Block, backend: str = "keras") -> dict[str, LoadRule]:
    """The fewest ends of paths that tell every variable of the model its rule; the longest that fits counts."""
    between = "." if backend == "torch" else "/"
    wanted = {
        kept: variable_rule(sharing)
        for kept, sharing in group_by_tensor(locate_weights(model, backend)).items()
    }
    by_end: dict[str, list[str]] = {}
    for kept in wanted:
        for end in path_endings(kept, between):
            by_end.setdefault(end, []).append(kept)
    found: dict[str, LoadRule] = {}
    for kept, rule in wanted.items():
        for end in path_endings(kept, between):
            short = shorten_rule(kept, end, rule)
            same = [shorten_rule(other, end, wanted[other]) for other in by_end[end]]
            if short is not None and (end == kept or all(other == short for other in same)):
                found[end] = short
                break
    return found


def variable_rule(sharing: list[WeightLocation]) -> LoadRule:
    """The rule of one variable, with whole keys."""
    first, several = sharing[0], is_stacked(sharing)
    stored = first.storage
    order = stored.order or tuple(range(len(stored.shape or first.shape)))
    return LoadRule(tuple(h.path for h in sharing), order, stored.shape is not None, several, stored.blocks)


def path_endings(path: str, between: str) -> list[str]:
    """`kernel`, `conv/kernel`, `stem/conv/kernel` for the last of these."""
    parts = path.split(between)
    return [between.join(parts[n:]) for n in reversed(range(len(parts)))]


def shorten_rule(kept: str, end: str, rule: LoadRule) -> LoadRule | None:
    """The rule by the ends of its keys, if their beginning is that of the variable's path."""
    head = kept.removesuffix(end).replace("/", ".")
    if not all(key.startswith(head) for key in rule.keys):
        return None
    return replace(rule, keys=tuple(key.removeprefix(head) for key in rule.keys))


def explain_entries(features: frozenset[str]) -> str:
    """What else a row of the table says."""
    said = {
        "several": "Of several keys, the weights are stacked."
        if "stacked" in features
        else "Of several keys, the weights are added.",
        "reshaped": "True: two axes of the variable are one in the file.",
        "blocks": "Last: the order of the gates, which are parts of the first axis.",
    }
    return " ".join(text for name, text in said.items() if name in features)


def loader_source(features: frozenset[str]) -> str:
    """The loader's code: only what the table needs."""
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
