"""The test file of a package: the model runs, with the shapes and the parameter count of its README."""

from __future__ import annotations

from specbuild.codegen.tree import (
    Call,
    Do,
    Function,
    Helper,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    TupleOf,
)
from specbuild.packaging.init_file import import_lines
from specbuild.packaging.model_facts import ModelFacts

BATCH = Name("batch")
MODULE_SCOPE = (("scope", Literal("module")),)


def build_test_module(facts: ModelFacts, header: tuple[str, ...]) -> Module:
    """Return the test file; with several frameworks, it is skipped if its own is not installed."""
    doc = f"Test that {facts.name} in {facts.title} has the shapes and sizes that the README states."
    packaging = facts.packaging
    tests = packaging.test_functions(facts.model_under_test)
    body: tuple[Statement, ...] = (
        model_fixture(facts),
        inputs_function(facts),
        shapes_function(facts),
        *map(Helper, tests),
    )
    standard = ("import math", "") if any("math." in text for text in tests) else ()
    framework_import, more_imports = f"import {packaging.module}", packaging.more_imports
    model_import = import_lines(facts.module, [facts.name])
    if not facts.prefix:
        packages = sorted(("import pytest", framework_import))
        return Module(doc, (*standard, *packages, *more_imports, "", *model_import), body, header)
    skip = Do(Call(Name("pytest.importorskip"), (Literal(packaging.module),)))
    late_imports = Helper("\n".join((framework_import, *more_imports, "", *model_import)))
    return Module(doc, (*standard, "import pytest"), (skip, late_imports, *body), header)


def model_fixture(facts: ModelFacts) -> Function:
    """Return the fixture that constructs the model once for all tests."""
    seed = Do(Call(Name(facts.packaging.seed_function), (Literal(0),)))
    fixture = Call(Name("pytest.fixture"), (), MODULE_SCOPE)
    body = (seed, Return(facts.construction))
    return Function("model", (), facts.packaging.model_type, "", body, (fixture,))


def inputs_function(facts: ModelFacts) -> Function:
    """Return the function that makes random inputs."""
    result, type_ = facts.packaging.group_inputs(facts.input_samples(BATCH))
    return Function("inputs", (Parameter("batch", "int"),), type_, "", (Return(result),))


def shapes_function(facts: ModelFacts) -> Function:
    """Return the function with the output shapes."""
    shapes = {name: TupleOf(value.shape_with_batch(BATCH)) for name, value in facts.outputs.items()}
    result, type_ = facts.packaging.group_shapes(shapes)
    return Function("shapes", (Parameter("batch", "int"),), type_, "", (Return(result),))
