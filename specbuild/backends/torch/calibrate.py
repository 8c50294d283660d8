"""Weights that give each step a spread near one, so that no error hides behind numbers too small or too large.

Layer by layer, as the model runs (layer-sequential unit variance, arXiv 1511.06422). Imports no framework.
"""

from __future__ import annotations

from typing import Any

from specbuild.runtimes.probes import StepRecorder

MAX_SCALE = 1e3  # by no more than this is a layer scaled


def calibrate_weights(torch: Any, model: Any, recorder: StepRecorder, inputs: list[Any]) -> dict[str, Any]:
    """The weights of a model with probes, after each linear map is scaled to give numbers of spread one.

    The statistics of a batch norm become those of what it is given, but never the same: the mean a third of a
    spread aside, the variance half to one and a half of it. Its shift becomes about one: where a ReLU cuts numbers
    about zero in half, rounding grows by a fifth from layer to layer (arXiv 1902.08129), by a twentieth about one.
    """
    done: set[int] = set()
    kernels = (torch.nn.modules.conv._ConvNd, torch.nn.Linear, torch.nn.Embedding)
    norms = torch.nn.modules.batchnorm._BatchNorm
    random = torch.Generator().manual_seed(0)

    def scale_layer(layer: Any, args: tuple[Any, ...], value: Any) -> Any:
        if id(layer) in done or not isinstance(layer, (*kernels, norms)):
            return value
        done.add(id(layer))
        if isinstance(layer, norms):
            align_norm(layer, args[0])
        elif value.numel() > 1 and 1 / MAX_SCALE < (spread := float(value.std())) < MAX_SCALE:
            layer.weight /= spread
            if getattr(layer, "bias", None) is not None:
                layer.bias /= spread
        else:
            return value
        return layer(*args)

    def align_norm(layer: Any, x: Any) -> None:
        dims = [d for d in range(x.ndim) if d != 1]
        mean, variance = x.mean(dims), x.var(dims, unbiased=False)
        share = torch.rand(mean.shape, generator=random, dtype=torch.float64).to(x.device)
        aside = torch.randn(mean.shape, generator=random, dtype=torch.float64).to(x.device)
        layer.running_mean.copy_(mean + aside * variance.sqrt() / 3)
        layer.running_var.copy_(variance.clamp(min=1e-2) * (0.5 + share))
        if layer.bias is not None:
            layer.bias += 1

    recorder.after_call, recorder.active = scale_layer, True
    with torch.no_grad():
        model(*inputs)
    parameters = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return {k: v.cpu().numpy().copy() for k, v in parameters.items()}
