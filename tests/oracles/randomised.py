"""Weights that hide nothing.

As a framework leaves them, weights make weak oracles: scales of one, statistics of the identity and
branches that begin at zero agree whatever the epsilon or the order. Here every weight is random, batch
norms hold the statistics of what they really meet, give or take, and a few channels have a variance so near
epsilon that a difference in its fifth digit shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

Array = np.ndarray[Any, Any]

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def randomise(model: nn.Module, images: torch.Tensor, seed: int = 0) -> None:
    """Set every weight of a PyTorch model, and its batch norms by what these images give them."""
    random = np.random.default_rng(seed)
    norms = {module for module in model.modules() if isinstance(module, NORMS)}
    handles = []
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                scale = module in norms and name == "weight"
                fan_in = int(np.prod(parameter.shape[1:])) if parameter.ndim > 1 else 0
                parameter.copy_(torch.as_tensor(drawn(tuple(parameter.shape), fan_in, scale, random)))
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):

                def measure(
                    module: nn.BatchNorm2d | nn.BatchNorm3d, inputs: tuple[torch.Tensor, ...]
                ) -> None:
                    others = [0, *range(2, inputs[0].ndim)]
                    moments = inputs[0].mean(others).numpy(), inputs[0].var(others).numpy()
                    factors = (
                        np.ones_like(moments[0]) if module.weight is None else module.weight.detach().numpy()
                    )
                    new = statistics(*moments, factors, module.eps, random)
                    for tensor, value in zip(
                        (module.running_mean, module.running_var, module.weight), new, strict=True
                    ):
                        if tensor is not None:  # a norm may have no factors
                            tensor.copy_(torch.from_numpy(value))

                handles.append(module.register_forward_pre_hook(measure))
        model.eval()(images)
    for handle in handles:
        handle.remove()


def randomise_keras(model: Any, images: Array, seed: int = 0) -> None:
    """The same for a functional Keras model on TensorFlow."""
    random = np.random.default_rng(seed)
    for variable in model.trainable_weights:
        shape = tuple(variable.shape)
        depthwise = variable.path.endswith("depthwise_kernel")
        fan_in = int(np.prod(shape[:2] if depthwise else shape[:-1])) if len(shape) > 1 else 0
        variable.assign(drawn(shape, fan_in, variable.path.endswith("/gamma"), random))

    def measured(layer: Any) -> Any:
        call = type(layer).call

        def measure(x: Any, *args: Any, **kwargs: Any) -> Any:
            moments = np.mean(x, axis=(0, 1, 2)), np.var(x, axis=(0, 1, 2))
            factors = np.ones_like(moments[0]) if layer.gamma is None else np.asarray(layer.gamma)
            new = statistics(*moments, factors, layer.epsilon, random)
            for variable, value in zip(
                (layer.moving_mean, layer.moving_variance, layer.gamma), new, strict=True
            ):
                if variable is not None:  # a norm may have no factors
                    variable.assign(value)
            return call(layer, x, *args, **kwargs)

        return measure

    norms = [layer for layer in model.layers if hasattr(layer, "moving_variance")]
    for layer in norms:
        layer.call = measured(layer)
    model(images, training=False)
    for layer in norms:
        del layer.call


def give_exact_inputs(model: Any) -> None:
    """Give the layers that scale images numbers in float64, which Keras rounds to float32; learned moments become others."""
    for layer in model.layers:
        match type(layer).__name__:
            case "Rescaling":
                layer.scale, layer.offset = np.float64(layer.scale), np.float64(layer.offset)
            case "Normalization" if layer.weights:
                for variable, value in zip(
                    layer.weights, ([0.4, 0.5, 0.6], [0.05, 0.06, 0.07]), strict=False
                ):
                    variable.assign(np.reshape(value, variable.shape))
                layer.finalize_state()
            case "Normalization":
                shape = layer.mean.shape
                layer.mean = np.reshape(np.float64(layer.input_mean), shape)
                layer.variance = np.reshape(np.float64(layer.input_variance), shape)


def drawn(shape: tuple[int, ...], fan_in: int, scale: bool, random: np.random.Generator) -> Array:
    """A weight that keeps the spread of what it is applied to, and is nowhere trivial."""
    noise = random.normal(size=shape)
    return 1 + 0.2 * noise if scale else noise / np.sqrt(fan_in) if fan_in else 0.3 * noise


def statistics(
    mean: Array, variance: Array, scale: Array, epsilon: float, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Mean, variance and scale of a batch norm that meets these moments; one channel in eight is near epsilon."""
    held = variance * random.uniform(0.5, 1.5, variance.shape)
    near = random.random(variance.shape) < 1 / 8
    small = np.where(near, epsilon * random.uniform(0.5, 2, variance.shape), held)
    scale = scale * np.sqrt((small + epsilon) / (held + epsilon))  # so that what comes out stays as large
    return mean + 0.1 * np.sqrt(variance) * random.normal(size=mean.shape), small, scale


def difference(a: Any, b: Any) -> float:
    """The largest difference over the largest number."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert np.isfinite(a).all()
    return float(np.max(np.abs(a - b)) / np.max(np.abs(a)))
