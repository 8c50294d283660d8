"""Scale random weights so that every layer's output has a standard deviation near one.

Otherwise values would grow or vanish with depth, and errors would not show. The layers are scaled one after
another while the model runs (layer-sequential unit-variance initialization, arXiv 1511.06422).
"""

from __future__ import annotations

from typing import Any

from specbuild.runtimes.probes import StepRecorder

MAX_SCALE = 1e3  # a layer that needs a larger factor is left as it is


def calibrate_weights(torch: Any, model: Any, recorder: StepRecorder, inputs: list[Any]) -> dict[str, Any]:
    """Run a model with probes, and return its weights after the scaling, by their names in the state_dict.

    The running statistics of a batch norm are set near those of its input, but not to the same: the mean is
    off by about a third of the standard deviation, the variance by a factor of 0.5 to 1.5. One is added to
    its shift. If values around zero entered a ReLU, rounding errors would grow by a fifth per layer (arXiv
    1902.08129); around one, they grow by a twentieth.
    """
    seen: set[Any] = set()
    kernels = (torch.nn.modules.conv._ConvNd, torch.nn.Linear, torch.nn.Embedding)
    norms = torch.nn.modules.batchnorm._BatchNorm
    random = torch.Generator().manual_seed(0)

    def scale_layer(layer: Any, args: tuple[Any, ...], value: Any) -> Any:
        """Scale a layer at its first call, and call it again."""
        if layer in seen or not isinstance(layer, (*kernels, norms)):
            return value
        seen.add(layer)
        if isinstance(layer, norms):
            align_norm(layer, args[0])
        elif value.numel() > 1 and 1 / MAX_SCALE < (deviation := float(value.std())) < MAX_SCALE:
            layer.weight /= deviation
            if getattr(layer, "bias", None) is not None:
                layer.bias /= deviation
        else:
            return value
        return layer(*args)

    def align_norm(layer: Any, x: Any) -> None:
        dims = [d for d in range(x.ndim) if d != 1]
        mean, variance = x.mean(dims), x.var(dims, unbiased=False)
        factor = 0.5 + torch.rand(mean.shape, generator=random, dtype=torch.float64).to(x.device)
        offset = torch.randn(mean.shape, generator=random, dtype=torch.float64).to(x.device)
        layer.running_mean.copy_(mean + offset * variance.sqrt() / 3)
        layer.running_var.copy_(variance.clamp(min=1e-2) * factor)
        if layer.bias is not None:
            layer.bias += 1

    recorder.after_call, recorder.active = scale_layer, True
    with torch.no_grad():
        model(*inputs)
    parameters = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return {k: v.cpu().numpy().copy() for k, v in parameters.items()}
