"""The guide's way to logits across the batch: the model gives two embeddings, and the product stands in the loss."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "limits.md"
[SPEC] = re.findall(r"```\{spec\} contrastive.yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
[LOSS] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_loss_of_the_guide_is_that_of_clip() -> None:
    names: dict[str, Any] = {"__name__": "emitted", "torch": torch, "F": F}
    exec(compile_source(build_graph(SPEC), "torch"), names)
    model = names["Contrastive"]().double()
    images = torch.randn(5, 3, 32, 32, dtype=torch.float64)
    texts = torch.randn(5, 16, 24, dtype=torch.float64)
    exec(LOSS, names | {"model": model, "images": images, "texts": texts}, scope := {})

    # CLIP (arXiv 2103.00020), figure 3: cosines, times the exponential of a learned temperature
    image = model.linear1(model.patches(images).mean(dim=(2, 3)))
    text = model.linear2(texts.mean(dim=1))
    cosines = F.cosine_similarity(image[:, None], text[None], dim=-1)
    logits = model.logit_scale.exp() * cosines
    pairs = logits.diagonal()
    expected = (logits.logsumexp(0) + logits.logsumexp(1) - 2 * pairs).mean() / 2
    torch.testing.assert_close(scope["logits"], logits)
    torch.testing.assert_close(scope["loss"], expected)
    assert torch.autograd.grad(scope["loss"], model.logit_scale)[0].abs() > 0


def test_keras_agrees(parity_of: ParityOf) -> None:
    def contrastive_case() -> ParityCase:
        return ParityCase("contrastive", build_graph(SPEC), dtype="float64")

    report = parity_of(contrastive_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)
