"""The file of a PyTorch model: a class for each block, the model last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from specbuild.backends.module_parts import (
    assemble_module,
    class_docstring,
    constructor_parameters,
    emit_computed,
    emit_construction,
    emit_for_each,
    emit_list,
    emit_row,
    flag_conditions,
    flag_name,
    frozen_parts,
    row_members,
)
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, Construction, Container, Member
from specbuild.codegen.lowering import LoweredStep
from specbuild.codegen.statements import StatementWriter, call_parameters
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


def build_module(backend: Backend, units: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
    """The whole file."""
    written = tuple(build_class(unit, model=unit is units[-1]) for unit in units)
    return assemble_module(written, backend.helper_sources(), IMPORTS, doc, header)


def build_class(unit: ClassSpec, model: bool) -> Class:
    members = tuple(
        m
        for m in (build_init(unit), build_reset_parameters(unit), build_train(unit), build_forward(unit))
        if m is not None
    )
    body: list[Statement] = []
    for member in members:
        body += [Blank(), member] if body else [member]
    return Class(unit.name, ("nn.Module",), class_docstring(unit, model), tuple(body))


def build_init(unit: ClassSpec) -> Function | None:
    body: list[Statement] = [Do(Call(Attribute(Call(Name("super")), "__init__")))]
    body += [Assign(name, expr) for name, expr in unit.derived.items()]
    body += [Assign(f"self.{name}", Name(name)) for name in call_parameters(unit)]
    body += build_layers(unit)
    body += [Assign(f"self.{name}", condition) for name, condition in flag_conditions(unit).items()]
    body += emit_for_each(
        frozen_layers(unit), "part", lambda part: Do(Call(Attribute(freeze_layer(part), "eval")))
    )
    if any(step.inits for step in unit.steps):
        body.append(Do(Call(Name("self.reset_parameters"))))
    if len(body) == 1:
        return None
    return Function("__init__", (Parameter("self"), *constructor_parameters(unit)), "None", "", tuple(body))


def frozen_layers(unit: ClassSpec) -> list[Expr]:
    """The modules of a class that are frozen."""
    found: list[Expr] = []
    for step, inside in frozen_parts(unit):
        if is_tensor(step):
            continue
        module = layer_reference(unit, step.layer_name)
        if inside.isdigit() and isinstance(step.member, Container) and step.member.names is None:
            module = Index(module, (Literal(int(inside)),))
        elif inside:
            module = Call(Attribute(module, "get_submodule"), (Literal(inside),))
        found.append(module)
    return found


def freeze_layer(module: Expr) -> Expr:
    return Call(Attribute(module, "requires_grad_"), (Literal(False),))


def build_train(unit: ClassSpec) -> Function | None:
    """What is frozen keeps its statistics: it stays as in evaluation."""
    parts = frozen_layers(unit)
    if not parts:
        return None
    body = (
        Do(Call(Attribute(Call(Name("super")), "train"), (Name("mode"),))),
        *emit_for_each(parts, "part", lambda part: Do(Call(Attribute(part, "eval")))),
        Return(Name("self")),
    )
    mode = Parameter("mode", "bool", Literal(True))
    return Function("train", (Parameter("self"), mode), "nn.Module", "", body)


def build_layers(unit: ClassSpec) -> list[Statement]:
    """What the constructor makes; members of a group that is no row stand in a list or a dict under its name."""
    groups: dict[str, dict[str, Expr]] = {}
    order: list[tuple[str, list[Statement] | None]] = []
    for step in unit.steps:
        if step.member is None:
            continue
        if is_tensor(step):
            order.append((step.layer_name, list(build_tensor(step, unit))))
            continue
        made = emit_layer(step.member)
        if step.key in unit.flags:
            made = Conditional(unit.flags[step.key], made, Call(Name("nn.Identity")))
        top, _, rest = step.layer_name.partition(".")
        if rest:
            if top not in groups:
                order.append((top, None))
            groups.setdefault(top, {})[rest] = made
        else:
            order.append((step.layer_name, [Assign(f"self.{step.layer_name}", made)]))
    statements: list[Statement] = []
    for name, written in order:
        statements += [Assign(f"self.{name}", nest_modules(groups[name]))] if written is None else written
    return statements


def is_tensor(step: LoweredStep) -> bool:
    """Whether what a step holds is no module, so that no list or dict of modules can hold it."""
    return step.buffer or (isinstance(step.member, Construction) and step.member.function == "nn.Parameter")


def build_tensor(step: LoweredStep, unit: ClassSpec) -> Iterator[Statement]:
    """A parameter, or a buffer: a table's is computed anew wherever a model is made, so it is not saved."""
    assert step.member is not None
    name = step.layer_name.replace(".", "_")
    if not step.buffer:
        yield Assign(f"self.{name}", emit_layer(step.member))
        return
    if isinstance(step.member, ComputedTable):
        before, value = emit_computed(step.member, {"self", *unit.params})
        yield from before
    else:
        value = emit_layer(step.member)
    kept = () if step.inits else (("persistent", Literal(False)),)
    yield Do(Call(Name("self.register_buffer"), (Literal(name), value), kept))


