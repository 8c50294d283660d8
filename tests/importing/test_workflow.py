"""An imported model is continued: a block is inserted that changes nothing at first, weights are carried, both frameworks agree."""

from __future__ import annotations

from pathlib import Path

import torch

from specbuild import load
from specbuild.api import Model
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

IMPORTED = Path(__file__).parent / "traces" / "stages.yaml"
EDITED = """specbuild: 1
model: WithAttention
imports: {Net: stages.yaml}
inputs: {image: {C: 3, H: 16, W: 16}}
steps:
  - Net:
edits:
  - insert: {CBAM: {reduction: 4}}
    after: stages.**.conv
    as: attention
    start: identity
"""


def load_edited(folder: Path) -> Model:
    (folder / "stages.yaml").write_text(IMPORTED.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "edited.yaml").write_text(EDITED, encoding="utf-8")
    return load(folder / "edited.yaml")


def test_an_inserted_block_changes_nothing_until_it_is_trained(tmp_path: Path) -> None:
    """All weights of the imported model go into the edited one; only those of the inserted blocks are new."""
    trained, edited = load(IMPORTED).build("torch").eval(), load_edited(tmp_path).build("torch").eval()
    missing, unexpected = edited.load_state_dict(trained.state_dict(), strict=False)
    assert not unexpected
    assert missing
    assert all("attention" in name for name in missing)
    image = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(trained(image), edited(image))


def test_both_frameworks_agree_on_the_edited_model(parity_of: ParityOf, tmp_path: Path) -> None:
    def edited_case() -> ParityCase:
        return ParityCase("edited", load_edited(tmp_path).graph, dtype="float64")

    report = parity_of(edited_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)
