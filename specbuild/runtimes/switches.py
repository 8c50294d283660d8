"""Every switch that trades exactness for speed: what it is set to, by one table that also reads it back.

A worker applies its part of the table before anything is computed, and reports what then holds. It imports no
framework by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.runtimes.jobs import Device, Place

Value = Callable[[Place], Any]


@dataclass(frozen=True)
class Switch:
    """One switch of a framework: an environment variable, or a pair that sets and reads it once it is imported."""

    framework: str  # torch, tensorflow, jax or keras
    name: str
    value: Value
    set: Callable[[Any, Any], None] | None = None
    read: Callable[[Any], Any] | None = None
    devices: tuple[Device, ...] = ("cpu", "cuda")


def env(framework: str, name: str, value: Value, *devices: Device) -> Switch:
    return Switch(framework, name, value, devices=devices or ("cpu", "cuda"))


def attribute(framework: str, path: str, value: Value, *devices: Device) -> Switch:
    """A switch that is an attribute, `backends.cudnn.allow_tf32`."""
    *owners, last = path.split(".")

    def owner(module: Any) -> Any:
        for part in owners:
            module = getattr(module, part)
        return module

    return Switch(
        framework,
        f"{framework}.{path}",
        value,
        lambda module, wanted: setattr(owner(module), last, wanted),
        lambda module: getattr(owner(module), last),
        devices or ("cpu", "cuda"),
    )


def fixed(value: Any) -> Value:
    return lambda place: value


def allowed(place: Place) -> bool:
    return place.tf32


def deterministic(torch: Any, wanted: bool) -> None:
    torch.use_deterministic_algorithms(wanted, warn_only=True)


SWITCHES = (
    env("torch", "NVIDIA_TF32_OVERRIDE", lambda place: None if place.tf32 else "0", "cuda"),
    env("torch", "CUBLAS_WORKSPACE_CONFIG", fixed(":4096:8"), "cuda"),
    env("torch", "PYTORCH_CUDA_ALLOC_CONF", fixed("expandable_segments:True"), "cuda"),
    env("torch", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", fixed(None), "cuda"),
    env("torch", "ONEDNN_DEFAULT_FPMATH_MODE", fixed("STRICT")),
    env("torch", "DNNL_DEFAULT_FPMATH_MODE", fixed(None)),  # its older name
    attribute("torch", "backends.cuda.matmul.allow_tf32", allowed),
    attribute("torch", "backends.cudnn.allow_tf32", allowed),
    attribute("torch", "backends.cuda.matmul.allow_fp16_reduced_precision_reduction", fixed(False)),
    attribute("torch", "backends.cuda.matmul.allow_bf16_reduced_precision_reduction", fixed(False)),
    attribute("torch", "backends.cudnn.benchmark", fixed(False)),
    attribute("torch", "backends.cudnn.deterministic", fixed(True)),
    Switch(
        "torch",
        "torch.use_deterministic_algorithms",
        fixed(True),
        deterministic,
        lambda torch: torch.are_deterministic_algorithms_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda flash attention",
        fixed(False),
        lambda torch, wanted: torch.backends.cuda.enable_flash_sdp(wanted),
        lambda torch: torch.backends.cuda.flash_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda memory-efficient attention",
        fixed(False),
        lambda torch, wanted: torch.backends.cuda.enable_mem_efficient_sdp(wanted),
        lambda torch: torch.backends.cuda.mem_efficient_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda cuDNN attention",
        fixed(False),
        lambda torch, wanted: torch.backends.cuda.enable_cudnn_sdp(wanted),
        lambda torch: torch.backends.cuda.cudnn_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.set_flush_denormal",
        fixed(False),
        lambda torch, wanted: torch.set_flush_denormal(wanted),
    ),
    env("tensorflow", "TF_ENABLE_ONEDNN_OPTS", fixed("0")),
    env("tensorflow", "NVIDIA_TF32_OVERRIDE", lambda place: None if place.tf32 else "0", "cuda"),
    env("tensorflow", "TF_FORCE_GPU_ALLOW_GROWTH", fixed("true"), "cuda"),
    env("tensorflow", "TF_CUDNN_USE_AUTOTUNE", fixed("0"), "cuda"),
    Switch(
        "tensorflow",
        "tf.config.experimental.enable_tensor_float_32_execution",
        allowed,
        lambda tf, wanted: tf.config.experimental.enable_tensor_float_32_execution(wanted),
        lambda tf: tf.config.experimental.tensor_float_32_execution_enabled(),
    ),
    Switch(
        "tensorflow",
        "tf.config.experimental.enable_op_determinism",
        fixed(True),
        lambda tf, wanted: tf.config.experimental.enable_op_determinism(),
    ),
    Switch(
        "tensorflow",
        "tf.config.optimizer.set_jit",
        fixed(False),
        lambda tf, wanted: tf.config.optimizer.set_jit(wanted),
        lambda tf: bool(tf.config.optimizer.get_jit()),
    ),
    env("jax", "XLA_FLAGS", lambda place: xla_flags(place)),
    env("jax", "XLA_PYTHON_CLIENT_PREALLOCATE", fixed("false"), "cuda"),
    env("jax", "NVIDIA_TF32_OVERRIDE", lambda place: None if place.tf32 else "0", "cuda"),
    env("jax", "JAX_PLATFORMS", fixed("cpu"), "cpu"),
    Switch(
        "jax",
        "jax_default_matmul_precision",
        lambda place: "tensorfloat32" if place.tf32 else "highest",
        lambda jax, wanted: jax.config.update("jax_default_matmul_precision", wanted),
        lambda jax: jax.config.jax_default_matmul_precision,
    ),
    Switch(
        "keras",
        "keras.config.enable_flash_attention",
        fixed(False),
        lambda keras, wanted: keras.config.disable_flash_attention(),
        lambda keras: bool(keras.config.is_flash_attention_enabled()),
    ),
    env("keras", "TF_CPP_MIN_LOG_LEVEL", fixed("3")),
)


def xla_flags(place: Place) -> str:
    exact = "--xla_allow_excess_precision=false --xla_cpu_enable_fast_math=false"
    return exact if place.device == "cpu" else f"{exact} --xla_gpu_deterministic_ops=true"


def environment(frameworks: tuple[str, ...], place: Place) -> dict[str, str]:
    """The variables of a process that runs these frameworks, which must stand before they are imported."""
    found = dict(os.environ)
    found |= {"OMP_NUM_THREADS": str(place.threads), "TF_NUM_INTRAOP_THREADS": str(place.threads)}
    found |= {"TF_NUM_INTEROP_THREADS": "1"}
    if place.device == "cpu":
        found["CUDA_VISIBLE_DEVICES"] = ""
    for s in chosen(frameworks, place):
        if s.set is None:
            found.pop(s.name, None)
            if (value := s.value(place)) is not None:
                found[s.name] = value
    return found


def chosen(frameworks: tuple[str, ...], place: Place) -> list[Switch]:
    return [s for s in SWITCHES if s.framework in frameworks and place.device in s.devices]


def applied(modules: Mapping[str, Any], place: Place) -> list[dict[str, str]]:
    """Set every switch of the frameworks that are imported here, and say what then holds."""
    told = []
    for s in chosen(tuple(modules), place):
        if s.set is None:
            told.append({"name": s.name, "value": os.environ.get(s.name, "not set")})
            continue
        wanted = s.value(place)
        try:
            s.set(modules[s.framework], wanted)
            held = wanted if s.read is None else s.read(modules[s.framework])
        except (AttributeError, RuntimeError) as error:
            told.append({"name": s.name, "value": f"cannot be set here: {error}"})
            continue
        told.append({"name": s.name, "value": str(held) if held == wanted else f"{held} (not {wanted})"})
    return told
