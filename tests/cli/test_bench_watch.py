"""`bench` and `watch`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specbuild.cli import main
from specbuild.cli.bench import choose_runtimes, format_seconds
from specbuild.cli.terminal import ExitCode
from specbuild.cli.watch import changed_specs, check_once

SPEC = "specbuild: 1\nmodel: Small\ninputs: {image: {C: 3, H: 8, W: 8}, ids: {axes: {T: 4}, dtype: int32}}\nsteps:\n  - conv: {channels: 4}\n    from: image\n    as: a\n  - embedding: {count: 5, features: 4}\n    from: ids\n    as: b\noutputs: {a: a, b: b}\n"


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch", "tensorflow"])
def test_bench(tmp_path: Path, capfd: pytest.CaptureFixture[str], runtime: str) -> None:
    """A row for each batch size, with the counts of the model."""
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    command = [
        "bench",
        str(path),
        "--runtimes",
        runtime,
        "--batch",
        "1,2",
        "--seconds",
        "0.05",
        "--threads",
        "1",
        "--json",
    ]
    assert main(command) == 0
    record = json.loads(capfd.readouterr().out)
    assert record["parameters"] == 3 * 4 * 9 + 4 + 20 and record["model"] == "Small"
    assert [r["batch"] for r in record["results"]] == [1, 2]
    for result in record["results"]:
        assert result["calls"] >= 5 and 0 < result["median_seconds"] <= result["p90_seconds"]
        assert result["samples_per_second"] == pytest.approx(result["batch"] / result["median_seconds"])
        assert result["memory_bytes"] > 0


@pytest.mark.parametrize(
    "arguments",
    [["--batch", "0"], ["--batch", "a"], ["--runtimes", "caffe"], ["--seconds", "0"], ["--device", "tpu"]],
)
def test_bench_refuses(tmp_path: Path, arguments: list[str]) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    assert main(["bench", str(path), *arguments]) == ExitCode.USAGE


def test_what_bench_measures() -> None:
    assert [runtime.name for _, runtime in choose_runtimes(None)] == ["torch", "tensorflow"]
    assert [b.name for b, _ in choose_runtimes("jax,torch")] == ["keras", "torch"]
    assert [format_seconds(s) for s in (1.234, 0.0421, 0.00031)] == ["1.23 s", "42.1 ms", "310 us"]


def test_watch_sees_specs_and_imports(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A spec is checked at first, after each change of its files, and no other time."""
    gates, spec, other = (tmp_path / name for name in ("gates.yaml", "net.yaml", "other.yaml"))
    gates.write_text("specbuild: 1\nblocks:\n  Gate:\n    inputs: {x: [C]}\n    steps: [sigmoid]\n")
    spec.write_text(
        "specbuild: 1\nmodel: Net\nimports: {Gate: ./gates.yaml#Gate}\ninputs: {x: {C: 4}}\nsteps: [Gate]\n"
    )
    other.write_text("specbuild: 1\nmodel: Other\ninputs: {x: {C: 4}}\nsteps: [relu]\n")
    changes = iter(
        [
            lambda: None,
            lambda: gates.write_text(gates.read_text().replace("sigmoid", "tanhh")),
            lambda: other.write_text(other.read_text() + "# more\n"),
            lambda: gates.write_text(gates.read_text().replace("tanhh", "tanh")),
            gates.unlink,
        ]
    )
    watched = {str(p): {p} for p in (spec, other)}
    seen = []
    with pytest.raises(StopIteration):

        def wait() -> None:
            next(changes)()

        try:
            for changed in changed_specs(watched, wait):
                for name in changed:
                    watched[name] |= check_once(name, None, None, None)
                seen.append([Path(name).name for name in changed])
        except RuntimeError as error:  # of a generator whose `wait` has no more changes
            raise error.__cause__ from None  # type: ignore[misc]
    assert seen == [["net.yaml", "other.yaml"], ["net.yaml"], ["other.yaml"], ["net.yaml"], ["net.yaml"]]
    out = capfd.readouterr().out
    assert "Net is valid" in out and "1 error" in out and "tanhh" in out
    assert main(["watch", "-"]) == ExitCode.USAGE
