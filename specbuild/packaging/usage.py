"""The parts of a README with code: how to construct and call the model, and how to load weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.codegen.literals import check_identifier
from specbuild.codegen.printer import print_module
from specbuild.codegen.tree import Assign, Comment, Literal, Module
from specbuild.packaging.markdown import code_block, join_paragraphs
from specbuild.packaging.model_facts import ModelFacts
from specbuild.packaging.spec_options import describe_spec, name_spec
from specbuild.weights.matching import published_namings

ONE = Literal(1)


def usage_example(facts: ModelFacts, package: str) -> str:
    """Return a code block that constructs and calls the model."""
    packaging = facts.packaging
    home = f"{package}.{facts.module}" if facts.prefix else package
    imports = (f"import {packaging.module}", "", f"from {home} import {check_identifier(facts.name)}")
    variable = model_variable(facts)
    outputs = {name: output_variable(name, facts) for name in facts.outputs}
    body = (
        Assign(variable, packaging.inference_model(facts.construction)),
        *(Assign(check_identifier(name), sample) for name, sample in facts.input_samples(ONE).items()),
        *packaging.call_statements(variable, tuple(facts.inputs), outputs, output_variable("outputs", facts)),
        *(Comment(f"{outputs[name]}: {value.format_shape(ONE)}") for name, value in facts.outputs.items()),
    )
    return code_block(print_module(Module("", imports, body)), "python")


def model_variable(facts: ModelFacts) -> str:
    """Return the name of the variable that holds the model: `net` if an input has the name `model`."""
    return "model" if "model" not in facts.inputs else "net"


def output_variable(name: str, facts: ModelFacts) -> str:
    """Return the name of the variable for an output; it differs from all inputs."""
    name = name.replace(".", "_") or "output"
    taken = {*facts.inputs, "model", "net", *BACKEND_NAMES, facts.backend, facts.packaging.module}
    return check_identifier(f"{name}_out" if name in taken else name)


# ---------------------------------------------------------------------------------------------------- weights


def weights_usage_section(facts: Sequence[ModelFacts], package: str, loaders: bool) -> str:
    """Return the section on saving, loading and converting weights."""
    targets = [f"{package}.safetensors"]
    introduction = (
        "Weights are stored in a safetensors file under the names of the spec, the same file for every "
        "framework. Reading it needs the package `safetensors`, but not specbuild."
    )
    if not loaders:
        targets = [f"{package}{f.packaging.weights_suffix}" for f in facts]
        introduction = "Save and load the weights as usual:"
    return join_paragraphs(
        introduction,
        *(code_block("\n".join(weight_code_lines(f, package, loaders)), "python") for f in facts),
        "Convert weights first that were trained in the other framework or published under other names. The "
        f"command lists weights that are missing or left over, and refuses them unless you allow them. "
        f"`{name_spec(facts[0].model)}` is the spec that this package was compiled from.",
        code_block("\n".join(convert_commands(facts, targets)), "sh"),
    )


def weight_code_lines(facts: ModelFacts, package: str, loaders: bool) -> Iterator[str]:
    """Yield the lines of code that save and load weights."""
    packaging, model = facts.packaging, model_variable(facts)
    if not loaders:
        yield from packaging.weight_lines(model, f"{package}{packaging.weights_suffix}")
        return
    functions = ["load_weights", *(["save_weights"] if packaging.saves_loader_weights else [])]
    yield f"from {package}.{facts.prefix}weights import {', '.join(functions)}"
    yield ""
    for function in reversed(functions):
        yield f'{function}({model}, "{package}.safetensors")'


def convert_commands(facts: Sequence[ModelFacts], targets: Sequence[str]) -> Iterator[str]:
    """Yield commands that convert weights from other sources for this model.

    The file that training writes needs no conversion for the same framework, so it gets no command.
    """
    packagings = {name: load_backend(name).packaging for name in BACKEND_NAMES}
    packagings |= {f.backend: f.packaging for f in facts}
    trained = {p.weights_suffix: f"trained{p.trained_suffix}" for p in packagings.values() if p is not None}
    sources = [(file, "") for file in trained.values()]
    for naming in published_namings(facts[0].model.graph):
        into = f" --into {naming.path[:-1]}" if naming.path else ""
        packaging = packagings.get(naming.framework_name)
        if packaging is not None:
            sources.append((f"published{packaging.weights_suffix}", f" --from {naming.name}{into}"))
    for target in targets:
        own_file = next((file for suffix, file in trained.items() if target.endswith(suffix)), "")
        for file, options in sources:
            if file != own_file:
                yield f"specbuild weights convert {describe_spec(facts[0].model)} {file}{options} -o {target}"
