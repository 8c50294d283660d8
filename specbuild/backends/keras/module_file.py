"""The file of a Keras model: a layer class for each block, and a function that joins the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from specbuild.backends.keras.automatic_names import reserved
from specbuild.backends.keras.symbolic_shapes import mended
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
from specbuild.codegen.constructions import Computed, Construct, Container, Made, literal
from specbuild.codegen.lowering import Step
from specbuild.codegen.statements import Flow, owned, read_by_calls
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
    Infix,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Star,
    Statement,
    TupleOf,
    rebuild,
)
from specbuild.ops.types import Tensor

if TYPE_CHECKING:
    from specbuild.backends.base import Backend

IMPORTS = {
    "math": "import math",
    "keras": "import keras",
    "layers": "from keras import layers",
    "ops": "from keras import ops",
}
WEIGHT = "self.add_weight"


def module(backend: Backend, units: list[Unit], doc: str, header: tuple[str, ...]) -> Module:
    """The whole file."""
    *blocks, model = units
    package, helpers = model.name, backend.prelude()
    stilled = {made for step, _ in frozen(model) for made in functions(step.make)}
    classes = (written_class(unit, package, unit.name in stilled) for unit in blocks)
    return assembled((*classes, function(model, helpers)), helpers, IMPORTS, doc, header)


def functions(made: Made | None) -> Iterator[str]:
    """What is called to make a layer or a row of layers."""
    if isinstance(made, Construct):
        yield made.function
    elif isinstance(made, Container):
        for member in (*made.members.head, made.members.tail):
            yield from functions(member)


def registered(package: str) -> Call:
    return Call(Name("keras.saving.register_keras_serializable"), (), (("package", Literal(package)),))


def written_class(unit: Unit, package: str, stilled: bool) -> Class:
    """A block's class; `stilled` says that the model has frozen instances of it."""
    members = tuple(m for m in (init(unit, stilled), build(unit), call(unit), config(unit)) if m is not None)
    body: list[Statement] = []
    for member in members:
        body += [Blank(), member] if body else [member]
    return Class(
        unit.name, ("layers.Layer",), documented(unit, model=False), tuple(body), (registered(package),)
    )


def init(unit: Unit, stilled: bool) -> Function:
    kwargs = Parameter("kwargs", None, None, variadic="**")
    body: list[Statement] = [
        Do(Call(Attribute(Call(Name("super")), "__init__"), (), (("**", Name("kwargs")),)))
    ]
    body += [Assign(f"self.{name}", Name(name)) for name in unit.params]
    body += [Assign(name, expr) for name, expr in unit.derived.items()]
    body += [Assign(f"self.{name}", Name(name)) for name in read_by_calls(unit) if name in unit.derived]
    for step in unit.steps:
        if step.make is None or is_weight(step):
            continue
        if isinstance(step.make, Computed):
            before, value = computed(step.make, {"self", "kwargs", *unit.params})
            floats = unit.first.block.typed(step.key).dtype == "float"
            cast = Call(Name("ops.cast"), (value, Name("self.compute_dtype"))) if floats else value
            body += [*before, Assign(f"self.{attribute(step)}", cast)]
            continue
        made = named(step.make, Literal(attribute(step)))
        if step.key in unit.flags:
            made = Conditional(unit.flags[step.key], made, Call(Name("layers.Identity")))
        body.append(Assign(f"self.{attribute(step)}", made))
    body += made_still(untrained(unit, lambda step: f"self.{attribute(step)}"))
    body += [Assign(f"self.{name}", condition) for name, condition in flags(unit).items()]
    given = parameters(unit)
    if stilled:  # an instance that is loaded from a file is told so here, and is to tell its layers
        given = (*given, Parameter("trainable", "bool", Literal(True)))
        body.append(Assign("self.trainable", Name("trainable")))
    return Function("__init__", (Parameter("self"), *given, kwargs), "None", "", tuple(body))


