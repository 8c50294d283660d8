"""The parts of a card that show code: how each framework's model is made and called, and how it gets its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specbuild.codegen.literals import identifier
from specbuild.codegen.printer import module
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    Comment,
    Expr,
    Index,
    ListOf,
    Literal,
    Module,
    Name,
    Statement,
    Unpack,
)
from specbuild.packaging.markdown import listing, page
from specbuild.packaging.model_facts import Facts
from specbuild.packaging.sample_inputs import samples
from specbuild.weights.matching import layouts

ONE = Literal(1)
ENDINGS = {"torch": ".pt", "keras": ".weights.h5"}


def usage(facts: Facts, package: str) -> str:
    """A model made and called."""
    home = f"{package}.{facts.module}" if facts.prefix else package
    imports = (f"import {facts.backend}", "", f"from {home} import {identifier(facts.name)}")
    net = spoken(facts)
    made = Call(Attribute(facts.made, "eval")) if facts.backend == "torch" else facts.made
    given = [Assign(identifier(name), sample) for name, sample in samples(facts, ONE).items()]
    body = (Assign(net, made), *given, *called(facts, net))
    return listing(module(Module("", imports, body)), "python")


def spoken(facts: Facts) -> str:
    """What the model is called where it is used: an input may have the usual name."""
    return "model" if "model" not in facts.inputs else "net"


def called(facts: Facts, net: str) -> Iterator[Statement]:
    """The call, and what comes out of it."""
    names: tuple[Expr, ...] = tuple(map(Name, facts.inputs))
    if facts.backend == "keras" and len(names) > 1:
        names = (ListOf(names),)
    call = Call(Name(net), names)
    several = len(facts.outputs) > 1
    if several and facts.backend == "keras":
        whole = free("outputs", facts)
        yield Assign(whole, call)
        for name in facts.outputs:
            yield Assign(free(name, facts), Index(Name(whole), (Literal(name),)))
    elif several:
        yield Unpack(tuple(free(name, facts) for name in facts.outputs), call)
    else:
        yield Assign(free(next(iter(facts.outputs)), facts), call)
    for name, value in facts.outputs.items():
        yield Comment(f"{free(name, facts)}: {value.told(ONE)}")


def free(name: str, facts: Facts) -> str:
    """The name of an output, if no input has it."""
    name = name.replace(".", "_") or "output"
    taken = {*facts.inputs, "model", "net", "torch", "keras"}
    return identifier(f"{name}_out" if name in taken else name)


# --------------------------------------------------------------------------------------------------------- weights


def weights(facts: Sequence[Facts], package: str, loaders: bool) -> str:
    """How the models get trained weights."""
    file = f"{package}.safetensors"
    targets = [file] if loaders else [f"{package}{ENDINGS[f.backend]}" for f in facts]
    told = (
        "Weights are kept as safetensors under the spec's own names, in one file for every framework. "
        "It is read without specbuild; the package `safetensors` is needed."
        if loaders
        else "Weights are saved and loaded as those of any other model."
    )
    return page(
        told,
        *(listing("\n".join(lines(f, package, loaders)), "python") for f in facts),
        "Weights that were trained in the other framework, or published under other names, are converted first. "
        "What is missing or left over is named, and has to be allowed. `SPEC` is the file that this package was "
        "compiled from.",
        listing("\n".join(commands(facts[0], targets)), "sh"),
    )


def lines(facts: Facts, package: str, loaders: bool) -> Iterator[str]:
    """What saves the weights of a model, and fills one with them."""
    net = spoken(facts)
    if loaders:
        saves = facts.backend == "torch"
        yield f"from {package}.{facts.prefix}weights import load_weights{', save_weights' if saves else ''}"
        yield ""
        if saves:
            yield f'save_weights({net}, "{package}.safetensors")'
        yield f'load_weights({net}, "{package}.safetensors")'
    elif facts.backend == "torch":
        yield f'torch.save({net}.state_dict(), "{package}.pt")'
        yield f'{net}.load_state_dict(torch.load("{package}.pt", weights_only=True))'
    else:
        yield f'{net}.save_weights("{package}.weights.h5")'
        yield f'{net}.load_weights("{package}.weights.h5")'


def commands(facts: Facts, targets: Sequence[str]) -> Iterator[str]:
    """Conversions that make sense for this model."""
    known = [("trained.pt", ""), ("trained.keras", "")]
    for naming in layouts(facts.model.graph):
        into = f" --into {naming.path[:-1]}" if naming.path else ""
        file = "published.pt" if naming.framework == "torch" else "published.weights.h5"
        known.append((file, f" --from {naming.name}{into}"))
    needless = {".pt": "trained.pt", ".weights.h5": "trained.keras"}
    for target in targets:
        for file, how in known:
            if file != next((f for end, f in needless.items() if target.endswith(end)), ""):
                yield f"specbuild weights convert SPEC {file}{how} -o {target}"
