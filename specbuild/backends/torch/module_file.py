"""The file of a PyTorch model: a class for each block, the model last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specbuild.backends.page import (
    assembled,
    computed,
    constructed,
    documented,
    each,
    flag_name,
    flags,
    frozen,
    listing,
    parameters,
    row,
    spelled_out,
)
from specbuild.codegen.class_def import Unit
from specbuild.codegen.constructions import Computed, Construct, Container, Made
from specbuild.codegen.lowering import Step
from specbuild.codegen.statements import Flow, read_by_calls
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    Conditional,
    DictOf,
    Do,
    Expr,
    Function,
    Index,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    TupleOf,
)
from specbuild.ops.attribute_kinds import Init

if TYPE_CHECKING:
    from specbuild.backends.base import Backend

IMPORTS = {
    "math": "import math",
    "OrderedDict": "from collections import OrderedDict",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "nn": "from torch import nn",
}


def module(backend: Backend, units: list[Unit], doc: str, header: tuple[str, ...]) -> Module:
    """The whole file."""
    written = tuple(written_class(unit, model=unit is units[-1]) for unit in units)
    return assembled(written, backend.prelude(), IMPORTS, doc, header)


def written_class(unit: Unit, model: bool) -> Class:
    members = tuple(m for m in (init(unit), reset(unit), train(unit), forward(unit)) if m is not None)
    body: list[Statement] = []
    for member in members:
        body += [Blank(), member] if body else [member]
    return Class(unit.name, ("nn.Module",), documented(unit, model), tuple(body))


def init(unit: Unit) -> Function | None:
    body: list[Statement] = [Do(Call(Attribute(Call(Name("super")), "__init__")))]
    body += [Assign(name, expr) for name, expr in unit.derived.items()]
    body += [Assign(f"self.{name}", Name(name)) for name in read_by_calls(unit)]
    body += held(unit)
    body += [Assign(f"self.{name}", condition) for name, condition in flags(unit).items()]
    body += each(untrained(unit), "part", lambda part: Do(Call(Attribute(stilled(part), "eval"))))
    if any(step.inits for step in unit.steps):
        body.append(Do(Call(Name("self.reset_parameters"))))
    if len(body) == 1:
        return None
    return Function("__init__", (Parameter("self"), *parameters(unit)), "None", "", tuple(body))


def untrained(unit: Unit) -> list[Expr]:
    """The modules of a class that are frozen."""
    found: list[Expr] = []
    for step, inside in frozen(unit):
        if is_tensor(step):
            continue
        module = spoken(unit, step.holder)
        if inside.isdigit() and isinstance(step.make, Container) and step.make.names is None:
            module = Index(module, (Literal(int(inside)),))
        elif inside:
            module = Call(Attribute(module, "get_submodule"), (Literal(inside),))
        found.append(module)
    return found


def stilled(module: Expr) -> Expr:
    return Call(Attribute(module, "requires_grad_"), (Literal(False),))


def train(unit: Unit) -> Function | None:
    """What is frozen keeps its statistics: it stays as in evaluation."""
    parts = untrained(unit)
    if not parts:
        return None
    body = (
        Do(Call(Attribute(Call(Name("super")), "train"), (Name("mode"),))),
        *each(parts, "part", lambda part: Do(Call(Attribute(part, "eval")))),
        Return(Name("self")),
    )
    mode = Parameter("mode", "bool", Literal(True))
    return Function("train", (Parameter("self"), mode), "nn.Module", "", body)


def held(unit: Unit) -> list[Statement]:
    """What the constructor makes; members of a group that is no row stand in a list or a dict under its name."""
    groups: dict[str, dict[str, Expr]] = {}
    order: list[tuple[str, list[Statement] | None]] = []
    for step in unit.steps:
        if step.make is None:
            continue
        if is_tensor(step):
            order.append((step.holder, list(tensor(step, unit))))
            continue
        made = finished(step.make)
        if step.key in unit.flags:
            made = Conditional(unit.flags[step.key], made, Call(Name("nn.Identity")))
        top, _, rest = step.holder.partition(".")
        if rest:
            if top not in groups:
                order.append((top, None))
            groups.setdefault(top, {})[rest] = made
        else:
            order.append((step.holder, [Assign(f"self.{step.holder}", made)]))
    statements: list[Statement] = []
    for name, written in order:
        statements += [Assign(f"self.{name}", nested(groups[name]))] if written is None else written
    return statements


def is_tensor(step: Step) -> bool:
    """Whether what a step holds is no module, so that no list or dict of modules can hold it."""
    return step.buffer or (isinstance(step.make, Construct) and step.make.function == "nn.Parameter")


def tensor(step: Step, unit: Unit) -> Iterator[Statement]:
    """A parameter, or a buffer: a table's is computed anew wherever a model is made, so it is not saved."""
    assert step.make is not None
    name = step.holder.replace(".", "_")
    if not step.buffer:
        yield Assign(f"self.{name}", finished(step.make))
        return
    if isinstance(step.make, Computed):
        before, value = computed(step.make, {"self", *unit.params})
        yield from before
    else:
        value = finished(step.make)
    kept = () if step.inits else (("persistent", Literal(False)),)
    yield Do(Call(Name("self.register_buffer"), (Literal(name), value), kept))