def nest_modules(members: dict[str, Expr]) -> Expr:
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
    values = {
        name: nest_modules(value) if isinstance(value, dict) else value for name, value in inner.items()
    }
    if list(values) == [str(i) for i in range(len(values))]:
        return Call(Name("nn.ModuleList"), (ListOf(tuple(values.values())),))
    return Call(Name("nn.ModuleDict"), (DictOf(tuple((Literal(k), v) for k, v in values.items())),))


def layer_reference(unit: ClassSpec, holder: str) -> Expr:
    """How forward speaks of what a step made: `self.conv1`, `self.layers[0]`, `self.branch["reduce"]`."""
    if any(map(is_tensor, unit.steps_by_layer.get(holder, ()))):
        return Name(f"self.{holder.replace('.', '_')}")
    top, *rest = holder.split(".")
    expr: Expr = Name(f"self.{top}")
    prefix = top
    holders = [s.layer_name for s in unit.steps if s.member is not None and not is_tensor(s)] if rest else []
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


def emit_layer(made: Member) -> Expr:
    """A construction as a call: arguments without a default by position, others by name if they differ from it."""
    if isinstance(made, Construction):
        return emit_construction(made)
    if isinstance(made, Container):
        if made.names is not None:
            members = zip(made.names, row_members(made.members), strict=True)
            pairs = tuple(TupleOf((Literal(name), emit_layer(m))) for name, m in members)
            return Call(Name("nn.Sequential"), (Call(Name("OrderedDict"), (ListOf(pairs),)),))
        if made.is_loop:
            return Call(
                Name("nn.ModuleList"),
                (emit_list(emit_row(made.members, lambda member, _: emit_layer(member))),),
            )
        return Call(Name("nn.Sequential"), emit_row(made.members, lambda member, _: emit_layer(member)))
    assert not isinstance(made, ComputedTable)
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


def build_reset_parameters(unit: ClassSpec) -> Function | None:
    """`reset_parameters`: how weights begin where the spec says so."""
    body: list[Statement] = []
    for step in unit.steps:
        for weight, begin in step.inits:
            value = layer_reference(unit, step.layer_name)
            body.append(Do(emit_initializer(Attribute(value, weight) if weight else value, begin)))
    if not body:
        return None
    return Function("reset_parameters", (Parameter("self"),), "None", "", tuple(body))


def emit_initializer(weight: Expr, begin: Init) -> Call:
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


def build_forward(unit: ClassSpec) -> Function:
    flow = StatementWriter(
        unit,
        lambda step: layer_reference(unit, step.layer_name),
        lambda step: Name(f"self.{flag_name(step, unit)}"),
        owner="self",
    )
    outputs = flow.write_statements()
    names = list(unit.first_instance.outputs)
    if len(outputs) == 1:
        result, returns = outputs[0], "torch.Tensor"
    else:
        result = TupleOf(tuple(outputs))
        returns = f"tuple[{', '.join(['torch.Tensor'] * len(outputs))}]"  # TorchScript takes no "..."
    del names
    inputs = tuple(Parameter(name, "torch.Tensor") for name in unit.first_instance.inputs)
    return Function("forward", (Parameter("self"), *inputs), returns, "", (*flow.statements, Return(result)))
