"""The function in Keras files that groups the parameters of a model for an optimizer."""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.backends.parameter_groups import (
    SIGNATURE_TEMPLATE,
    TrainableTensor,
    membership_test,
    tuple_assignment,
)

GROUPS_TEMPLATE = '''\
    for variable in model.trainable_variables:
        path = f"{{variable.path}}/"
        [distance] = [n for part, n in after.items() if path.startswith(f"{{part}}/")]
        decays = {rule}
        group = groups.setdefault((layer_decay**distance, decays), [])
        group.append(variable)
    return [
        {{
            "variables": variables,
            "learning_rate": learning_rate * scale,
            "weight_decay": weight_decay if decays else 0.0,
        }}
        for (scale, decays), variables in groups.items()
    ]


def grouped_optimizer(
    groups: list[dict], make=keras.optimizers.AdamW
) -> keras.optimizers.Optimizer:
    """An optimizer for each group of parameters, as one; `make` makes each of them.

    It takes a Keras that has MultiOptimizer, as 3.15 does.
    """
    first, *others = [
        make(learning_rate=g["learning_rate"], weight_decay=g["weight_decay"])
        for g in groups
    ]
    paths = ["|".join(v.path for v in g["variables"]) for g in groups[1:]]
    chosen = keras.optimizers.OptimizerMap(first, dict(zip(paths, others)))
    return keras.optimizers.MultiOptimizer(chosen)
'''


def groups_source(tensors: Sequence[TrainableTensor]) -> str:
    """Return the function for Keras: variables with certain names decay, except those listed by path."""
    names = dict.fromkeys(tensor.name for tensor in tensors if tensor.decays)
    paths = [tensor.framework_path for tensor in tensors if tensor.name in names and not tensor.decays]
    assignments, test = membership_test(names, "kernels", "==", "in")
    rule = f"variable.name {test}"
    if paths:
        assignments += tuple_assignment("others", paths)
        rule += " and variable.path not in others"
    usage = "grouped_optimizer(parameter_groups(model, 1e-3, 0.05))"
    signature = SIGNATURE_TEMPLATE.format(model="keras.Model", use=usage, known=assignments)
    return (signature + GROUPS_TEMPLATE.format(rule=rule)).strip()
