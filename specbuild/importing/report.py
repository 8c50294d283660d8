"""The report of an import: what was found, what rests on one sample, and what the proof says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from specbuild.importing.importer import ImportedModel
from specbuild.importing.proof import Proof
from specbuild.importing.request import describe_values

SHOWN = 8  # entries of a list


def describe_import(source: str, imported: ImportedModel, proofs: Sequence[Proof]) -> list[str]:
    """Return the lines of the report: what was found, which expressions rest on one sample, and the proofs."""
    rules = len(imported.key_map.lines)
    names = f"by {count_things(rules - 1, 'rule')}" if rules else "all under their own names"
    carried = len({w.published.name for w in imported.key_map.weights})
    lines = [
        f"{source}: {count_things(imported.call_count, 'call')}, "
        f"{count_things(len(imported.plans.plans) - 1, 'block')}, {imported.text.count(chr(10))} lines; "
        + (
            f"{carried} of {count_things(len(imported.trace.weights), 'weight')}, {names}"
            if not imported.unfinished
            else "the names of its weights are found when it is finished"
        )
    ]
    lines += imported.trace.notes
    if imported.key_map.is_long:
        lines.append("the rules are too many for the file: carry weights with --weights")
    if imported.key_map.ignored and not imported.unfinished:
        lines.append(f"not in the spec: {join_some(imported.key_map.ignored)}")
    if imported.tables.arrays:
        lines.append(
            f"tables without an expression, in {imported.tables.file}: {join_some(list(imported.tables.arrays))}"
        )
    if imported.single_samples:
        lines.append(f"expressions that rest on one sample: {join_some(imported.single_samples)}")
    if imported.refuted:
        lines.append(
            f"expressions that the second model refutes, left as numbers: {join_some(imported.refuted)}"
        )
    if imported.unexplained:
        lines.append(
            f"differs in the second model, and follows no argument: {join_some(imported.unexplained)}"
        )
    if imported.unfinished:
        lines.append(
            f"to be finished by hand, at `unfinished` in the spec: {count_things(len(imported.unfinished), 'call')}"
        )
        lines += [
            f"  {r.code} {r.message} in {r.path or 'the model'} ({r.line})" for r in imported.unfinished
        ]
    if not proofs:
        lines.append("not proved")
    for proof, model in zip(proofs, (imported, imported.second), strict=False):
        if model is not None and model is not imported:
            lines.append(f"with {describe_values(model.values)}:")
        lines += describe_proof(proof)
    return lines


def count_things(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def join_some(texts: Sequence[str]) -> str:
    """Return the first few of these texts, and how many more there are."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def describe_proof(proof: Proof) -> list[str]:
    if proof.problem:
        return [f"not proved: {proof.problem}"]
    word = "proved" if proof.is_equal else "DIFFERS"
    found = ", ".join(f"{kind} {value:.1e}" for kind, (value, _) in proof.differences.items())
    lines = [
        f"{word} in float64: {found}; parameters {proof.parameters:,} = {proof.original_parameters:,}"
        if proof.parameters == proof.original_parameters
        else f"{word} in float64: {found}; {proof.parameters:,} parameters, not {proof.original_parameters:,}"
    ]
    if proof.rounding:
        lines.append(f"compared to 1e-5: the original computes {proof.rounding} in float32")
    if proof.unstable:
        kind, (size, _) = max(proof.unstable.items(), key=lambda item: item[1][0])
        lines.append(
            "compared with the statistics of the data: with random ones, values grow until rounding shows "
            f"({kind} {size:.1e})"
        )
    if proof.training:
        lines.append(f"not compared in training: {proof.training}")
    lines.append(
        f"on a larger image: {proof.image:.1e}"
        if isinstance(proof.image, float)
        else f"on a larger image: {proof.image}"
    )
    if not proof.is_equal:
        kind, (_, place) = max(proof.differences.items(), key=lambda item: item[1][0])
        lines.append(f"the largest difference: {kind} of {place}")
        lines += [proof.first.describe()] if proof.first is not None else []
    return lines


def report_record(source: str, imported: ImportedModel, proofs: Sequence[Proof]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "source": source,
        "model": imported.name,
        "calls": imported.call_count,
        "blocks": len(imported.plans.plans) - 1,
        "lines": imported.text.count("\n"),
        "notes": list(imported.trace.notes),
        "weights": len(imported.trace.weights),
        "strict": imported.key_map.is_strict,
        "ignored": imported.key_map.ignored,
        "tables": list(imported.tables.arrays),
        "single_samples": imported.single_samples,
        "refuted": imported.refuted,
        "unexplained": imported.unexplained,
        "unfinished": [[r.code, r.message, r.path, r.line] for r in imported.unfinished],
    }
    for key, proof in zip(("proof", "second_proof"), proofs, strict=False):
        record[key] = proof_record(proof)
    if imported.second is not None and len(proofs) > 1:
        record["second_proof"]["arguments"] = imported.second.values
    return record


def proof_record(proof: Proof) -> dict[str, Any]:
    return {
        "equal": proof.is_equal,
        "problem": proof.problem,
        "differences": {kind: value for kind, (value, _) in proof.differences.items()},
        "parameters": proof.parameters,
        "original_parameters": proof.original_parameters,
        "larger_image": proof.image,
        "training": proof.training,
        "rounding": proof.rounding,
        "unstable": {kind: value for kind, (value, _) in proof.unstable.items()},
        **({"first_difference": asdict(proof.first)} if proof.first is not None else {}),
    }