def untrained(unit: Unit, held: Callable[[Step], str]) -> list[Expr]:
    """The layers of a class or of the model that are frozen; `held` is how one is spoken of."""
    found: list[Expr] = []
    for step, inside in frozen(unit):
        if is_weight(step) or isinstance(step.make, Computed):
            continue
        layer: Expr = Name(held(step))
        if isinstance(step.make, Container) and (step.make.loop or step.make.cut):
            found.append(Index(layer, (Literal(int(inside)),)) if inside else Star(layer))
            continue
        for name in inside.split(".") if inside else ():
            layer = Call(Attribute(layer, "get_layer"), (Literal(name),))
        found.append(layer)
    return found


def made_still(parts: list[Expr]) -> list[Statement]:
    """Layers whose weights and statistics stay."""
    return each(parts, "layer", lambda layer: Assign(f"{layer.text}.trainable", Literal(False)))


def is_weight(step: Step) -> bool:
    return isinstance(step.make, Construct) and step.make.function == WEIGHT


def attribute(step: Step) -> str:
    """The attribute that holds a layer, which is also its name."""
    return step.holder.replace(".", "_")


def build(unit: Unit) -> Function | None:
    """Weights of the block's own are made when its input is known, so that their paths are whole."""
    body: list[Statement] = []
    for step in unit.steps:
        if is_weight(step):
            assert isinstance(step.make, Construct)
            made = constructed(step.make, name=Literal(attribute(step)))
            body.append(Assign(f"self.{attribute(step)}", spoken(made, unit)))
    if not body:
        return None
    inputs = list(unit.first.inputs)
    shapes = [f"{name}_shape" for name in inputs] if len(inputs) > 1 else ["input_shape"]
    body.append(Assign("self.built", Literal(True)))
    return Function("build", (Parameter("self"), *map(Parameter, shapes)), None, "", tuple(body))


def spoken(expr: Expr, unit: Unit) -> Expr:
    """The same code outside the constructor, where its parameters are attributes."""
    return rebuild(owned(expr, unit, "self"), lambda part: spoken(part, unit))


def call(unit: Unit) -> Function:
    flow = Flow(
        unit,
        lambda step: Name(f"self.{attribute(step)}"),
        lambda step: Name(f"self.{flag_name(step, unit)}"),
        owner="self",
        lists=True,
    )
    outputs = flow.run()
    result = outputs[0] if len(outputs) == 1 else TupleOf(tuple(outputs))
    inputs = tuple(Parameter(name) for name in unit.first.inputs)
    return Function("call", (Parameter("self"), *inputs), None, "", (*flow.statements, Return(result)))


def config(unit: Unit) -> Function | None:
    if not unit.params:
        return None
    parent = Call(Attribute(Call(Name("super")), "get_config"))
    items = tuple((Literal(name), Name(f"self.{name}")) for name in unit.params)
    return Function(
        "get_config", (Parameter("self"),), "dict", "", (Return(DictOf(((None, parent), *items))),)
    )


def named(made: Made, name: Expr) -> Expr:
    """A construction as a call with its name, which is the path of its weights."""
    if isinstance(made, Construct):
        return constructed(made, name=name)
    if isinstance(made, Container):
        if made.names is not None:
            members = zip(made.names, spelled_out(made.members), strict=True)
            inner: tuple[Expr, ...] = tuple(named(m, Literal(own)) for own, m in members)
        elif made.loop or made.cut:
            return listing(row(made.members, lambda m, i: named(m, beside(name, i)), numbered=True))
        else:
            inner = row(made.members, lambda m, i: named(m, number(i)), numbered=True)
        return Call(Name("keras.Sequential"), (listing(inner),), (("name", name),))
    assert not isinstance(made, Computed)
    return made


def beside(name: Expr, index: Expr) -> Expr:
    """The name of one of several layers that Keras keeps side by side: `stack_0`."""
    assert isinstance(name, Literal)
    if isinstance(index, Literal):
        return Literal(f"{name.value}_{index.value}")
    return Infix("+", Literal(f"{name.value}_"), number(index))


def number(index: Expr) -> Expr:
    return Literal(str(index.value)) if isinstance(index, Literal) else Call(Name("str"), (index,))


