"""Mutants of the emitted files: what is replaced, by what, and the step where the files then part.

Those of TRAINING are seen only in a training step, those of GRADIENTS only in gradients.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    spec: str
    backend: str
    old: str
    new: str
    step: str


VT, VK, ST, SK = ("vision", "torch"), ("vision", "keras"), ("sequence", "torch"), ("sequence", "keras")
LT, LK = ("lookup", "torch"), ("lookup", "keras")

FORWARD = {
    # normalisation
    "torch_epsilon_forgotten": Mutant(*VT, "eps=0.01, ", "", "stem_norm"),
    "torch_batch_statistics_outside_of_training": Mutant(
        *VT,
        "self.stem_norm(self.stem(image))",
        "F.batch_norm(self.stem(image), None, None, self.stem_norm.weight, self.stem_norm.bias, True, eps=0.01)",
        "stem_norm",
    ),
    "torch_group_count": Mutant(*VT, "nn.GroupNorm(3, 6)", "nn.GroupNorm(2, 6)", "grouped_norm"),
    "torch_group_epsilon": Mutant(*VT, "nn.GroupNorm(3, 6)", "nn.GroupNorm(3, 6, eps=1e-3)", "grouped_norm"),
    "torch_layer_norm_epsilon": Mutant(*ST, "nn.LayerNorm(8)", "nn.LayerNorm(8, eps=1e-3)", "norm"),
    "keras_epsilon": Mutant(*VK, "epsilon=0.01", "epsilon=0.001", "stem_norm"),
    "keras_epsilon_default": Mutant(
        *VK,
        'momentum=0.9, epsilon=1e-5, dtype=self.dtype_policy, name="norm"',
        'momentum=0.9, dtype=self.dtype_policy, name="norm"',
        "body.0.norm",
    ),
    "keras_group_count": Mutant(*VK, "groups=3", "groups=2", "grouped_norm"),
    "keras_layer_norm_epsilon": Mutant(
        *SK, "LayerNormalization(epsilon=1e-5", "LayerNormalization(epsilon=1e-3", "norm"
    ),
    # padding and windows
    "torch_padding_side": Mutant(*VT, "self.stem(image)", "self.stem(F.pad(image, (1, -1)))", "stem"),
    "torch_padding_mode": Mutant(*VT, ', padding_mode="reflect"', "", "dilated"),
    "torch_dilation": Mutant(*VT, "padding=2, dilation=2", "padding=1, dilation=1", "dilated"),
    "torch_max_pool_window": Mutant(
        *VT,
        "nn.MaxPool2d(3, stride=1, padding=1)",
        "nn.MaxPool2d((3, 1), stride=1, padding=(1, 0))",
        "maxed",
    ),
    "torch_max_pool_pads_zeros": Mutant(
        *VT, "self.maxed(x)", "F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)", "maxed"
    ),
    "torch_count_include_pad": Mutant(
        *VT,
        "nn.AvgPool2d(3, stride=1, padding=1)",
        "nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)",
        "averaged",
    ),
    "torch_padding_counts_after_all": Mutant(
        *VT, "count_include_pad=False", "count_include_pad=True", "pooled"
    ),
    "torch_align_corners": Mutant(*VT, "align_corners=True", "align_corners=False", "resized"),
    "torch_interpolation": Mutant(*VT, 'mode="bilinear"', 'mode="bicubic"', "resized"),
    "torch_output_padding_at_the_front": Mutant(
        *VT, "self.upsampled(resized)", "self.upsampled(resized).roll(1, 2)", "upsampled"
    ),
    "keras_padding_side": Mutant(*VK, "padding=(0, 1)", "padding=(0, (2, 0))", "stem"),
    "keras_padding_mode": Mutant(*VK, 'mode="reflect"', 'mode="symmetric"', "dilated"),
    "keras_padding_left_out_of_the_mean": Mutant(
        *VK,
        'PaddedAveragePooling2D(3, strides=1, padding=1, name="averaged")',
        'layers.AveragePooling2D(3, strides=1, padding="same", name="averaged")',
        "averaged",
    ),
    "keras_align_corners": Mutant(
        *VK, 'mode="linear", align_corners=True', 'mode="linear", align_corners=False', "resized"
    ),
    "keras_crop_of_transposed": Mutant(*VK, "[:, 1:-1, 1:-1]", "[:, :-2, :-2]", "upsampled"),
    "keras_count_include_pad": Mutant(
        *VK,
        'count_include_pad=False, name="pooled"',
        'count_include_pad=True, name="pooled"',
        "pooled",
    ),
    # activations
    "torch_gelu_form": Mutant(
        *VT,
        "F.gelu(self.stem_norm(self.stem(image)))",
        'F.gelu(self.stem_norm(self.stem(image)), approximate="tanh")',
        "stem_active",
    ),
    "torch_slope": Mutant(*VT, "negative_slope=self.slope", "negative_slope=0.01", "body.0.active"),
    "torch_hard_gate": Mutant(*VT, "torch.sigmoid(", "F.hardsigmoid(", "body.0.gate"),
    "torch_soft_swish": Mutant(*VT, "F.hardswish(", "F.silu(", "sharp"),
    "torch_alpha": Mutant(*ST, "alpha=0.7", "alpha=1.0", "bent"),
    "keras_gelu_form": Mutant(*VK, "approximate=False", "approximate=True", "stem_active"),
    "keras_slope": Mutant(*VK, "negative_slope=self.slope", "negative_slope=0.2", "body.0.active"),
    "keras_soft_swish": Mutant(*VK, "ops.hard_silu(", "ops.silu(", "sharp"),
    "keras_alpha": Mutant(*SK, "alpha=0.7", "alpha=1.0", "bent"),
    # axes and their order
    "torch_height_for_width": Mutant(
        *VT, "self.body(stem_active)", "self.body(stem_active.transpose(2, 3))", "body.0.conv"
    ),
    "torch_order_of_groups": Mutant(*VT, "self.grouped(x)", "self.grouped(x.flip(1))", "grouped"),
    "torch_flatten_order": Mutant(
        *VT,
        "self.dropped(self.pooled(sharp)).flatten(1)",
        "torch.flatten(self.dropped(self.pooled(sharp)).permute(0, 2, 3, 1), 1)",
        "flat",
    ),
    "torch_softmax_axis": Mutant(*ST, "F.softmax(both, dim=1)", "F.softmax(both, dim=-1)", "weights_"),
    "torch_concat_order": Mutant(*ST, "[reader, x]", "[x, reader]", "both"),
    "torch_head_split": Mutant(
        *ST,
        "self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)",
        "torch.transpose(self.query(x).unflatten(-1, (-1, self.heads)), 2, 3).transpose(1, 2)",
        "attention.queries",
    ),
    "keras_flatten_order": Mutant(*VK, "(0, 3, 1, 2)", "(0, 3, 2, 1)", "flat"),
    "keras_softmax_axis": Mutant(*SK, "ops.softmax(both, axis=1)", "ops.softmax(both, axis=-1)", "weights_"),
    "keras_concat_order": Mutant(*SK, "[reader, x]", "[x, reader]", "both"),
    # reductions
    "torch_largest_for_mean": Mutant(*VT, "active.mean((2, 3))", "active.amax((2, 3))", "body.0.squeezed"),
    "torch_mean_for_sum": Mutant(*ST, "weighted.sum(1)", "weighted.mean(1)", "pooled"),
    "keras_largest_for_mean": Mutant(
        *VK, "ops.mean(active, axis=(1, 2))", "ops.max(active, axis=(1, 2))", "body.0.squeezed"
    ),
    # what is added and multiplied
    "torch_residual_dropped": Mutant(*VT, "return x + gated", "return gated", "body.0.sum"),
    "torch_residual_subtracted": Mutant(*VT, "return x + gated", "return x - gated", "body.0.sum"),
    "torch_gate_added": Mutant(*VT, "active * gate", "active + gate", "body.0.gated"),
    "torch_bias_missing": Mutant(*VT, "self.head(flat)", "F.linear(flat, self.head.weight)", "head"),
    "torch_position_forgotten": Mutant(*ST, "embed + self.position", "embed + 0", "placed"),
    "keras_residual_dropped": Mutant(*VK, "return x + gated", "return gated", "body.0.sum"),
    "keras_residual_of_another": Mutant(*SK, "residual = placed + x", "residual = embed + x", "residual"),
    # attention
    "torch_mask_sense": Mutant(*ST, "attn_mask=mask", "attn_mask=~mask", "attention.attended"),
    "torch_mask_forgotten": Mutant(*ST, ", attn_mask=mask[:, None, None]", "", "attention.attended"),
    "torch_attention_scale": Mutant(
        *ST,
        "attn_mask=mask[:, None, None]",
        "attn_mask=mask[:, None, None], scale=1.0",
        "attention.attended",
    ),
    "torch_causal": Mutant(
        *ST,
        "attn_mask=mask[:, None, None]",
        "attn_mask=mask[:, None, None] & torch.ones(6, 6, dtype=torch.bool).tril()",
        "attention.attended",
    ),
    "keras_key_for_value": Mutant(
        *SK, "queries, keys, values, mask_", "queries, values, keys, mask_", "attention.attended"
    ),
    # recurrent layers
    "torch_directions_exchanged": Mutant(
        *ST,
        "self.reader(self.norm(residual))[0]",
        "self.reader(self.norm(residual))[0].roll(5, -1)",
        "reader",
    ),
    "torch_read_from_the_end": Mutant(*ST, "self.second(reader)", "self.second(reader.flip(1))", "second"),
    "keras_read_from_the_end": Mutant(
        *SK,
        'return_sequences=True, name="second"',
        'return_sequences=True, go_backwards=True, name="second"',
        "second",
    ),
    "keras_hard_gates": Mutant(
        *SK,
        'return_sequences=True, name="second"',
        'return_sequences=True, recurrent_activation="hard_sigmoid", name="second"',
        "second",
    ),
    "keras_activation_of_the_state": Mutant(
        *SK,
        'return_sequences=True, name="lstm"',
        'return_sequences=True, activation="softsign", name="lstm"',
        "reader",
    ),
}

FORWARD |= {
    # sampling, sorting, segments, transforms
    "torch_grid_alignment": Mutant(*LT, "align_corners=False", "align_corners=True", "sampled"),
    "torch_grid_outside": Mutant(*LT, 'padding_mode="reflection"', 'padding_mode="border"', "sampled"),
    "torch_grid_coordinates": Mutant(
        *LT, "grid.permute(0, 2, 3, 1)", "grid.flip(1).permute(0, 2, 3, 1)", "sampled"
    ),
    "torch_descending": Mutant(*LT, "descending=True", "descending=False", "ranked@values"),
    "torch_segment_sum_for_mean": Mutant(*LT, ', reduce="mean"', "", "nodes"),
    "torch_transform_norm": Mutant(
        *LT, 'rfft(sampled, axes=(2, 3), norm="ortho")', "rfft(sampled, axes=(2, 3))", "spectrum@real"
    ),
    "torch_angle_of_the_other_axis": Mutant(
        *LT,
        "torch.atan2(spectrum_real, spectrum_imaginary)",
        "torch.atan2(spectrum_imaginary, spectrum_real)",
        "phase",
    ),
    "torch_smallest": Mutant(*LT, "top_k(restored, 2, axis=1)", "top_k(-restored, 2, axis=1)", "best@values"),
    "torch_inverse_norm": Mutant(
        *LT,
        'irfft(spectrum_real, spectrum_imaginary, axes=(2, 3), norm="ortho")',
        "irfft(spectrum_real, spectrum_imaginary, axes=(2, 3))",
        "restored",
    ),
    "torch_transform_of_another_axis": Mutant(
        *LT, "fft(restored, axes=(3,))", "fft(restored, axes=(2,))", "waves@real"
    ),
    "torch_inverse_of_the_real_part": Mutant(
        *LT,
        "ifft(waves_real, imaginary=louder, axes=(3,))",
        "ifft(waves_real, axes=(3,))",
        "changed@real",
    ),
    "torch_tanh_for_erf": Mutant(*LT, "phase.erf()", "phase.tanh()", "bounded"),
    "torch_cast_of_a_comparison": Mutant(*LT, "whole.bool()", "whole > 0", "chosen"),
    "torch_floor_for_trunc": Mutant(*LT, "larger.trunc()", "larger.floor()", "whole"),
    "torch_parts_exchanged": Mutant(*LT, "nodes.unbind(-1)", "nodes.flip(-1).unbind(-1)", "halves@first"),
    "torch_heads_shared_in_turn": Mutant(
        *LT, "keys.permute(0, 3, 1, 4, 2)", "keys.permute(0, 3, 1, 4, 2).flip(2)", "key"
    ),
    "keras_grid_outside": Mutant(*LK, ', padding_mode="reflection"', "", "sampled"),
    "keras_grid_alignment": Mutant(
        *LK, 'padding_mode="reflection")', 'padding_mode="reflection", align_corners=True)', "sampled"
    ),
    "keras_descending": Mutant(*LK, ", descending=True", "", "ranked@values"),
    "keras_largest": Mutant(*LK, "top_k(restored, 2)", "top_k(restored, 2, largest=False)", "best@values"),
    "keras_segment_largest": Mutant(*LK, 'reduce="mean", name', 'reduce="max", name', "nodes"),
    "keras_transform_axes": Mutant(
        *LK,
        'rfft(sampled, axes=(1, 2), norm="ortho")',
        'rfft(sampled, axes=(2,), norm="ortho")',
        "spectrum@real",
    ),
    "keras_inverse_norm": Mutant(
        *LK,
        'irfft(spectrum_real, spectrum_imaginary, axes=(1, 2), norm="ortho")',
        "irfft(spectrum_real, spectrum_imaginary, axes=(1, 2))",
        "restored",
    ),
    "keras_sign_of_the_transform": Mutant(
        *LK, "fft(restored, axes=(2,))", "fft(ops.flip(restored, axis=2), axes=(2,))", "waves@real"
    ),
    "keras_inverse_for_the_transform": Mutant(
        *LK,
        "ifft(waves_real, imaginary=louder, axes=(2,))",
        "fft(waves_real, imaginary=louder, axes=(2,))",
        "changed@real",
    ),
    "keras_angle_of_the_other_axis": Mutant(
        *LK,
        "ops.arctan2(spectrum_real, spectrum_imaginary)",
        "ops.arctan2(spectrum_imaginary, spectrum_real)",
        "phase",
    ),
    "keras_tanh_for_erf": Mutant(*LK, "ops.erf(phase)", "ops.tanh(phase)", "bounded"),
    "keras_round_for_trunc": Mutant(*LK, "ops.trunc(larger)", "ops.round(larger)", "whole"),
    "keras_cast_of_a_comparison": Mutant(*LK, 'ops.cast(whole, "bool")', "whole > 0", "chosen"),
    "keras_parts_exchanged": Mutant(
        *LK, "ops.unstack(x, axis=-1)", "ops.unstack(ops.flip(x, axis=-1), axis=-1)", "halves@first"
    ),
    "keras_heads_tiled": Mutant(
        *LK,
        "ops.repeat(key, 2, axis=2), ops.repeat(key, 2, axis=2)",
        "ops.tile(key, (1, 1, 2, 1, 1)), ops.tile(key, (1, 1, 2, 1, 1))",
        "attended",
    ),
}

TRAINING = {
    "torch_attention_dropout_rate": Mutant(*LT, "p=0.25", "p=0.5", "attended"),
    "keras_attention_dropout_rate": Mutant(*LK, "DroppedAttention(0.25", "DroppedAttention(0.5", "attended"),
    "torch_momentum": Mutant(*VT, "momentum=0.2", "momentum=0.1", "stem_norm"),
    "torch_statistic_is_stale": Mutant(*VT, "momentum=0.2", "momentum=0.0", "stem_norm"),
    "keras_momentum": Mutant(*VK, "momentum=0.8", "momentum=0.99", "stem_norm"),
    "keras_momentum_of_the_other_sense": Mutant(*VK, "momentum=0.8", "momentum=0.2", "stem_norm"),
    "torch_dropout_rate": Mutant(*VT, "p=0.3", "p=0.5", "dropped"),
    "keras_dropout_rate": Mutant(*VK, "layers.Dropout(0.3", "layers.Dropout(0.7", "dropped"),
}

GRADIENTS = {
    "torch_branch_detached": Mutant(*VT, "return x + gated", "return x + gated.detach()", "body.1.excite"),
    "keras_branch_detached": Mutant(
        *VK, "return x + gated", "return x + ops.stop_gradient(gated)", "body.1.excite"
    ),
}
