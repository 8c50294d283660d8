"""Compiles one model for several backends. Importing it loads neither a backend nor the code generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from specbuild.ir.graph import Block, VariationSource

if TYPE_CHECKING:
    from specbuild.compiler.compiled_model import CompiledModel


class ModelCompiler:
    """Compiles one model for any backend, and keeps the results."""

    def __init__(self, graph: Block, variations: Callable[[], VariationSource | None] = lambda: None):
        self.graph, self.variations = graph, variations
        self.compiled_models: dict[str, CompiledModel] = {}

    def compile_for(self, backend: str) -> CompiledModel:
        """Return the model compiled for the backend with this name; raises SB602 if there is none."""
        from specbuild.backends import load_backend  # imported late: most commands emit no code
        from specbuild.compiler.compiled_model import CompiledModel

        if backend not in self.compiled_models:
            self.compiled_models[backend] = CompiledModel(self.graph, load_backend(backend), self.variations)
        return self.compiled_models[backend]
