"""Code that makes sample inputs: random numbers, integers within the vocabulary, masks that are all true."""

from __future__ import annotations

from specbuild.codegen.tree import Call, Expr, Literal, Name, TupleOf
from specbuild.packaging.model_facts import ModelFacts, ModelValue
from specbuild.summary.examples import vocabulary_size


def input_samples(facts: ModelFacts, batch: Expr) -> dict[str, Expr]:
    """Return the code of each input by its name."""
    make_sample = torch_sample if facts.backend == "torch" else keras_sample
    count = vocabulary_size(facts.model.graph)
    return {name: make_sample(value, count, batch) for name, value in facts.inputs.items()}


def torch_sample(value: ModelValue, count: int, batch: Expr) -> Expr:
    shape = value.shape_with_batch(batch)
    if value.type.dtype == "int32":
        return Call(Name("torch.randint"), (Literal(count), TupleOf(shape)))
    if value.type.dtype == "bool":
        return Call(Name("torch.ones"), shape, (("dtype", Name("torch.bool")),))
    return Call(Name("torch.randn"), shape)


def keras_sample(value: ModelValue, count: int, batch: Expr) -> Expr:
    shape = TupleOf(value.shape_with_batch(batch))
    if value.type.dtype == "int32":
        return Call(Name("keras.random.randint"), (shape, Literal(0), Literal(count)))
    if value.type.dtype == "bool":
        return Call(Name("keras.ops.ones"), (shape,), (("dtype", Literal("bool")),))
    return Call(Name("keras.random.normal"), (shape,))
