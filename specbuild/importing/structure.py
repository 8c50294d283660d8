"""From instances to the blocks of a spec: one for all instances of a class, if they can be one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from specbuild.frontend.names import find_name_problem
from specbuild.importing.axis_names import number_name
from specbuild.importing.block_plan import plan_block, plan_model
from specbuild.importing.instance_rows import Mismatch, SourceMatcher, align_instances, step_key
from specbuild.importing.list_runs import fold_list_runs
from specbuild.importing.model_params import ModelParams, lift_arguments
from specbuild.importing.named_values import Instance
from specbuild.importing.plans import Plans


class PlannedModel(Struct, frozen=True):
    """The plans of a model, one more for each other capture of it, and the parameters of the model itself."""

    plans: Plans
    others: tuple[Plans, ...]
    lifted: ModelParams


def plan_blocks(model: Instance, *others: Instance) -> PlannedModel:
    """Return the plans of all blocks, those inside first, and of the model last.

    `others` are captures of the model with other arguments: what is written in a block holds for all of them.
    """
    plans = Plans()
    groups: dict[tuple[str, int], list[Instance]] = defaultdict(list)
    models = [model, *others]
    instances = [instance for top in models for instance in top.walk_instances() if instance not in models]
    heights = {instance: height for top in models for instance, height in measure_heights(top).items()}
    recursive = {name for top in models for name in find_recursive_classes(top)}
    for instance in instances:
        name = instance.class_name
        groups[name, heights[instance] if name in recursive else 0].append(instance)
    for key in sorted(groups, key=lambda k: max(heights[i] for i in groups[k])):
        clusters = cluster_instances(groups[key], plans)
        counts = [len(cluster[0].inputs) for cluster in clusters]
        differ = len(counts) > 1 and len(set(counts)) == len(counts) and min(counts) > 1
        for cluster, count in zip(clusters, counts, strict=True):
            add_plans(f"{key[0]}{count}" if differ else key[0], cluster, plans, model)
    tops = [plan_model(top, plans) for top in models]
    lifted = lift_arguments(tops, plans)
    fold_list_runs(tops[0], plans)
    blocks, places = list(plans.plans), plans.places
    planned = []
    for top in tops:
        inside = set(top.instances[0].walk_instances())
        own = [plan for plan in blocks if any(instance in inside for instance in plan.instances)]
        planned.append(Plans(own, dict(places)))
        planned[-1].add(top)
    return PlannedModel(planned[0], tuple(planned[1:]), lifted)


def measure_heights(model: Instance) -> dict[Instance, int]:
    """Return for each instance how many levels of blocks it has, itself included."""
    heights: dict[Instance, int] = {}
    for instance in model.walk_instances():
        inner = [heights[s.instance] for s in instance.steps if s.instance is not None and s.reused is None]
        heights[instance] = 1 + max(inner, default=0)
    return heights


def find_recursive_classes(model: Instance) -> set[str]:
    """Return the classes that contain themselves."""
    return {
        instance.class_name
        for instance in model.walk_instances()
        for inner in instance.walk_instances()
        if inner is not instance and inner.class_name == instance.class_name
    }


def cluster_instances(instances: Sequence[Instance], plans: Plans) -> list[list[Instance]]:
    """Return the instances in as few groups as can each be one block: each can be united with another of its group."""
    names = plans.names()
    clusters: list[list[Instance]] = []
    examples: list[dict[Any, Instance]] = []  # of each group, by their steps
    for instance in instances:
        steps = tuple(step_key(step, names) for step in instance.steps)
        for cluster, known in zip(clusters, examples, strict=True):
            near = [known[steps]] if steps in known else list(known.values())
            if any(can_unite([one, instance], plans) for one in near):
                cluster.append(instance)
                known.setdefault(steps, instance)
                break
        else:
            clusters.append([instance])
            examples.append({steps: instance})
    return clusters


def can_unite(instances: Sequence[Instance], plans: Plans) -> bool:
    """Return whether these instances can have the same rows."""
    if len({len(i.inputs) for i in instances}) > 1:
        return False
    try:
        SourceMatcher(instances, align_instances(instances, plans.names())).match_all()
    except Mismatch:
        return False
    return True


def add_plans(class_name: str, instances: Sequence[Instance], plans: Plans, model: Instance) -> None:
    """Add one block for these instances, or as few as possible if they differ by more than numbers after all."""
    try:
        plan = plan_block(name_block(class_name, plans, model), instances, plans)
    except Mismatch:
        if len(instances) == 1:
            raise
        for part in divide_instances(instances, plans):
            add_plans(class_name, part, plans, model)
    else:
        plans.add(plan)


def divide_instances(instances: Sequence[Instance], plans: Plans) -> list[list[Instance]]:
    """Return instances that cannot be one block in groups: those with the same steps together, and with others if possible."""
    names = plans.names()
    kinds: dict[Any, list[Instance]] = defaultdict(list)
    for instance in instances:
        kinds[tuple(step_key(step, names) for step in instance.steps)].append(instance)
    if len(kinds) == 1:
        middle = len(instances) // 2
        return [list(instances[:middle]), list(instances[middle:])]
    parts: list[list[Instance]] = []
    for kind in kinds.values():
        for part in parts:
            if len(part) + len(kind) < len(instances) and can_plan([*part, *kind], plans):
                part += kind
                break
        else:
            parts.append(kind)
    return parts


def can_plan(instances: Sequence[Instance], plans: Plans) -> bool:
    try:
        plan_block("Trial", instances, plans)
    except Mismatch:
        return False
    return True


def name_block(class_name: str, plans: Plans, model: Instance) -> str:
    """Return a name for a block: that of the class, with a capital letter first."""
    name = re.sub(r"\W", "", class_name).lstrip("_")
    name = name[:1].upper() + name[1:]
    if find_name_problem(name) is not None:
        name = f"{name}Block"
    return number_name(name, {model.class_name, *(plan.name for plan in plans.plans)})


def list_reports(plans: Plans) -> list[str]:
    """Return the expressions that rest on one sample, as BLOCK.ATTRIBUTE `expression`."""
    return [
        f"{plan.name}: {attribute} `{text}`"
        for plan in plans.plans
        for attribute, text in dict.fromkeys(plan.single_samples)
    ]
