"""The switches of Keras and its runtimes that trade precision for speed, and the values that parity needs."""

from __future__ import annotations

from specbuild.backends.torch.switches import SWITCHES as TORCH_SWITCHES
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.switches import Switch, disable_tf32, env_switch, fixed_value, is_tf32_allowed


def xla_flags(options: WorkerOptions) -> str:
    exact = "--xla_allow_excess_precision=false --xla_cpu_enable_fast_math=false"
    return exact if options.device == "cpu" else f"{exact} --xla_gpu_deterministic_ops=true"


TENSORFLOW_SWITCHES = (
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
)
JAX_SWITCHES = (
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
)
KERAS_SWITCHES = (
    Switch(
        "keras",
        "keras.config.enable_flash_attention",
        fixed_value(False),
        lambda keras, value: keras.config.disable_flash_attention(),
        lambda keras: bool(keras.config.is_flash_attention_enabled()),
    ),
    env_switch("keras", "TF_CPP_MIN_LOG_LEVEL", fixed_value("3")),
)
SWITCHES = {
    "tensorflow": (*TENSORFLOW_SWITCHES, *KERAS_SWITCHES),
    "jax": (*JAX_SWITCHES, *KERAS_SWITCHES),
    "torch": (*TORCH_SWITCHES, *KERAS_SWITCHES),
}
