"""Every switch that trades exactness for speed: what it is set to, by one table that also reads it back.

A worker applies its part of the table before anything is computed, and reports what then holds. It imports no
framework by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.runtimes.jobs import Device, WorkerOptions

ValueRule = Callable[[WorkerOptions], Any]


@dataclass(frozen=True)
class Switch:
    """One switch of a framework: an environment variable, or a pair that sets and reads it once it is imported."""

    framework: str  # torch, tensorflow, jax or keras
    name: str
    value: ValueRule
    set: Callable[[Any, Any], None] | None = None
    read: Callable[[Any], Any] | None = None
    devices: tuple[Device, ...] = ("cpu", "cuda")


def env_switch(framework: str, name: str, value: ValueRule, *devices: Device) -> Switch:
    return Switch(framework, name, value, devices=devices or ("cpu", "cuda"))


def attribute_switch(framework: str, path: str, value: ValueRule, *devices: Device) -> Switch:
    """A switch that is an attribute, `backends.cudnn.allow_tf32`."""
    *owners, last = path.split(".")

    def find_owner(module: Any) -> Any:
        for part in owners:
            module = getattr(module, part)
        return module

    return Switch(
        framework,
        f"{framework}.{path}",
        value,
        lambda module, wanted: setattr(find_owner(module), last, wanted),
        lambda module: getattr(find_owner(module), last),
        devices or ("cpu", "cuda"),
    )


def fixed_value(value: Any) -> ValueRule:
    return lambda place: value


def is_tf32_allowed(options: WorkerOptions) -> bool:
    return options.tf32


def set_deterministic(torch: Any, wanted: bool) -> None:
    torch.use_deterministic_algorithms(wanted, warn_only=True)


SWITCHES = (
    env_switch("torch", "NVIDIA_TF32_OVERRIDE", lambda place: None if place.tf32 else "0", "cuda"),
    env_switch("torch", "CUBLAS_WORKSPACE_CONFIG", fixed_value(":4096:8"), "cuda"),
    env_switch("torch", "PYTORCH_CUDA_ALLOC_CONF", fixed_value("expandable_segments:True"), "cuda"),
    env_switch("torch", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", fixed_value(None), "cuda"),
    env_switch("torch", "ONEDNN_DEFAULT_FPMATH_MODE", fixed_value("STRICT")),
    env_switch("torch", "DNNL_DEFAULT_FPMATH_MODE", fixed_value(None)),  # its older name
    attribute_switch("torch", "backends.cuda.matmul.allow_tf32", is_tf32_allowed),
    attribute_switch("torch", "backends.cudnn.allow_tf32", is_tf32_allowed),
    attribute_switch(
        "torch", "backends.cuda.matmul.allow_fp16_reduced_precision_reduction", fixed_value(False)
    ),
    attribute_switch(
        "torch", "backends.cuda.matmul.allow_bf16_reduced_precision_reduction", fixed_value(False)
    ),
    attribute_switch("torch", "backends.cudnn.benchmark", fixed_value(False)),
    attribute_switch("torch", "backends.cudnn.deterministic", fixed_value(True)),
    Switch(
        "torch",
        "torch.use_deterministic_algorithms",
        fixed_value(True),
        set_deterministic,
        lambda torch: torch.are_deterministic_algorithms_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda flash attention",
        fixed_value(False),
        lambda torch, wanted: torch.backends.cuda.enable_flash_sdp(wanted),
        lambda torch: torch.backends.cuda.flash_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda memory-efficient attention",
        fixed_value(False),
        lambda torch, wanted: torch.backends.cuda.enable_mem_efficient_sdp(wanted),
        lambda torch: torch.backends.cuda.mem_efficient_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda cuDNN attention",
        fixed_value(False),
        lambda torch, wanted: torch.backends.cuda.enable_cudnn_sdp(wanted),
        lambda torch: torch.backends.cuda.cudnn_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.set_flush_denormal",
        fixed_value(False),
        lambda torch, wanted: torch.set_flush_denormal(wanted),
    ),
    env_switch("tensorflow", "TF_ENABLE_ONEDNN_OPTS", fixed_value("0")),
    env_switch("tensorflow", "NVIDIA_TF32_OVERRIDE", lambda place: None if place.tf32 else "0", "cuda"),
    env_switch("tensorflow", "TF_FORCE_GPU_ALLOW_GROWTH", fixed_value("true"), "cuda"),
    env_switch("tensorflow", "TF_CUDNN_USE_AUTOTUNE", fixed_value("0"), "cuda"),
    Switch(
        "tensorflow",
        "tf.config.experimental.enable_tensor_float_32_execution",
        is_tf32_allowed,
        lambda tf, wanted: tf.config.experimental.enable_tensor_float_32_execution(wanted),
        lambda tf: tf.config.experimental.tensor_float_32_execution_enabled(),
    ),
    Switch(
        "tensorflow",
        "tf.config.experimental.enable_op_determinism",
        fixed_value(True),
        lambda tf, wanted: tf.config.experimental.enable_op_determinism(),
    ),
    Switch(
        "tensorflow",
        "tf.config.optimizer.set_jit",
        fixed_value(False),
        lambda tf, wanted: tf.config.optimizer.set_jit(wanted),
        lambda tf: bool(tf.config.optimizer.get_jit()),
    ),
    env_switch("jax", "XLA_FLAGS", lambda place: xla_flags(place)),
    env_switch("jax", "XLA_PYTHON_CLIENT_PREALLOCATE", fixed_value("false"), "cuda"),
    env_switch("jax", "NVIDIA_TF32_OVERRIDE", lambda place: None if place.tf32 else "0", "cuda"),
    env_switch("jax", "JAX_PLATFORMS", fixed_value("cpu"), "cpu"),
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
        fixed_value(False),
        lambda keras, wanted: keras.config.disable_flash_attention(),
        lambda keras: bool(keras.config.is_flash_attention_enabled()),
    ),
    env_switch("keras", "TF_CPP_MIN_LOG_LEVEL", fixed_value("3")),
)


def xla_flags(options: WorkerOptions) -> str:
    exact = "--xla_allow_excess_precision=false --xla_cpu_enable_fast_math=false"
    return exact if options.device == "cpu" else f"{exact} --xla_gpu_deterministic_ops=true"


def worker_environment(frameworks: tuple[str, ...], options: WorkerOptions) -> dict[str, str]:
    """The variables of a process that runs these frameworks, which must stand before they are imported."""
    variables = dict(os.environ)
    variables |= {"OMP_NUM_THREADS": str(options.threads), "TF_NUM_INTRAOP_THREADS": str(options.threads)}
    variables |= {"TF_NUM_INTEROP_THREADS": "1"}
    if options.device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    for s in select_switches(frameworks, options):
        if s.set is None:
            variables.pop(s.name, None)
            if (value := s.value(options)) is not None:
                variables[s.name] = value
    return variables


def select_switches(frameworks: tuple[str, ...], options: WorkerOptions) -> list[Switch]:
    return [s for s in SWITCHES if s.framework in frameworks and options.device in s.devices]


def apply_switches(modules: Mapping[str, Any], options: WorkerOptions) -> list[dict[str, str]]:
    """Set every switch of the frameworks that are imported here, and say what then holds."""
    settings = []
    for s in select_switches(tuple(modules), options):
        if s.set is None:
            settings.append({"name": s.name, "value": os.environ.get(s.name, "not set")})
            continue
        wanted = s.value(options)
        try:
            s.set(modules[s.framework], wanted)
            actual = wanted if s.read is None else s.read(modules[s.framework])
        except (AttributeError, RuntimeError) as error:
            settings.append({"name": s.name, "value": f"cannot be set here: {error}"})
            continue
        settings.append(
            {"name": s.name, "value": str(actual) if actual == wanted else f"{actual} (not {wanted})"}
        )
    return settings
