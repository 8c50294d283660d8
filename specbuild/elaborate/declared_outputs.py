"""The outputs of a block: those under `outputs`, or the value of its last step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.output_order import check_order, split_order
from specbuild.elaborate.references import require_single, resolve_reference, resolve_references
from specbuild.frontend.names import check_name, is_list_reference
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Output


def resolve_outputs(scope: BlockScope, is_alias: bool) -> dict[str, Output]:
    """Return the outputs of a block by name; one without a name has the name "".

    `is_alias` says whether the block only names another model: its outputs are paths inside this model. Raises
    SB202 for a value that does not exist, and for a last step without a value.
    """
    raw, at = scope.definition.outputs, scope.definition.at.child("outputs")
    if raw is None:
        last_at = scope.definition.steps[-1].at
        if scope.last is None:  # branches without a `merge`, or members without a `collect`
            message = f"the last step of {scope.definition.name} has no value of its own"
            hint = "add `merge` or `collect` to it, or say under `outputs` which values are given"
            raise last_at.error("SB202", message, hint)
        ref = require_single(scope, scope.last, last_at)
        return {"": Output(ref, scope.value_type(ref))}
    if isinstance(raw, str):
        check_single_output(scope, raw, at)
        ref = resolve_reference(scope, qualify_output(scope, raw, is_alias), at)
        return {"": Output(ref, scope.value_type(ref))}
    pairs = raw.items() if isinstance(raw, Mapping) else [(r.replace(".", "_"), r) for r in raw]
    outputs = {}
    for i, (name, target) in enumerate(pairs):
        entry_at = at.child(name) if isinstance(raw, Mapping) else at.child(i)
        target, order = split_order(target)
        check_single_output(scope, target, entry_at)
        check_name(name, entry_at, "an output")
        ref = resolve_reference(scope, qualify_output(scope, target, is_alias), entry_at)
        outputs[name] = Output(ref, scope.value_type(ref), order)
        check_order(outputs[name], entry_at)
    return outputs


def qualify_output(scope: BlockScope, target: Any, is_alias: bool) -> Any:
    """In an alias, prepend the name of its step to a path inside the other model."""
    if not isinstance(target, str) or target == "prev" or not is_alias:
        return target
    [step] = scope.nodes
    return target if target.partition(".")[0] in (step, *scope.inputs) else f"{step}.{target}"


def check_single_output(scope: BlockScope, target: Any, at: SourceAddress) -> None:
    """Raise SB202 if an output names several values, `head.*`: each of them needs a name."""
    if is_list_reference(target):
        refs = resolve_references(scope, target, at)
        each = ", ".join(ref.replace("@", ".") for ref in refs)
        raise at.error(
            "SB202", f"{target} stands for several values", f"name each of them: `outputs: [{each}]`"
        )
