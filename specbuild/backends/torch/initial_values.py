"""Initial values of a PyTorch module: `reset_parameters` for its own tensors, `init_weights` for those of its layers.

What every layer of one kind in a model gets is written once, in `init_weights` of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from specbuild.backends.module_parts import emit_computed, row_members
from specbuild.backends.torch.initializers import emit_initializer
from specbuild.backends.torch.layers import attribute_name, is_tensor, layer_reference, member_name
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import (
    ComputedTable,
    Construction,
    InitialValue,
    LayerRow,
    Member,
    map_initial_values,
)
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.parameter_reads import qualify_code
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    Do,
    Expr,
    For,
    Function,
    If,
    Index,
    Infix,
    Literal,
    Name,
    Parameter,
    Statement,
    TupleOf,
)

Inits = tuple[InitialValue, ...]
Rules = dict[str, Inits]  # class of layers -> the initial values of every layer of it in a model


def tensor_attribute(step: LoweredStep) -> str:
    """Return the attribute of a parameter or buffer."""
    return attribute_name(step.layer_name.replace(".", "_"))


def build_reset_parameters(class_spec: ClassSpec) -> Function | None:
    """Return the method `reset_parameters`, which fills the module's own parameters and tables; None without them."""
    body: list[Statement] = []
    for step in class_spec.steps:
        if step.member is None or not is_tensor(step):
            continue
        tensor = Name(f"self.{tensor_attribute(step)}")
        if isinstance(step.member, ComputedTable):
            body += fill_table(step.member, tensor, class_spec)
        calls = [Do(emit_initializer(tensor, init)) for init in qualified_inits(step.inits, class_spec)]
        if calls and step.key in class_spec.flags:  # some instances have no such parameter
            body.append(If(Infix("is not", tensor, Literal(None)), tuple(calls)))
        else:
            body += calls
    if not body:
        return None
    return Function("reset_parameters", (Parameter("self"),), "None", "", tuple(body))


def fill_table(table: ComputedTable, tensor: Name, class_spec: ClassSpec) -> list[Statement]:
    """Return the statements that fill the buffer of a table, wherever it is."""
    before, value = emit_computed(table, {*class_spec.used_variables, "self"})
    statements: list[Statement] = [
        Assign(line.target, qualify_code(line.value, class_spec, "self"))
        for line in before
        if isinstance(line, Assign)
    ]
    value = qualify_code(value, class_spec, "self")
    match value:
        case Call(Name("torch.full"), (_, number)) | Call(Name("torch.tensor"), (Literal() as number,)):
            filled = Call(Attribute(tensor, "fill_"), (number,))
        case Call(Name("torch.zeros" | "torch.ones" as constant)):
            filled = Call(Attribute(tensor, "fill_"), (Literal(float(constant == "torch.ones")),))
        case _:
            filled = Call(Attribute(tensor, "copy_"), (value,))
    return [*statements, Do(filled)]


def initializer_code(class_spec: ClassSpec) -> Iterator[Expr]:
    """Yield the code of the constructor that its initializers repeat: of tables and numbers."""
    for step in class_spec.steps:
        if isinstance(step.member, ComputedTable):
            yield from (value for _, value in step.member.variables)
            yield step.member.value
        yield from (argument.value for init in step.inits for argument in init.arguments)


def qualified_inits(inits: Inits, class_spec: ClassSpec) -> Inits:
    """Return initial values whose numbers are read as attributes of the module."""
    return map_initial_values(inits, lambda expr: qualify_code(expr, class_spec, "self"))


class InitialLayer(Struct, frozen=True):
    """A layer whose weights get initial values: how a method of its class refers to it, and under which condition."""

    layer: Expr
    condition: Expr | None
    inits: Inits
    is_row: bool = False  # every member of a row
    inside: tuple[Literal, ...] = ()  # then the keys that lead to the layer inside of a member


def initial_layers(class_spec: ClassSpec, rules: Rules) -> Iterator[InitialLayer]:
    """Yield the layers of a class whose weights get initial values from it, without those that a rule covers."""
    for step in class_spec.steps:
        if step.member is None or is_tensor(step):
            continue
        layer, condition = layer_reference(class_spec, step.layer_name), None
        inits = qualified_inits(step.inits, class_spec)
        if step.key in class_spec.flags:  # else it is an identity
            condition = Call(Name("isinstance"), (layer, Name(layer_class(step.member))))
        for keys, member, own in members_with_inits(step.member, inits):
            if own and not is_covered(member, own, rules):
                end = keys.index(EVERY) if EVERY in keys else len(keys)
                part = index_layer(layer, keys[:end])
                yield InitialLayer(part, condition, own, EVERY in keys, keys[end + 1 :])


def layer_class(member: Member) -> str:
    """Return the class of a layer or of a row of layers."""
    if isinstance(member, Construction):
        return member.function
    return "nn.ModuleList" if isinstance(member, LayerRow) and member.is_loop else "nn.Sequential"


EVERY = Literal("*")  # stands for the key of every member of a row


