"""Random specs in their deployed form, beside the trained one."""

from __future__ import annotations

from typing import Any

from specbuild.diagnostics.errors import SpecError, SpecErrors
from tests.system.random_specs.structure import text
from tests.system.random_specs.tensor_files import FILE
from tests.transform.deployed import compare_deployed

BOUND = 1e-9


def try_deployment(data: dict[str, Any]) -> str:
    """What became of a spec: "same", "changed" if steps were folded or merged, "refused", "not tried" or "differs: ..."."""
    written = text(data)
    if FILE in written or any("dtype" in raw for raw in data["inputs"].values()):
        return "not tried"
    try:
        compared = compare_deployed(written)
    except (SpecError, SpecErrors):
        return "refused"
    except Exception as error:
        return f"differs: {type(error).__name__}: {error}"
    if not compared.difference < BOUND:
        return f"differs: {compared.difference:.1e}"
    return "changed" if compared.changes else "same"