def nested(members: dict[str, Expr]) -> Expr:
    """A ModuleList where the members are numbered without a gap, else a ModuleDict."""
    inner: dict[str, dict[str, Expr] | Expr] = {}
    for path, made in members.items():
        head, _, rest = path.partition(".")
        if rest:
            group = inner.setdefault(head, {})
            assert isinstance(group, dict)
            group[rest] = made
        else:
            inner[head] = made
    values = {name: nested(value) if isinstance(value, dict) else value for name, value in inner.items()}
    if list(values) == [str(i) for i in range(len(values))]:
        return Call(Name("nn.ModuleList"), (ListOf(tuple(values.values())),))
    return Call(Name("nn.ModuleDict"), (DictOf(tuple((Literal(k), v) for k, v in values.items())),))


def spoken(unit: Unit, holder: str) -> Expr:
    """How forward speaks of what a step made: `self.conv1`, `self.layers[0]`, `self.branch["reduce"]`."""
    if any(map(is_tensor, unit.by_holder.get(holder, ()))):
        return Name(f"self.{holder.replace('.', '_')}")
    top, *rest = holder.split(".")
    expr: Expr = Name(f"self.{top}")
    prefix = top
    holders = [s.holder for s in unit.steps if s.make is not None and not is_tensor(s)] if rest else []
    for part in rest:
        siblings = list(
            dict.fromkeys(
                h[len(prefix) + 1 :].partition(".")[0] for h in holders if h.startswith(prefix + ".")
            )
        )
        numbered = siblings == [str(i) for i in range(len(siblings))]
        expr = Index(expr, (Literal(int(part)) if numbered else Literal(part),))
        prefix = f"{prefix}.{part}"
    return expr


def finished(made: Made) -> Expr:
    """A construction as a call: arguments without a default by position, others by name if they differ from it."""
    if isinstance(made, Construct):
        return constructed(made)
    if isinstance(made, Container):
        if made.names is not None:
            members = zip(made.names, spelled_out(made.members), strict=True)
            pairs = tuple(TupleOf((Literal(name), finished(m))) for name, m in members)
            return Call(Name("nn.Sequential"), (Call(Name("OrderedDict"), (ListOf(pairs),)),))
        if made.loop:
            return Call(
                Name("nn.ModuleList"), (listing(row(made.members, lambda member, _: finished(member))),)
            )
        return Call(Name("nn.Sequential"), row(made.members, lambda member, _: finished(member)))
    assert not isinstance(made, Computed)
    return made


INITS = {
    "zeros": ("zeros_", ()),
    "ones": ("ones_", ()),
    "constant": ("constant_", ("val",)),
    "normal": ("normal_", ("std",)),
    "truncated_normal": ("trunc_normal_", ("std", "a", "b")),
    "uniform": ("uniform_", ("a", "b")),
    "xavier_uniform": ("xavier_uniform_", ()),
    "xavier_normal": ("xavier_normal_", ()),
    "kaiming_uniform": ("kaiming_uniform_", ()),
    "kaiming_normal": ("kaiming_normal_", ()),
    "orthogonal": ("orthogonal_", ()),
}


def reset(unit: Unit) -> Function | None:
    """`reset_parameters`: how weights begin where the spec says so."""
    body: list[Statement] = []
    for step in unit.steps:
        for weight, begin in step.inits:
            value = spoken(unit, step.holder)
            body.append(Do(initialised(Attribute(value, weight) if weight else value, begin)))
    if not body:
        return None
    return Function("reset_parameters", (Parameter("self"),), "None", "", tuple(body))


def initialised(weight: Expr, begin: Init) -> Call:
    name, keywords = INITS[begin.kind]
    args = begin.args
    if begin.kind == "uniform" and len(args) == 1:
        args = (-args[0], args[0])
    if begin.kind == "truncated_normal":
        std = args[0] if args else 1.0
        args = (std, -2 * std, 2 * std) if std != 1.0 else ()  # its own bounds are -2 and 2, whatever std is
    if begin.mode != "fan_in":
        return Call(Name(f"nn.init.{name}"), (weight,), (("mode", Literal(begin.mode)),))
    if begin.kind == "constant":
        return Call(Name(f"nn.init.{name}"), (weight, Literal(args[0])))
    return Call(
        Name(f"nn.init.{name}"),
        (weight,),
        tuple((k, Literal(v)) for k, v in zip(keywords, args, strict=False)),
    )


def forward(unit: Unit) -> Function:
    flow = Flow(
        unit,
        lambda step: spoken(unit, step.holder),
        lambda step: Name(f"self.{flag_name(step, unit)}"),
        owner="self",
    )
    outputs = flow.run()
    names = list(unit.first.outputs)
    if len(outputs) == 1:
        result, returns = outputs[0], "torch.Tensor"
    else:
        result = TupleOf(tuple(outputs))
        returns = f"tuple[{', '.join(['torch.Tensor'] * len(outputs))}]"  # TorchScript takes no "..."
    del names
    inputs = tuple(Parameter(name, "torch.Tensor") for name in unit.first.inputs)
    return Function("forward", (Parameter("self"), *inputs), returns, "", (*flow.statements, Return(result)))
