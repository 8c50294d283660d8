"""Names that a spec cannot use because of Keras and the code emitted for it."""

from specbuild.frontend.names import ReservedNames

RESERVED_NAMES = ReservedNames(
    "Keras",
    attributes=frozenset(
        """add_loss add_metric add_weight autocast build build_from_config built call compute_dtype
        compute_mask compute_output_shape compute_output_spec count_params dtype dtype_policy from_config
        get_build_config get_config get_weights input input_dtype input_spec layers load_own_variables losses
        metrics metrics_variables name non_trainable_variables non_trainable_weights output path
        quantization_mode quantize quantize_variables quantized_build quantized_call rematerialized_call
        save_own_variables set_weights stateless_call supports_jit supports_masking symbolic_call trainable
        trainable_variables trainable_weights variable_dtype variables weights""".split()
    ),
    emitted=frozenset("keras ops inputs outputs attend masked_attention load_file".split()),
)