def function(unit: Unit, helpers: Mapping[str, str]) -> Function:
    """The model: a function that joins layers into a keras.Model."""
    shared = {s.holder for s in unit.steps if s.make is None and s.holder}
    shared |= {step.holder for step, _ in frozen(unit)}
    rows = {s.holder for s in unit.steps if isinstance(s.make, Container) and (s.make.loop or s.make.cut)}
    made: set[str] = set()
    inputs: list[Expr] = [Name(name) for name in unit.first.inputs]
    body: list[Statement] = [Assign(name, expr) for name, expr in unit.derived.items()]
    shapes = []
    for name, value in unit.first.inputs.items():
        shapes.append(
            Parameter(
                f"{name}_shape", "tuple[int | None, ...]", literal(sizes(value.type, value.layout.order))
            )
        )
        dtype = () if value.type.dtype == "float" else (("dtype", Literal(value.type.dtype)),)
        body.append(
            Assign(
                name, Call(Name("keras.Input"), (Name(f"{name}_shape"),), (*dtype, ("name", Literal(name))))
            )
        )

    def variable(step: Step) -> str:
        return f"{attribute(step)}_layer{'s' if step.holder in rows else ''}"

    def held(step: Step) -> Expr:
        if step.holder in shared:
            return Name(variable(step))
        assert step.make is not None
        if is_weight(step):
            return Call(weight(step), (inputs[0],))
        if isinstance(step.make, Computed):
            return Name(attribute(step))
        return named(step.make, Literal(attribute(step)))

    tables: list[Statement] = []
    layered = read_by_layers(unit)
    for step in unit.steps:
        if isinstance(step.make, Computed):
            before, table = computed(
                step.make, {*unit.params, *unit.first.inputs, *(s.key for s in unit.steps)}
            )
            if step.key in layered:
                named_table = Call(Name("Table"), (table,), (("name", Literal(attribute(step))),))
                table = Call(named_table, (inputs[0],))
            tables += [*before, Assign(attribute(step), table)]
        elif step.make is not None and step.holder in shared and step.holder not in made:
            body.append(Assign(variable(step), named(step.make, Literal(attribute(step)))))
            made.add(step.holder)
    body += made_still(untrained(unit, variable))
    body += tables
    flow = Flow(mended(unit), held, lambda step: Name(flag_name(step, unit)), indent=4, lists=True)
    flow.live |= {attribute(step): len(unit.steps) for step in unit.steps if isinstance(step.make, Computed)}
    outputs = flow.run()
    if len(outputs) == 1 and not isinstance(outputs[0], Name):
        last = next(name for name in ("x", "out", "result") if name not in unit.first.inputs)
        flow.statements.append(Assign(last, outputs[0]))
        outputs = [Name(last)]
    results = list(unit.first.outputs)
    joined = (
        inputs[0] if len(inputs) == 1 else ListOf(tuple(inputs)),
        outputs[0]
        if len(outputs) == 1
        else DictOf(tuple((Literal(n), o) for n, o in zip(results, outputs, strict=True))),
    )
    names = (
        *unit.first.inputs,
        *(attribute(s) for s in unit.steps if s.make and not isinstance(s.make, Computed)),
    )
    body = reserved(names, flow.statements, helpers) + body
    model = Call(Name("keras.Model"), joined, (("name", Literal(unit.name)),))
    return Function(
        unit.name,
        (*parameters(unit), *shapes),
        "keras.Model",
        documented(unit, model=True),
        (*body, *flow.statements, Return(model)),
    )


def read_by_layers(unit: Unit) -> set[str]:
    """The tables that must be part of the model: what follows from them alone goes into a layer, or comes out."""
    behind: dict[str, set[str]] = {}  # value that follows from tables alone -> those tables
    found: set[str] = set()
    for step in unit.steps:
        before = [behind.get(key) for key in step.inputs]
        if isinstance(step.make, Computed):
            behind[step.key] = {step.key}
        elif before and all(before):
            read = set().union(*(b for b in before if b))
            if step.holder:
                found |= read
            behind |= dict.fromkeys((step.key, *step.parts), read)
    for value in unit.first.outputs.values():
        found |= behind.get(value.key, set())
    return found


def weight(step: Step) -> Expr:
    """A weight of the model's own, which has no `build`: a layer, to be called on any input."""
    assert isinstance(step.make, Construct)
    return constructed(replace(step.make, function="Weight"), name=Literal(attribute(step)))


def sizes(x: Tensor, order: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(x[a] for a in order)
