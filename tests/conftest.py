"""What several tests share."""

from __future__ import annotations

import pytest
import yaml

from specbuild.frontend import yaml_parser as parse


@pytest.fixture(params=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with each of PyYAML's parsers; without libyaml, the one that is there."""
    if request.param == "python":
        monkeypatch.setattr(parse, "PARSERS", (yaml.SafeLoader,))
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML has no libyaml here")
