"""The names that a spec may use, and the names that Python, the frameworks and the emitted code reserve."""

from __future__ import annotations

import keyword
import re

from specbuild.frontend.source import SourceAddress

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

# Attributes of torch.nn.Module and keras.Layer, which the name of a step would overwrite. A test compares
# them with the installed frameworks.
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
# Names that the emitted code uses.
EMITTED_NAMES = frozenset(
    """self cls kwargs torch nn F keras ops math prev i inputs outputs reset_parameters attend masked_attention
    load_file true false none null""".split()
)

# Builtins that emitted constructors call, which a parameter would hide.
CALLED_BUILTINS = frozenset("abs bool dict float int len max min range round str sum super tuple".split())
# Names in the emitted code that a block cannot have.
CLASS_NAMES = frozenset("False None OrderedDict True".split())

RESERVED_NAMES = TORCH_NAMES | KERAS_NAMES | EMITTED_NAMES
USED_BY_CODE = "is used by the emitted code"


def find_name_problem(name: object) -> tuple[str, str] | None:
    """Return why something cannot be a name, and a hint; None if it can."""
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        return "is not a name", "a name is a letter followed by letters, digits and _ (at most 64 characters)"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "is a Python keyword", rename_hint(name)
    if name in TORCH_NAMES or name in KERAS_NAMES:
        return f"is reserved by {'PyTorch' if name in TORCH_NAMES else 'Keras'}", rename_hint(name)
    if name in EMITTED_NAMES or name in CLASS_NAMES:
        return USED_BY_CODE, rename_hint(name)
    return None


def rename_hint(name: str) -> str:
    return f"use another name, such as {name}_1"


def check_name(name: object, at: SourceAddress, role: str) -> None:
    """Raise SB203 if `name` cannot be the name of this role, such as "a step" or "an output"."""
    problem = find_name_problem(name)
    if role == "a parameter" and name in CALLED_BUILTINS:
        problem = USED_BY_CODE, rename_hint(str(name))
    if problem is None or (role == "an output" and problem[0] == USED_BY_CODE):
        return
    reason, hint = problem
    raise at.error("SB203", f"{name!r} cannot be the name of {role}: it {reason}", hint, key=role != "a step")


def to_snake_case(name: str) -> str:
    """Turn `ConvNorm` into `conv_norm`, and `MBConv` into `mb_conv`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
