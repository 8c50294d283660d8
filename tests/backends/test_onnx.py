"""PyTorch's own export of emitted files to ONNX, with any batch size; ONNX Runtime computes the same."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch

from specbuild import load

pytestmark = pytest.mark.slow

SWIN = Path(__file__).parents[2] / "specbuild" / "library" / "backbones" / "swin.yaml"


def test_windows_with_a_learned_bias() -> None:
    """Rolled windows, and maps of a single one; the exporter runs the attention with gradients and without."""
    spec = load(SWIN, height=56, width=56, features=12, depths=[2, 1, 1, 1], heads=[1, 2, 4, 8], classes=7)
    net = spec.build("torch").eval()
    images = torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.onnx.export(net, (images,), dynamo=True, dynamic_shapes=sizes, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    name = session.get_inputs()[0].name
    for batch in (1, 3):
        (found,) = session.run(None, {name: images[:batch].numpy()})
        torch.testing.assert_close(
            torch.from_numpy(found), net(images[:batch]).detach(), rtol=1e-3, atol=1e-5
        )
