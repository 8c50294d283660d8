"""Names: what an author may call a thing, and what the frameworks keep for themselves."""

from __future__ import annotations

import keyword
import re

from specbuild.frontend.source import SourceAddress

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

# Attributes of torch.nn.Module and of keras.Layer that a step's name would overwrite, and the names
# that emitted code needs. A test computes the frameworks' part anew from the installed classes.
TORCH_NAMES = frozenset(
    """add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict
    modules mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad""".split()
)
KERAS_NAMES = frozenset(
    """add_loss add_metric add_weight autocast build build_from_config built call compute_dtype compute_mask
    compute_output_shape compute_output_spec count_params dtype dtype_policy from_config get_build_config
    get_config get_weights input input_dtype input_spec layers load_own_variables losses metrics
    metrics_variables name non_trainable_variables non_trainable_weights output path quantization_mode
    quantize quantize_variables quantized_build quantized_call rematerialized_call save_own_variables
    set_weights stateless_call supports_jit supports_masking symbolic_call trainable trainable_variables
    trainable_weights variable_dtype variables weights""".split()
)
EMITTED_NAMES = frozenset(
    """self cls kwargs torch nn F keras ops math prev i inputs outputs reset_parameters attend masked_attention
    load_file true false none null""".split()
)

# What emitted constructors call, so that no parameter may stand in its way.
CALLED_BUILTINS = frozenset("abs bool dict float int len max min range round str sum super tuple".split())
# Names of classes that emitted code needs, so that no block may have them.
CLASS_NAMES = frozenset("False None OrderedDict True".split())

RESERVED_NAMES = TORCH_NAMES | KERAS_NAMES | EMITTED_NAMES


def find_name_problem(name: object) -> tuple[str, str] | None:
    """Why something cannot be a name, and what to do; None if it can."""
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        return "is not a name", "names are a letter, then letters, digits and _ (at most 64)"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "is a word of Python's", f"call it {name}_1, say"
    if name in TORCH_NAMES or name in KERAS_NAMES:
        return f"belongs to {'PyTorch' if name in TORCH_NAMES else 'Keras'}", f"call it {name}_1, say"
    if name in EMITTED_NAMES or name in CLASS_NAMES:
        return "is used by the emitted code", f"call it {name}_1, say"
    return None


def check_name(name: object, at: SourceAddress, role: str) -> None:
    """Raise SB203 at its place if `name` cannot be the name of a step, parameter, input or output."""
    found = find_name_problem(name)
    if role == "a parameter" and name in CALLED_BUILTINS:
        found = ("is used by the emitted code", f"call it {name}_1, say")
    if found and not (role == "an output" and found[0] == "is used by the emitted code"):
        raise at.error(
            "SB203", f"{name!r} cannot be the name of {role}: it {found[0]}", found[1], key=role != "a step"
        )


def to_snake_case(name: str) -> str:
    """`ConvNorm` as `conv_norm`, `MBConv` as `mb_conv`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
