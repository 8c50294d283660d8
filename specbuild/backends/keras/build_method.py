"""The method `build` of a block's class: it creates the block's own weights and builds its layers.

Keras calls it before the first call, and when it loads a file. A layer is built for the shape of its input. Mostly,
only the number of channels counts, and the other sizes are None. Where a layer needs a size that cannot be written as
an expression, `build` calls the block on symbolic tensors instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.backends.keras.dynamic_sizes import is_shape
from specbuild.backends.keras.layer_creation import build_parts, needed_derived
from specbuild.backends.keras.layer_shapes import ONE_POSITION, LayerShapes, UnknownShape, size_expressions
from specbuild.backends.keras.layers import attribute_name, is_layer_list, is_weight, row_parts
from specbuild.backends.module_parts import emit_construction
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import (
    OWN_MEMBER,
    Construction,
    LayerRow,
    Member,
    is_literal,
    literal_value,
)
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.parameter_reads import qualify_code
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    Conditional,
    Do,
    Expr,
    For,
    Function,
    If,
    Index,
    Infix,
    ListComprehension,
    Literal,
    Name,
    Parameter,
    Statement,
    TupleOf,
)
from specbuild.codegen.tree_walk import code_fields, list_read_names, map_children, walk_expression

BUILT_AT_ONCE = ("Activation", "Dropout", "ELU", "Identity", "LeakyReLU", "ReLU", "Softmax", "SpatialDropout")
STATELESS = (*BUILT_AT_ONCE, "Flatten", "UpSampling", "DroppedAttention", "GELU", "LocalResponse", "Scale")
POOLING = ("AveragePooling", "MaxPooling", "GlobalAveragePooling", "GlobalMaxPooling")
WHOLE_INPUT = frozenset({"layers.Flatten", "layers.PReLU"})  # layers that need every size of their input


class BuildPlan(Struct):
    """What `build` of a class needs: the dimensions of each argument, counted from the end; None for all of them."""

    statements: tuple[Statement, ...]
    needs: dict[str, frozenset[int] | None]
    has_weights: bool
    takes_any_size: bool  # whether its code asks for no size but that of the last axis


class BuildMethods:
    """Writes the methods of all classes of a file, inner classes first."""

    def __init__(self) -> None:
        self.plans: dict[str, BuildPlan] = {}  # by the name of the class

    def write(self, class_spec: ClassSpec) -> Function | None:
        """Return the method of a class; None if it has no weights and no layers that have some."""
        writer = BuildWriter(class_spec, self.plans)
        plan = self.plans[class_spec.name] = writer.plan()
        if not plan.statements:
            return None
        parameters = (
            Parameter(shape, None, Literal(None) if name in class_spec.optional_arguments else None)
            for name, shape in writer.shapes.names.items()
        )
        body = (*plan.statements, Assign("self.built", Literal(True)))
        return Function("build", (Parameter("self"), *parameters), None, "", body)


class BuildWriter:
    """Writes the method of one class."""

    def __init__(self, class_spec: ClassSpec, plans: Mapping[str, BuildPlan]):
        self.class_spec, self.plans = class_spec, plans
        self.shapes = LayerShapes(class_spec)

    def plan(self) -> BuildPlan:
        """Return the statements of the method, and what they need of the shapes that it gets."""
        weights = [self.create_weight(step) for step in self.class_spec.steps if is_weight(step)]
        steps = [s for s in self.class_spec.steps if s.member is not None and not is_weight(s)]
        layers = [s for s in steps if any(map(self.has_weights, row_parts(s.member)))]
        has_weights = bool(weights or layers)
        if not has_weights:  # Keras warns of any layer that is not built, also if it has no weights
            layers = [s for s in steps if not all(map(is_built_at_once, row_parts(s.member)))]
        try:
            statements = share_shape([s for step in layers for s in self.build_layer(step)])
            statements = [*(Assign(name, code) for name, code in self.shapes.variables.items()), *statements]
        except UnknownShape:
            self.shapes.needs = dict.fromkeys(self.shapes.names)
            statements = self.call_symbolically()
        statements = self.add_beginning([*weights, *statements])
        return BuildPlan(tuple(statements), self.shapes.needs, has_weights, self.takes_any_size())

    def add_beginning(self, statements: list[Statement]) -> list[Statement]:
        """Return the statements with those before them that create the layers, and those that read channels."""
        parts = build_parts(self.class_spec)
        if parts is not None:
            groups = parts.first_guards, parts.guards, parts.kept, parts.layers
            first_guards, guards, kept, layers = ([self.qualify_statement(s) for s in g] for g in groups)
            read = {n for s in (*guards, *kept, *layers, *statements) for n in statement_names(s)}
            needed = needed_derived(self.class_spec, read)
            derived = [self.qualify_statement(Assign(name, self.class_spec.derived[name])) for name in needed]
            statements = [*first_guards, *derived, *guards, *kept, *layers, *statements]
        channels = self.shapes.channels
        read = {name for statement in statements for name in statement_names(statement)}
        names = [name for name in self.class_spec.built_sizes if name in channels and name in read]
        return [*(Assign(name, channels[name]) for name in names), *statements]

    def qualify_statement(self, statement: Statement) -> Statement:
        """Return a statement of the constructor for the method: arguments are attributes, channels are variables."""
        if isinstance(statement, If):
            return replace(statement, test=self.qualify(statement.test))
        assert isinstance(statement, Assign)
        return replace(statement, value=self.qualify(statement.value))

    def qualify(self, expr: Expr) -> Expr:
        if isinstance(expr, Name):
            head, dot, rest = expr.text.partition(".")
            if head in self.class_spec.params:
                return Name(f"self.{self.class_spec.attribute_of(head)}{dot}{rest}")
            return self.shapes.read_channels(head) if head in self.class_spec.built_sizes else expr
        return map_children(expr, self.qualify)

    def takes_any_size(self) -> bool:
        """Return whether the block can be called on a symbolic tensor of which only the last size is known."""
        layers = [part for s in self.class_spec.steps for part in row_parts(s.member)]
        inner = {x.function for x in layers if isinstance(x, Construction) and x.is_own_class}
        code = (part for s in self.class_spec.steps for part in walk_expression(ignore_channels(s.call)))
        reads_sizes = any(
            part == Name("ops.reshape")
            or (isinstance(part, Attribute) and part.name == "shape")
            or is_shape(part)
            for part in code
        )
        return (
            all(check.is_least for check in self.class_spec.size_checks)
            and not reads_sizes
            and all(self.plans[name].takes_any_size for name in inner)
        )

    def create_weight(self, step: LoweredStep) -> Statement:
        """Return the statement for a weight of the block. Keras gives it its full path only if `build` creates it."""
        assert isinstance(step.member, Construction)
        weight: Expr = emit_construction(step.member, name=Literal(attribute_name(step)))
        if step.key in self.class_spec.flags:
            weight = Conditional(self.class_spec.flags[step.key], weight, Literal(None))
        code = self.qualify(weight)
        if not self.shapes.has_layers_in_build:
            code = qualify_code(code, self.class_spec, "self")
        return Assign(f"self.{attribute_name(step)}", code)

    def has_weights(self, layer: Member) -> bool:
        if isinstance(layer, LayerRow):
            return any(map(self.has_weights, row_parts(layer)))
        if not isinstance(layer, Construction):
            return False
        if layer.is_own_class:
            return self.plans[layer.function].has_weights
        name = layer.function.removeprefix("layers.")
        return not name.startswith(STATELESS) and "Pooling" not in name

    def build_layer(self, step: LoweredStep) -> list[Statement]:
        """Return the statements that build the layer, or the layers, of a step."""
        attribute = Name(f"self.{attribute_name(step)}")
        operands = layer_operands(step.call)
        if operands is None or step.member is None:
            raise UnknownShape
        if is_layer_list(step.member):
            self.require_equal_layers(step)
            shapes = self.operand_shapes(row_parts(step.member), operands)
            call = Do(Call(Name("layer.build"), shapes))
            return [For("layer", attribute, (call,))]
        shapes = self.operand_shapes(row_parts(step.member), operands)
        return [Do(Call(Attribute(attribute, "build"), shapes))]

    def require_equal_layers(self, step: LoweredStep) -> None:
        """Raise UnknownShape if the layers of a list do not all get inputs of the same shape."""
        for lowered in self.class_spec.instances:
            nodes = [n for n in lowered.block.nodes if n.name.startswith(f"{step.node}.")]
            types = [
                size_expressions(lowered.block.value_type(ref))
                for node in nodes
                for ref in node.inputs[:1]
                if ref is not None
            ]
            if len(set(types)) != 1:
                raise UnknownShape

    def operand_shapes(self, layers: list[Member], operands: list[Expr]) -> tuple[Expr, ...]:
        """Return the shapes for which a layer, or a row of layers, is built."""
        first = layers[0]
        if isinstance(first, Construction) and first.is_own_class and len(layers) == 1:
            plan = self.plans[first.function]
            pairs = list(zip(operands, plan.needs.values(), strict=False))
            return tuple(self.shapes.shape(x, need) for x, need in (pairs if plan.statements else pairs[:1]))
        needed = self.needed_by_row(layers)
        return (self.shapes.shape(operands[0], needed),)

    def needed_by_row(self, layers: list[Member]) -> frozenset[int] | None:
        """Return the dimensions that layers need. A row is called as a whole, so inner classes may need all of them."""
        needed: frozenset[int] = frozenset()
        for layer in layers:
            if isinstance(layer, LayerRow):
                inner = self.needed_by_row(row_parts(layer))
                if inner is None:
                    return None
                needed |= inner
                continue
            if not isinstance(layer, Construction) or layer.function in WHOLE_INPUT:
                return None
            if layer.is_own_class:
                if not self.plans[layer.function].takes_any_size:
                    return None
                needed |= {-1}
                continue
            axis = next((a.value for a in layer.arguments if a.name == "axis"), Literal(-1))
            if not is_literal(axis):
                return None
            dims = literal_value(axis)
            needed |= frozenset(dims if isinstance(dims, tuple) else (dims,))
        return needed

    def call_symbolically(self) -> list[Statement]:
        """Return the statements that call the block on symbolic tensors, which builds its layers."""
        statements: list[Statement] = []
        inputs: list[Expr] = []
        for name, items in self.class_spec.arguments.items():
            source = next(n for n, v in self.class_spec.input_names.items() if v == (items or (name,))[0])
            kind = self.class_spec.first_instance.inputs[source].type.dtype
            dtype = Name("self.compute_dtype") if kind == "float" else Literal(kind)
            shape = Name(self.shapes.names[name])
            item = Name("shape") if items else shape
            code: Expr = Call(Name("keras.KerasTensor"), (item, dtype))
            if items:
                code = ListComprehension(code, "shape", shape)
            if name in self.class_spec.optional_arguments:
                code = Conditional(Infix("is", shape, Literal(None)), Literal(None), code)
            inputs.append(code)
        statements.append(Do(Call(Name("self.compute_output_spec"), tuple(inputs))))
        return statements


def ignore_channels(code: Expr) -> Expr:
    """Return the code without the channels that it reads from a shape: they are always known."""
    match code:
        case Index(Attribute(value, "shape"), (Literal(-1),)):
            return value
    return map_children(code, ignore_channels)


def statement_names(code: Any) -> Iterator[str]:
    """Yield the variables that a statement, or several, read."""
    if isinstance(code, Expr):
        yield from list_read_names(code)
    elif isinstance(code, tuple):
        for part in code:
            yield from statement_names(part)
    elif isinstance(code, Struct):
        for value in code_fields(code):
            yield from statement_names(value)


def share_shape(statements: list[Statement]) -> list[Statement]:
    """Return the statements with the shape that most layers have in a variable, if it is written several times."""
    calls = (s.value for s in statements if isinstance(s, Do) and isinstance(s.value, Call))
    uses = Counter(shape for call in calls for shape in call.args if isinstance(shape, TupleOf))
    shape, count = max(uses.items(), key=lambda item: item[1], default=(None, 0))
    if shape is None or count < 3:
        return statements

    def use_variable(expr: Expr) -> Expr:
        return Name("shape") if expr == shape else map_children(expr, use_variable)

    renamed = [replace(s, value=use_variable(s.value)) if isinstance(s, Do) else s for s in statements]
    return [Assign("shape", shape), *renamed]


def is_built_at_once(layer: Member) -> bool:
    """Return whether a layer is built when it is created, as Keras' own layers without weights mostly are."""
    if not isinstance(layer, Construction) or layer.is_own_class:
        return not isinstance(layer, Construction)
    name = layer.function.removeprefix("layers.")
    return name.startswith(BUILT_AT_ONCE) or name.startswith(POOLING)


def layer_operands(call: Expr) -> list[Expr] | None:
    """Return what a step gives to its own layer; None if the code does not simply call it."""
    for part in walk_expression(call):
        if isinstance(part, Call) and part.function == OWN_MEMBER:
            return list(part.args)
        if isinstance(part, Call) and part.function == Name("run_recurrent"):
            return [part.args[1]]
        if isinstance(part, Call) and part.function == Name("scan"):
            [_, given] = part.args
            over = literal_value(dict(part.keywords)["over"])
            assert isinstance(given, TupleOf)
            return [Index(x, ONE_POSITION) if i in over else x for i, x in enumerate(given.items)]
    return None
