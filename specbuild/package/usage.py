"""The parts of a card that show code: how each framework's model is made and called, and how it gets its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specbuild.emit.code import Call, Expr, ListOf, Literal, Name
from specbuild.emit.printer import expression
from specbuild.emit.text import identifier
from specbuild.package.facts import Facts
from specbuild.package.markdown import listing, page
from specbuild.package.samples import samples
from specbuild.weights.carry import layouts

ONE = Literal(1)


def usage(facts: Facts, package: str) -> str:
    """A model made and called."""
    lines = torch_lines(facts) if facts.backend == "torch" else keras_lines(facts)
    home = f"{package}.{facts.module}" if facts.prefix else package
    imports = [f"import {facts.backend}", f"from {home} import {identifier(facts.name)}"]
    return listing("\n".join([*imports, "", *lines]), "python")


def torch_lines(facts: Facts) -> Iterator[str]:
    net = "model" if "model" not in facts.inputs else "net"
    yield f"{net} = {expression(facts.made)}.eval()"
    yield from given(facts)
    names = [free(name, facts) for name in facts.outputs]
    call = expression(Call(Name(net), tuple(map(Name, facts.inputs))))
    shapes = ", ".join(value.told(ONE) for value in facts.outputs.values())
    yield "with torch.no_grad():"
    yield f"    {', '.join(names)} = {call}  # {shapes}"


def keras_lines(facts: Facts) -> Iterator[str]:
    net = "model" if "model" not in facts.inputs else "net"
    yield f"{net} = {expression(facts.made)}"
    yield from given(facts)
    names: list[Expr] = list(map(Name, facts.inputs))
    call = expression(Call(Name(net), (names[0] if len(names) == 1 else ListOf(tuple(names)),)))
    if len(facts.outputs) == 1:
        [(name, value)] = facts.outputs.items()
        yield f"{free(name, facts)} = {call}  # {value.told(ONE)}"
        return
    yield f"{free('outputs', facts)} = {call}"
    for name, value in facts.outputs.items():
        yield f"{free('outputs', facts)}[{expression(Literal(name))}]  # {value.told(ONE)}"


def given(facts: Facts) -> Iterator[str]:
    """The inputs, random."""
    for name, made in samples(facts, ONE).items():
        yield f"{identifier(name)} = {expression(made)}"


def free(name: str, facts: Facts) -> str:
    """The name of an output, if no input has it."""
    name = name.replace(".", "_") or "output"
    taken = {*facts.inputs, "model", "net", "torch", "keras"}
    return identifier(f"{name}_out" if name in taken else name)


# --------------------------------------------------------------------------------------------------------- weights


def weights(facts: Sequence[Facts], package: str, loaders: bool) -> str:
    """How the models get trained weights."""
    file = f"{package}.safetensors" if loaders else None
    parts = [
        "`specbuild weights convert` carries trained weights from one framework to the other, and from published "
        "names to the model's own. `SPEC` is the file that this package was compiled from:",
        listing("\n".join(commands(facts, file or package)), "sh"),
    ]
    if loaders:
        parts.append(
            "The safetensors file has the spec's own names. It serves both frameworks, and is read without "
            "specbuild:"
        )
    else:
        parts.append("What it writes is loaded by the framework itself:")
    parts += [listing("\n".join(loaded(f, package, loaders)), "python") for f in facts]
    return page(*parts)


def commands(facts: Sequence[Facts], to: str) -> Iterator[str]:
    """Conversions that make sense for this model."""
    targets = [to] if to.endswith(".safetensors") else [f"{to}{ENDINGS[f.backend]}" for f in facts]
    for target in targets:
        yield f"specbuild weights convert SPEC trained.pt -o {target}"
    known = layouts(facts[0].model.graph)
    for naming in known:
        into = f" --into {naming.path[:-1]}" if naming.path else ""
        file = "published.pt" if naming.framework == "torch" else "published.weights.h5"
        yield f"specbuild weights convert SPEC {file} --from {naming.name}{into} -o {targets[0]}"
    if known:
        yield "# what a file has no weights for is named with --allow-missing, and begins anew"


ENDINGS = {"torch": ".pt", "keras": ".weights.h5"}


def loaded(facts: Facts, package: str, loaders: bool) -> Iterator[str]:
    """Lines that fill a model that is there."""
    if loaders:
        saves = ", save_weights" if facts.backend == "torch" else ""
        yield f"from {package}.{facts.prefix}weights import load_weights{saves}"
        yield ""
        yield f'load_weights(model, "{package}.safetensors")'
        if saves:
            yield f'save_weights(model, "{package}.safetensors")'
    elif facts.backend == "torch":
        yield f'model.load_state_dict(torch.load("{package}.pt", weights_only=True))'
    else:
        yield f'model.load_weights("{package}.weights.h5")'
