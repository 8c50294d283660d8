"""Names that Keras and the code emitted for it need for themselves."""

from specbuild.backends.torch.reserved import MODULE_ATTRIBUTES
from specbuild.frontend.names import ReservedNames

RESERVED_NAMES = ReservedNames(
    "Keras",
    attributes=frozenset(
        """activity_regularizer add_loss add_metric add_variable add_weight autocast build build_from_config built call
        call_signature_parameters compute_dtype
        compute_mask compute_output_shape compute_output_spec count_params dtype dtype_policy from_config
        get_build_config get_config get_weights input input_dtype input_spec layers load_own_variables losses
        metrics metrics_variables name non_trainable_variables non_trainable_weights output path
        quantization_mode quantize quantize_variables quantized_build quantized_call rematerialized_call
        save_own_variables set_weights stateless_call supports_jit supports_masking symbolic_call torch_params trainable
        trainable_variables trainable_weights variable_dtype variables weights""".split()
    )
    | MODULE_ATTRIBUTES,  # on PyTorch, a layer of Keras is a module
    emitted=frozenset("keras ops layers math load_file".split()),
    arguments=frozenset("cls dtype kwargs name trainable".split()),
    # Keras itself gives `mask` to `call`, and shapes without it to `build`
    # Keras takes the first two for `*args` and `**kwargs`, when it gives `build` the shapes of the inputs.
    call_arguments=frozenset({"args", "kwargs", "training", "mask"}),
    helpers=frozenset(
        """ChannelsApart DroppedAttention GELU LeastSize GroupedConvTranspose LocalResponseNormalization OneHot
        OutputsFirst PaddedAveragePooling1D PaddedAveragePooling2D PaddedAveragePooling3D PaddedConv1D
        PaddedConv2D PaddedConv3D PaddedDepthwiseConv1D PaddedDepthwiseConv2D PaddedMaxPooling1D
        PaddedMaxPooling2D PaddedMaxPooling3D PadsInput ResizeLike CountedMean CountedAveragePooling1D
        CountedAveragePooling2D CountedAveragePooling3D SameAveragePool SameAveragePooling1D
        SameAveragePooling2D SameAveragePooling3D Scale SameSize SegmentReduce StoredTable Table ToFloat
        Unfilled Weight adaptive_pool attend attend_some check_least check_multiple check_same check_size
        choose_size conv_by_place corrected_variance count_points dilated_max_pool double_size fft float_size
        fold gate_halves grid_sample ifft irfft kaiming_normal length_mask make_divisible masked_attention
        match_least match_size max_size min_size norm_divisor pad_places pixel_shuffle pixel_unshuffle
        pytorch_batch_norm repeat_for_batch require_length require_multiple require_size resize resize_axis
        rfft round_size run_recurrent safe_sqrt sampled_position scan size_value sort split_at stack_layers
        top_k transform truncate_size unfold window_points""".split()
    ),
)
