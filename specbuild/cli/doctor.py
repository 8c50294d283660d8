"""`specbuild doctor`: which optional packages and programs are installed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from specbuild.cli.terminal import print_text
from specbuild.diagnostics.errors import make_printable
from specbuild.ops.extensions import EXTENSION_GROUPS, extension_entries
from specbuild.version import __version__

# Optional packages: name, purpose, and the extra of specbuild that installs it.
PACKAGES = (
    ("torch", "builds and compares PyTorch models", "torch"),
    ("keras", "builds and compares Keras models", "keras"),
    ("tensorflow", "runs Keras models", "keras"),
    ("jax", "runs Keras models", ""),
    ("graphviz", "draws models", "draw"),
    ("pygraphviz", "renders drawings without a system Graphviz", "draw"),
    ("safetensors", "reads and writes weights", "weights"),
)
# Other names under which a package is distributed.
OTHER_NAMES = {"tensorflow": ("tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly")}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    state: str
    is_present: bool
    note: str = ""


def doctor_command() -> None:
    """List what is installed, what is missing, and how to install it."""
    findings = list(collect_findings())
    name_width = max(len(f.name) for f in findings)
    state_width = max(len(f.state) for f in findings)
    for f in findings:
        mark = "+" if f.is_present else "-"
        print_text(f"{mark} {f.name:{name_width}}  {f.state:{state_width}}  {f.note}".rstrip() + "\n")
    missing = dict.fromkeys(extra for name, _, extra in PACKAGES if extra and installed_version(name) is None)
    print_text("\nThe commands check, compile, show and schema need none of the missing packages.\n")
    if missing:
        extras = ",".join(missing)
        print_text(f"To install them, in a checkout of specbuild: pip install '.[{extras}]'\n")


def collect_findings() -> Iterator[Finding]:
    yield Finding("specbuild", __version__, True)
    yield Finding("python", platform.python_version(), True, sys.executable)
    parser = "with libyaml" if yaml.__with_libyaml__ else "without libyaml: large specs load slowly"
    yield Finding("pyyaml", yaml.__version__, True, parser)
    for name, purpose, extra in PACKAGES:
        version = installed_version(name)
        source = f"'.[{extra}]'" if extra else name
        note = purpose if version else f"{purpose}; pip install {source}"
        yield Finding(name, version or "missing", version is not None, note)
    if installed_version("keras"):
        runtime = os.environ.get("KERAS_BACKEND", "")
        state = make_printable(runtime, 40) or "not set"
        yield Finding("KERAS_BACKEND", state, bool(runtime), "tensorflow (default), jax or torch")
    dot = shutil.which("dot")
    note = dot or "renders drawings; pygraphviz does this, too"
    yield Finding("dot", "found" if dot else "missing", dot is not None, note)
    yield find_cuda_device()
    yield from find_extensions()


def find_extensions() -> Iterator[Finding]:
    """Yield one line for each installed distribution that adds backends, ops or blocks."""
    added: dict[tuple[str, str], list[str]] = {}
    for group, kind in EXTENSION_GROUPS.items():
        for name, entry in extension_entries(group).items():
            distribution = (entry.dist.name, entry.dist.version) if entry.dist else (entry.value, "")
            added.setdefault(distribution, []).append(f"{kind} {name}")
    for (name, version), parts in added.items():
        note = make_printable(f"extension: {', '.join(parts)}")
        yield Finding(make_printable(name), make_printable(version), True, note)


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, or None; reads metadata only and imports nothing."""
    from importlib.metadata import PackageNotFoundError, version  # imported late: it imports `email`

    for distribution in (name, *OTHER_NAMES.get(name, ())):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def find_cuda_device() -> Finding:
    """Return the names of the CUDA devices, as nvidia-smi reports them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        note = "no NVIDIA driver found (nvidia-smi); everything runs on the CPU"
        return Finding("cuda", "missing", False, note)
    query = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("cuda", "unusable", False, make_printable(f"nvidia-smi: {error}"))
    devices = ", ".join(make_printable(line.strip()) for line in output.splitlines() if line.strip())
    return Finding("cuda", "found", True, devices)
