"""Attention over many axes: a helper copied into an emitted file that uses it."""

import torch
import torch.nn.functional as F


def fold_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Attention with all axes between batch and time as heads, as fused kernels and exporters need it."""
    lead, heads = query.shape[:-3], query.shape[1:-2]
    if attn_mask is not None:
        attn_mask, _ = torch.broadcast_tensors(attn_mask, query[:1, ..., :1, :1])
        attn_mask = attn_mask.flatten(1, -3)
    x = F.scaled_dot_product_attention(
        query.flatten(1, -3),
        key.expand(lead + key.shape[-3:]).flatten(1, -3),
        value.expand(lead + value.shape[-3:]).flatten(1, -3),
        attn_mask,
        dropout_p,
        is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    if attn_mask is not None:
        # the ONNX exporter takes wrong strides without this copy, if the mask learns
        x = x.clone(memory_format=torch.contiguous_format)
    return x.unflatten(1, heads)
