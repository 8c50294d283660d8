"""The switches of PyTorch that trade precision for speed, and the values that parity needs."""

from __future__ import annotations

from typing import Any

from specbuild.runtimes.switches import (
    Switch,
    attribute_switch,
    disable_tf32,
    env_switch,
    fixed_value,
    is_tf32_allowed,
)


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
)
