"""Names that PyTorch and the code emitted for it need for themselves."""

from specbuild.frontend.names import ReservedNames

MODULE_ATTRIBUTES = frozenset(
    """T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches
        eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu
        load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters
        register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
        register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
        register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
        register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to
        to_empty train training type xpu zero_grad""".split()
) | {"reset_parameters", "init_weights"}

RESERVED_NAMES = ReservedNames(
    "PyTorch",
    attributes=MODULE_ATTRIBUTES,
    members=frozenset("append clear extend insert items keys pop update values".split()),
    emitted=frozenset(
        "torch nn F math OrderedDict load_file save_file pack_padded_sequence pad_packed_sequence".split()
    ),
    helpers=frozenset(
        """DropPath OneHot ToFloat as_single check_least check_size conv_each fft fold_attention ifft irfft make_divisible pad_same rfft run_masked
        run_recurrent scan segment_reduce top_k unfilled_table""".split()
    ),
)

MEMBER_ATTRIBUTES = RESERVED_NAMES.attributes | RESERVED_NAMES.members
