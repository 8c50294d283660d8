"""The parts of a README with code: how to construct and call the model, and how to load weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specbuild.codegen.literals import check_identifier
from specbuild.codegen.printer import print_module
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
from specbuild.packaging.markdown import code_block, join_parts
from specbuild.packaging.model_facts import ModelFacts
from specbuild.packaging.sample_inputs import input_samples
from specbuild.weights.matching import published_layouts

ONE = Literal(1)
WEIGHT_SUFFIXES = {"torch": ".pt", "keras": ".weights.h5"}


def usage_example(facts: ModelFacts, package: str) -> str:
    """Return a code block that constructs and calls the model."""
    home = f"{package}.{facts.module}" if facts.prefix else package
    imports = (f"import {facts.backend}", "", f"from {home} import {check_identifier(facts.name)}")
    net = model_variable(facts)
    model = Call(Attribute(facts.construction, "eval")) if facts.backend == "torch" else facts.construction
    inputs = [Assign(check_identifier(name), sample) for name, sample in input_samples(facts, ONE).items()]
    body = (Assign(net, model), *inputs, *call_statements(facts, net))
    return code_block(print_module(Module("", imports, body)), "python")


def model_variable(facts: ModelFacts) -> str:
    """Return the name of the variable that holds the model: `net` if an input has the name `model`."""
    return "model" if "model" not in facts.inputs else "net"


def call_statements(facts: ModelFacts, net: str) -> Iterator[Statement]:
    """Yield the call of the model, and a comment with the shape of each output."""
    names: tuple[Expr, ...] = tuple(map(Name, facts.inputs))
    if facts.backend == "keras" and len(names) > 1:
        names = (ListOf(names),)
    call = Call(Name(net), names)
    has_several = len(facts.outputs) > 1
    if has_several and facts.backend == "keras":
        whole = output_variable("outputs", facts)
        yield Assign(whole, call)
        for name in facts.outputs:
            yield Assign(output_variable(name, facts), Index(Name(whole), (Literal(name),)))
    elif has_several:
        yield Unpack(tuple(output_variable(name, facts) for name in facts.outputs), call)
    else:
        yield Assign(output_variable(next(iter(facts.outputs)), facts), call)
    for name, value in facts.outputs.items():
        yield Comment(f"{output_variable(name, facts)}: {value.format_shape(ONE)}")


def output_variable(name: str, facts: ModelFacts) -> str:
    """Return the name of the variable for an output; it differs from all inputs."""
    name = name.replace(".", "_") or "output"
    taken = {*facts.inputs, "model", "net", "torch", "keras"}
    return check_identifier(f"{name}_out" if name in taken else name)


# -------------------------------------------------------------------------------------------------- weights


def weights_section(facts: Sequence[ModelFacts], package: str, loaders: bool) -> str:
    """Return the section on saving, loading and converting weights."""
    file = f"{package}.safetensors"
    targets = [file] if loaders else [f"{package}{WEIGHT_SUFFIXES[f.backend]}" for f in facts]
    introduction = (
        "Weights are kept as safetensors under the spec's own names, in one file for every framework. "
        "It is read without specbuild; the package `safetensors` is needed."
        if loaders
        else "Weights are saved and loaded as those of any other model."
    )
    return join_parts(
        introduction,
        *(code_block("\n".join(weight_lines(f, package, loaders)), "python") for f in facts),
        "Weights that were trained in the other framework, or published under other names, are converted "
        "first. What is missing or left over is named, and has to be allowed. `SPEC` is the file that this "
        "package was compiled from.",
        code_block("\n".join(convert_commands(facts[0], targets)), "sh"),
    )


def weight_lines(facts: ModelFacts, package: str, loaders: bool) -> Iterator[str]:
    """Yield the lines of code that save and load weights."""
    net = model_variable(facts)
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


def convert_commands(facts: ModelFacts, targets: Sequence[str]) -> Iterator[str]:
    """Yield commands that convert weights from other sources for this model."""
    sources = [("trained.pt", ""), ("trained.keras", "")]
    for naming in published_layouts(facts.model.graph):
        into = f" --into {naming.path[:-1]}" if naming.path else ""
        file = "published.pt" if naming.framework_name == "torch" else "published.weights.h5"
        sources.append((file, f" --from {naming.name}{into}"))
    needless = {".pt": "trained.pt", ".weights.h5": "trained.keras"}
    for target in targets:
        for file, options in sources:
            if file != next((f for end, f in needless.items() if target.endswith(end)), ""):
                yield f"specbuild weights convert SPEC {file}{options} -o {target}"
