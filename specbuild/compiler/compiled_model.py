"""A model compiled for one backend: its classes, weights and source, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from specbuild.backends import load_backend
from specbuild.backends.base import Backend
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.classes import build_classes
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.model_lowering import LoweredModel, lower_model
from specbuild.codegen.printer import print_module
from specbuild.codegen.tree import Module
from specbuild.compiler.audit import audit_source
from specbuild.compiler.parameter_groups import find_parts, group_tensors
from specbuild.compiler.reserved_names import check_reserved_names
from specbuild.compiler.weight_locations import (
    BlockLocation,
    WeightLocation,
    count_trainable_values,
    find_blocks,
    find_weights,
    group_by_tensor,
    load_rule,
)
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Block, VariationSource


class CompiledModel:
    """A model compiled for one backend. Everything is computed on demand, and once.

    Weights need only the lowered model. The classes also need the variations of the model, which are expensive
    to build: see `constructor_params`. Raises SB601 if the backend cannot express the model, and SB203 if the
    model has a name that the backend reserves.
    """

    def __init__(
        self,
        graph: Block,
        backend: Backend,
        variations: Callable[[], VariationSource | None] = lambda: None,
    ):
        self.graph, self.backend, self.variations = graph, backend, variations

    @cached_property
    def lowered_model(self) -> LoweredModel:
        check_reserved_names(self.graph, self.backend)
        return lower_model(self.graph, self.backend)

    @property
    def is_expressible(self) -> bool:
        """Whether the backend can express the model."""
        try:
            return self.lowered_model is not None
        except SpecError as error:
            if error.code != "SB601":
                raise
            return False

    @cached_property
    def classes(self) -> list[ClassSpec]:
        """The classes of the emitted file; the last is the model."""
        return build_classes(self.lowered_model, self.variations(), self.backend.reserved)

    def check_code(self) -> None:
        """Raise the SpecError that `source` would raise. It writes no text, and tries no other arguments."""
        build_classes(self.lowered_model, None, self.backend.reserved)

    @property
    def root(self) -> LoweredBlock:
        """The model's own block, lowered to steps."""
        return self.classes[-1].first_instance

    @cached_property
    def weights(self) -> list[WeightLocation]:
        """All weights of the model in graph order."""
        return find_weights(self.lowered_model, self.backend)

    @property
    def parameters(self) -> int:
        """The number of trainable values. It may differ by backend: one may store the sum of two weights."""
        return count_trainable_values(self.weights)

    def find_blocks(self) -> Iterator[BlockLocation]:
        """Return all block instances of the model, itself first."""
        return find_blocks(self.lowered_model, self.backend)

    def module(self, header: tuple[str, ...] = (), *, loader: bool = False, groups: bool = False) -> Module:
        """Return the emitted file as a code tree; `header` lines become comments at the top.

        With `loader`, it includes a function that loads canonical weights; with `groups`, a function that
        groups the parameters for an optimizer.
        """
        summary = self.graph.doc.strip().split("\n\n")[0]  # the class has the full text
        module = self.backend.module_file(self.classes, summary, header)
        if loader:
            module = self.add_loader(module)
        if groups:
            parts = find_parts(self.lowered_model, self.backend)
            tensors = group_tensors(self.graph, self.weights, parts)
            module = self.backend.add_parameter_groups(module, parts, tensors)
        return module

    def add_loader(self, module: Module) -> Module:
        """Return the file with a function that loads canonical weights.

        Raises SB605 if the backend has none.
        """
        rules = {path: load_rule(weights) for path, weights in group_by_tensor(self.weights).items()}
        return self.backend.weights_loader(module, rules)

    def source(self, header: tuple[str, ...] = (), *, loader: bool = False, groups: bool = False) -> str:
        """Return the audited text of the emitted file; for the arguments see `module`."""
        text = print_module(self.module(header, loader=loader, groups=groups))
        audit_source(text, self.backend.name, loader=loader)
        return text


def compile_graph(model: Block, backend: str) -> CompiledModel:
    """Return a graph compiled for one backend."""
    return CompiledModel(model, load_backend(backend), lambda: model.variations)
