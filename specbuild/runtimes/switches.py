"""A table of all framework switches that trade precision for speed, and the values that parity needs.

A worker sets the switches of its frameworks before it computes anything, reads them back, and reports them.
This module imports no framework.
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
    """A setting of a framework: an environment variable, or functions that set and read it after import."""

    framework: str  # torch, tensorflow, jax or keras
    name: str
    value: ValueRule  # the value for some options; None for an environment variable that must not be set
    set: Callable[[Any, Any], None] | None = None  # takes the module and the value; None: a variable
    read: Callable[[Any], Any] | None = None  # takes the module; None if the framework cannot tell
    devices: tuple[Device, ...] = ("cpu", "cuda")


def env_switch(framework: str, name: str, value: ValueRule, *devices: Device) -> Switch:
    return Switch(framework, name, value, devices=devices or ("cpu", "cuda"))


def attribute_switch(framework: str, path: str, value: ValueRule, *devices: Device) -> Switch:
    """A switch that is an attribute of the framework's module, such as `backends.cudnn.allow_tf32`."""
    *owners, last = path.split(".")

    def find_owner(module: Any) -> Any:
        for part in owners:
            module = getattr(module, part)
        return module

    return Switch(
        framework,
        f"{framework}.{path}",
        value,
        lambda module, value: setattr(find_owner(module), last, value),
        lambda module: getattr(find_owner(module), last),
        devices or ("cpu", "cuda"),
    )


def fixed_value(value: Any) -> ValueRule:
    return lambda options: value


def is_tf32_allowed(options: WorkerOptions) -> bool:
    return options.tf32


def disable_tf32(options: WorkerOptions) -> str | None:
    """The value of NVIDIA_TF32_OVERRIDE: 0 switches TF32 off."""
    return None if options.tf32 else "0"


def xla_flags(options: WorkerOptions) -> str:
    exact = "--xla_allow_excess_precision=false --xla_cpu_enable_fast_math=false"
    return exact if options.device == "cpu" else f"{exact} --xla_gpu_deterministic_ops=true"


def set_deterministic(torch: Any, value: bool) -> None:
    torch.use_deterministic_algorithms(value, warn_only=True)


SWITCHES = (
    env_switch("torch", "NVIDIA_TF32_OVERRIDE", disable_tf32, "cuda"),
    env_switch("torch", "CUBLAS_WORKSPACE_CONFIG", fixed_value(":4096:8"), "cuda"),
    env_switch("torch", "PYTORCH_CUDA_ALLOC_CONF", fixed_value("expandable_segments:True"), "cuda"),
    env_switch("torch", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", fixed_value(None), "cuda"),
    env_switch("torch", "ONEDNN_DEFAULT_FPMATH_MODE", fixed_value("STRICT")),
    env_switch("torch", "DNNL_DEFAULT_FPMATH_MODE", fixed_value(None)),  # an older name of it
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
        lambda torch, value: torch.backends.cuda.enable_flash_sdp(value),
        lambda torch: torch.backends.cuda.flash_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda memory-efficient attention",
        fixed_value(False),
        lambda torch, value: torch.backends.cuda.enable_mem_efficient_sdp(value),
        lambda torch: torch.backends.cuda.mem_efficient_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.backends.cuda cuDNN attention",
        fixed_value(False),
        lambda torch, value: torch.backends.cuda.enable_cudnn_sdp(value),
        lambda torch: torch.backends.cuda.cudnn_sdp_enabled(),
    ),
    Switch(
        "torch",
        "torch.set_flush_denormal",
        fixed_value(False),
        lambda torch, value: torch.set_flush_denormal(value),
    ),
    env_switch("tensorflow", "TF_ENABLE_ONEDNN_OPTS", fixed_value("0")),
    env_switch("tensorflow", "NVIDIA_TF32_OVERRIDE", disable_tf32, "cuda"),
    env_switch("tensorflow", "TF_FORCE_GPU_ALLOW_GROWTH", fixed_value("true"), "cuda"),
    env_switch("tensorflow", "TF_CUDNN_USE_AUTOTUNE", fixed_value("0"), "cuda"),
    Switch(
        "tensorflow",
        "tf.config.experimental.enable_tensor_float_32_execution",
        is_tf32_allowed,
        lambda tf, value: tf.config.experimental.enable_tensor_float_32_execution(value),
        lambda tf: tf.config.experimental.tensor_float_32_execution_enabled(),
    ),
    Switch(
        "tensorflow",
        "tf.config.experimental.enable_op_determinism",
        fixed_value(True),
        lambda tf, value: tf.config.experimental.enable_op_determinism(),
    ),
    Switch(
        "tensorflow",
        "tf.config.optimizer.set_jit",
        fixed_value(False),
        lambda tf, value: tf.config.optimizer.set_jit(value),
        lambda tf: bool(tf.config.optimizer.get_jit()),
    ),
    env_switch("jax", "XLA_FLAGS", xla_flags),
    env_switch("jax", "XLA_PYTHON_CLIENT_PREALLOCATE", fixed_value("false"), "cuda"),
    env_switch("jax", "NVIDIA_TF32_OVERRIDE", disable_tf32, "cuda"),
    env_switch("jax", "JAX_PLATFORMS", fixed_value("cpu"), "cpu"),
    Switch(
        "jax",
        "jax_default_matmul_precision",
        lambda options: "tensorfloat32" if options.tf32 else "highest",
        lambda jax, value: jax.config.update("jax_default_matmul_precision", value),
        lambda jax: jax.config.jax_default_matmul_precision,
    ),
    Switch(
        "keras",
        "keras.config.enable_flash_attention",
        fixed_value(False),
        lambda keras, value: keras.config.disable_flash_attention(),
        lambda keras: bool(keras.config.is_flash_attention_enabled()),
    ),
    env_switch("keras", "TF_CPP_MIN_LOG_LEVEL", fixed_value("3")),
)


def worker_environment(frameworks: tuple[str, ...], options: WorkerOptions) -> dict[str, str]:
    """The environment variables for a process that imports these frameworks."""
    variables = dict(os.environ)
    variables |= {"OMP_NUM_THREADS": str(options.threads), "TF_NUM_INTRAOP_THREADS": str(options.threads)}
    variables |= {"TF_NUM_INTEROP_THREADS": "1"}
    if options.device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    for switch in select_switches(frameworks, options):
        if switch.set is None:
            variables.pop(switch.name, None)
            if (value := switch.value(options)) is not None:
                variables[switch.name] = value
    return variables


def select_switches(frameworks: tuple[str, ...], options: WorkerOptions) -> list[Switch]:
    return [s for s in SWITCHES if s.framework in frameworks and options.device in s.devices]


def apply_switches(modules: Mapping[str, Any], options: WorkerOptions) -> list[dict[str, str]]:
    """Set all switches of the imported frameworks, and return the name and the actual value of each."""
    return [
        {"name": switch.name, "value": apply_switch(switch, modules[switch.framework], options)}
        for switch in select_switches(tuple(modules), options)
    ]


def apply_switch(switch: Switch, module: Any, options: WorkerOptions) -> str:
    """Set a switch, and return its actual value; environment variables are only read."""
    if switch.set is None:
        return os.environ.get(switch.name, "not set")
    wanted = switch.value(options)
    try:
        switch.set(module, wanted)
        actual = wanted if switch.read is None else switch.read(module)
    except (AttributeError, RuntimeError) as error:
        return f"cannot be set here: {error}"
    return str(actual) if actual == wanted else f"{actual} (not {wanted})"
