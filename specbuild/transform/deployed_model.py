"""A model in the form that is run and no longer trained; all that works with models works with it."""

from __future__ import annotations

import hashlib

from specbuild.api import Model
from specbuild.compiler.model_compiler import ModelCompiler
from specbuild.compiler.output_files import file_header, stamp_source
from specbuild.compiler.pipeline import Compilation
from specbuild.transform.deployed_graph import DeployedGraph, deploy_variations

HEADER = "Deployed: for inference, without what only training needs. Its weights are not those of the trained model."


class DeployedModel(Model):
    """The deployed form of a model. `deployment` says what became of its steps and weights."""

    def __init__(self, trained: Model):
        self.trained = trained
        self.deployment = DeployedGraph(trained.graph)
        graph = self.deployment.block
        variations = deploy_variations(self.deployment, trained.compilation.compiler.variations)
        compilation = Compilation(graph, graph, ModelCompiler(graph, variations))
        digest = hashlib.sha256(f"deploy {trained.digest}".encode()).hexdigest()
        super().__init__(trained.spec, trained.files, trained.arguments, compilation, digest)

    def with_features(self, *paths: str, only: bool = False) -> Model:
        """Return the deployed form of the model with these features, as `Model.with_features` does."""
        return DeployedModel(self.trained.with_features(*paths, only=only))

    @property
    def in_full(self) -> Model | None:
        return None

    def source(self, backend: str, *, loader: bool = False, groups: bool = False) -> str:
        """Return the file for a backend, as `Model.source` does; its header says what it is."""
        header = (*file_header(self.digest, self.spec.license), HEADER)
        compiled = self.compile_for(backend)
        has_loader = loader and compiled.backend.needs_loader
        return stamp_source(compiled.source(header, loader=has_loader, groups=groups))


def deploy_model(model: Model) -> DeployedModel:
    """Return the deployed form of a model: batch norms folded, parallel branches merged, dropout removed."""
    return DeployedModel(model)
