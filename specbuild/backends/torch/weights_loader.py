"""Code for PyTorch files that loads and saves canonical weights of a model, without specbuild."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from specbuild.backends.loader_rules import TABLE_NAME, LoadRule, number_tuple, shorten_rules
from specbuild.codegen.tree import DictOf, Expr, Function, Helper, Literal, Module, Return, TupleOf

LOADER_IMPORTS = ("from safetensors.torch import load_file, save_file", "from torch import nn")
TABLE_DOC = "The end of a weight's key in the file, by the longest end of its name."
TABLE_DOC_ORDER = (
    "The end of a weight's key in the file and the order of its axes, by the longest end of its name."
)

KEY_FUNCTION = """\
def key(name: str) -> str:
    \"\"\"What the file calls the weight of this name.\"\"\"
    table = weight_table()
    end = max((end for end in table if f".{name}".endswith(f".{end}")), key=len)
    return name.removesuffix(end) + table[end]"""

KEY_FUNCTION_ORDER = """\
def key(name: str) -> tuple[str, tuple[int, ...]]:
    \"\"\"What the file calls the weight of this name, and in which order it has its axes.\"\"\"
    table = weight_table()
    end = max((end for end in table if f".{name}".endswith(f".{end}")), key=len)
    return name.removesuffix(end) + table[end][0], table[end][1]"""

LOAD_TEMPLATE = """\
def load_weights(model: nn.Module, path: str) -> None:
    \"\"\"Fill a model from a safetensors file of `specbuild weights` or `save_weights`.\"\"\"
    values = load_file(path)
    state = model.state_dict()
    for name in state:
        if not name.endswith("num_batches_tracked"):
{take}
    if values:
        raise ValueError(f"the model has no {{', '.join(values)}}")
    model.load_state_dict(state)"""

TAKE = "            state[name] = values.pop(key(name))"
TAKE_ORDER = """\
            place, order = key(name)
            state[name] = values.pop(place).permute(order)"""

SAVE_TEMPLATE = """\
def save_weights(model: nn.Module, path: str) -> None:
    \"\"\"Write the weights of a model into a file that either framework loads.\"\"\"
    values = {{}}
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
{put}
    save_file(values, path)"""

PUT = "            values[key(name)] = value.contiguous()"
PUT_ORDER = """\
            place, order = key(name)
            back = sorted(range(len(order)), key=order.__getitem__)
            values[place] = value.permute(back).contiguous()"""


def add_weights_loader(module: Module, full_rules: Mapping[str, LoadRule], separator: str) -> Module:
    """Return the file with a table of weights and functions that load and save them."""
    rules = shorten_rules(full_rules, separator)
    with_order = any(rule.order != tuple(range(len(rule.order))) for rule in rules.values())
    items = tuple((Literal(ending), table_entry(rule, with_order)) for ending, rule in rules.items())
    entry_type = "tuple[str, tuple[int, ...]]" if with_order else "str"
    table_doc = TABLE_DOC_ORDER if with_order else TABLE_DOC
    table = Function(TABLE_NAME, (), f"dict[str, {entry_type}]", table_doc, (Return(DictOf(items)),))
    functions = (
        KEY_FUNCTION_ORDER if with_order else KEY_FUNCTION,
        LOAD_TEMPLATE.format(take=TAKE_ORDER if with_order else TAKE),
        SAVE_TEMPLATE.format(put=PUT_ORDER if with_order else PUT),
    )
    imports = tuple(line for line in LOADER_IMPORTS if line not in module.imports)
    body = (*module.body, table, *map(Helper, functions))
    return replace(module, imports=(*module.imports, *imports), body=body)


def table_entry(rule: LoadRule, with_order: bool) -> Expr:
    [key] = rule.keys
    return TupleOf((Literal(key), number_tuple(rule.order))) if with_order else Literal(key)
