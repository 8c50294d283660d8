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
    """Attention with all axes before the last three as one batch, as fused kernels and exporters need it."""
    lead = query.shape[:-3]
    query = query.flatten(0, -4)
    key = key.expand(lead + key.shape[-3:]).flatten(0, -4)
    value = value.expand(lead + value.shape[-3:]).flatten(0, -4)
    if attn_mask is not None:
        attn_mask = attn_mask.expand(lead + attn_mask.shape[-3:]).flatten(0, -4)
    x = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask,
        dropout_p,
        is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    return x.unflatten(0, lead)
