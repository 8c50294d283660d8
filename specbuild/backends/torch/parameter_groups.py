"""The function in PyTorch files that groups the parameters of a model for an optimizer."""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.backends.parameter_groups import (
    SIGNATURE_TEMPLATE,
    TrainableTensor,
    membership_test,
    tuple_assignment,
)

GROUPS_TEMPLATE = """\
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        path = f"{{name}}."
        [distance] = [n for part, n in after.items() if path.startswith(f"{{part}}.")]
        decays = {rule}
        group = groups.setdefault((layer_decay**distance, decays), [])
        group.append(parameter)
    return [
        {{
            "params": parameters,
            "lr": learning_rate * scale,
            "weight_decay": weight_decay if decays else 0.0,
        }}
        for (scale, decays), parameters in groups.items()
    ]
"""


def groups_source(tensors: Sequence[TrainableTensor]) -> str:
    """Return the function for PyTorch: tensors with two or more axes decay, except those listed."""
    assert all(tensor.rank > 1 for tensor in tensors if tensor.decays)
    exceptions = [tensor for tensor in tensors if tensor.rank > 1 and not tensor.decays]
    decaying_names = {tensor.name for tensor in tensors if tensor.decays}
    names = dict.fromkeys(tensor.name for tensor in exceptions if tensor.name not in decaying_names)
    paths = [tensor.framework_path for tensor in exceptions if tensor.name in decaying_names]
    rule, assignments = "parameter.ndim > 1", ""
    if names:
        assignments, test = membership_test(names, "tables", "!=", "not in")
        rule += f' and name.rpartition(".")[2] {test}'
    if paths:
        assignments += tuple_assignment("others", paths)
        rule += " and name not in others"
    usage = "AdamW(parameter_groups(model, 1e-3, 0.05))"
    signature = SIGNATURE_TEMPLATE.format(model="nn.Module", use=usage, known=assignments)
    return (signature + GROUPS_TEMPLATE.format(rule=rule)).strip()
