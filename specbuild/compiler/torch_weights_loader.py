"""A file beside an emitted PyTorch model that reads and writes its weights in canonical form, without specbuild."""

from __future__ import annotations

from specbuild.codegen.tree import DictOf, Expr, Function, Helper, Literal, Module, Return, TupleOf
from specbuild.compiler.keras_weights_loader import TABLE_NAME, LoadRule, build_rules, number_tuple
from specbuild.ir.graph import Block

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


def loader_module(model: Block, doc: str, header: tuple[str, ...]) -> Module:
    """The whole file."""
    rules = build_rules(model, "torch")
    ordered = any(rule.order != tuple(range(len(rule.order))) for rule in rules.values())
    items = tuple((Literal(end), table_entry(rule, ordered)) for end, rule in rules.items())
    of = "tuple[str, tuple[int, ...]]" if ordered else "str"
    listed = Function(
        TABLE_NAME,
        (),
        f"dict[str, {of}]",
        TABLE_DOC_ORDER if ordered else TABLE_DOC,
        (Return(DictOf(items)),),
    )
    parts = (
        KEY_FUNCTION_ORDER if ordered else KEY_FUNCTION,
        LOAD_TEMPLATE.format(take=TAKE_ORDER if ordered else TAKE),
        SAVE_TEMPLATE.format(put=PUT_ORDER if ordered else PUT),
    )
    return Module(doc, LOADER_IMPORTS, (listed, *map(Helper, parts)), header)


def table_entry(rule: LoadRule, ordered: bool) -> Expr:
    [key] = rule.keys
    return TupleOf((Literal(key), number_tuple(rule.order))) if ordered else Literal(key)