def members_with_inits(
    member: Member, inits: Inits, keys: tuple[Literal, ...] = ()
) -> Iterator[tuple[tuple[Literal, ...], Member, Inits]]:
    """Yield the layers of a member with their initial values, and the keys that lead to each through rows."""
    if not isinstance(member, LayerRow):
        yield keys, member, inits
        return
    by_name: dict[str, list[InitialValue]] = {}
    for init in inits:
        name, _, weight = init.weight.partition(".")
        by_name.setdefault(name, []).append(replace(init, weight=weight))
    row = member.members
    if "*" in by_name:
        yield from members_with_inits(row.tail, tuple(by_name["*"]), (*keys, EVERY))
        return
    if not isinstance(row.length, Literal):
        for part in (*row.head, row.tail):
            yield keys, part, ()
        return
    for number, part in enumerate(row_members(row)):
        name = str(number) if member.names is None else member.names[number]
        attribute = member_name(name)
        key = Literal(attribute if member.names is not None and attribute.isidentifier() else number)
        yield from members_with_inits(part, tuple(by_name.get(name, ())), (*keys, key))


def index_layer(layer: Expr, keys: Sequence[Literal]) -> Expr:
    """Return a layer inside of rows: members with names are attributes, the others have numbers."""
    for key in keys:
        layer = Attribute(layer, key.value) if isinstance(key.value, str) else Index(layer, (key,))
    return layer


def build_init_weights(class_spec: ClassSpec, rules: Rules, is_model: bool) -> Function | None:
    """Return the method `init_weights`, which gives its layers their initial values; None if it has nothing to do."""
    body: list[Statement] = emit_rules(rules) if is_model else []
    groups: dict[tuple[Expr | None, Inits, bool, tuple[Literal, ...]], list[Expr]] = {}
    for part in initial_layers(class_spec, rules):
        groups.setdefault((part.condition, part.inits, part.is_row, part.inside), []).append(part.layer)
    for (condition, inits, is_row, inside), parts in groups.items():
        statements: list[Statement] = []
        if is_row:
            filled = init_statements(index_layer(Name("layer"), inside), inits)
            statements += [For("layer", part, filled) for part in parts]
        elif len(parts) > 1:
            statements.append(For("layer", TupleOf(tuple(parts)), init_statements(Name("layer"), inits)))
        else:
            statements += init_statements(parts[0], inits)
        body += statements if condition is None else [If(condition, tuple(statements))]
    if not body:
        return None
    return Function("init_weights", (Parameter("self"),), "None", "", tuple(body))


def init_statements(layer: Expr, inits: Inits) -> tuple[Statement, ...]:
    return tuple(Do(emit_initializer(Attribute(layer, init.weight), init)) for init in inits)


def find_rules(class_specs: Sequence[ClassSpec]) -> Rules:
    """Return the initial values that all layers of one class have, wherever they are in the model.

    The model itself may have layers with others: it sets them afterwards.
    """
    given: dict[str, list[tuple[Construction, Inits]]] = {}
    own: dict[str, list[tuple[Construction, Inits]]] = {}
    for class_spec in class_specs:
        found = own if class_spec is class_specs[-1] else given
        for step in class_spec.steps:
            if step.member is None or is_tensor(step):
                continue
            for _, member, inits in members_with_inits(step.member, step.inits):
                if isinstance(member, Construction) and not member.is_own_class:
                    found.setdefault(member.function, []).append((member, inits))
    rules: Rules = {}
    for function, layers in given.items():
        rule = max((inits for _, inits in layers), key=len)
        is_constant = all(isinstance(a.value, Literal) for init in rule for a in init.arguments)
        everywhere = [*layers, *own.get(function, ())]
        is_general = all(fits_rule(layer, inits, rule) for layer, inits in layers)
        is_general &= all(inits or fits_rule(layer, inits, rule) for layer, inits in own.get(function, ()))
        if rule and is_constant and is_general and len(everywhere) > 1:
            rules[function] = rule
    return rules


def fits_rule(layer: Construction, inits: Inits, rule: Inits) -> bool:
    """Return whether a layer has exactly the initial values of a rule; without a bias, it needs none for it."""
    wanted = rule
    if any(a.name == "bias" and a.value == Literal(False) for a in layer.arguments):
        wanted = tuple(init for init in rule if init.weight != "bias")
    return bool(wanted) and inits == wanted


def is_covered(member: Member, inits: Inits, rules: Rules) -> bool:
    if not isinstance(member, Construction) or member.function not in rules:
        return False
    return fits_rule(member, inits, rules[member.function])


def emit_rules(rules: Rules) -> list[Statement]:
    """Return the loop over all modules of a model that gives each the initial values for its class."""
    by_inits: dict[Inits, list[str]] = {}
    for function, inits in rules.items():
        by_inits.setdefault(inits, []).append(function)
    tests: tuple[Statement, ...] = ()
    module = Name("module")
    for inits, functions in reversed(by_inits.items()):
        kinds = [Name(function) for function in sorted(functions)]
        kind = kinds[0] if len(kinds) == 1 else TupleOf(tuple(kinds))
        body: list[Statement] = []
        for init in inits:
            statement = Do(emit_initializer(Attribute(module, init.weight), init))
            if init.weight == "bias":
                has_bias = Infix("is not", Attribute(module, "bias"), Literal(None))
                body.append(If(has_bias, (statement,)))
            else:
                body.append(statement)
        tests = (If(Call(Name("isinstance"), (module, kind)), tuple(body), tests),)
    return [For("module", Call(Name("self.modules")), tests)] if tests else []
