"""`specbuild doctor`: what is installed, and what is not."""

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
from specbuild.version import __version__

# What can be installed, what for, and the extra of specbuild that brings it.
PACKAGES = (
    ("torch", "builds and compares PyTorch models", "torch"),
    ("keras", "builds and compares Keras models", "keras"),
    ("tensorflow", "runs Keras models", "keras"),
    ("jax", "runs Keras models", ""),
    ("graphviz", "draws models", "draw"),
    ("pygraphviz", "renders drawings without a system Graphviz", "draw"),
    ("safetensors", "reads and writes weights", "weights"),
)
# One package that comes under several names.
OTHER_NAMES = {"tensorflow": ("tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly")}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    state: str
    is_present: bool
    note: str = ""


def doctor_command() -> None:
    """Say what is installed, what is missing, and how to install it."""
    findings = list(collect_findings())
    names = max(len(f.name) for f in findings)
    states = max(len(f.state) for f in findings)
    for f in findings:
        print_text(
            f"{'+' if f.is_present else '-'} {f.name:{names}}  {f.state:{states}}  {f.note}".rstrip() + "\n"
        )
    missing = dict.fromkeys(extra for name, _, extra in PACKAGES if extra and installed_version(name) is None)
    print_text("\nCheck, compile, show and schema need nothing more than is here.\n")
    if missing:
        print_text(
            f"To install what is missing, in a checkout of specbuild: pip install '.[{','.join(missing)}]'\n"
        )


def collect_findings() -> Iterator[Finding]:
    yield Finding("specbuild", __version__, True)
    yield Finding("python", platform.python_version(), True, sys.executable)
    parser = "with libyaml" if yaml.__with_libyaml__ else "without libyaml: large specs are read slowly"
    yield Finding("pyyaml", yaml.__version__, True, parser)
    for name, purpose, extra in PACKAGES:
        found = installed_version(name)
        source = f"'.[{extra}]'" if extra else name
        how = purpose if found else f"{purpose}; pip install {source}"
        yield Finding(name, found or "missing", found is not None, how)
    runtime = os.environ.get("KERAS_BACKEND", "")
    if installed_version("keras"):
        yield Finding(
            "KERAS_BACKEND",
            make_printable(runtime, 40) or "not set",
            bool(runtime),
            "tensorflow, jax or torch; unless set, tensorflow",
        )
    dot = shutil.which("dot")
    yield Finding(
        "dot", "found" if dot else "missing", dot is not None, dot or "renders drawings; pygraphviz does, too"
    )
    yield find_cuda_device()


def installed_version(name: str) -> str | None:
    """The version of a package, from its metadata: nothing is imported."""
    from importlib.metadata import (
        PackageNotFoundError,
        version,
    )  # only here: it brings half of the email package

    for known in (name, *OTHER_NAMES.get(name, ())):
        try:
            return version(known)
        except PackageNotFoundError:
            continue
    return None


def find_cuda_device() -> Finding:
    """The CUDA device, as the driver's own tool tells it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding(
            "cuda", "missing", False, "no NVIDIA driver here (nvidia-smi); everything runs on the CPU"
        )
    query = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("cuda", "unusable", False, make_printable(f"nvidia-smi: {error}"))
    return Finding(
        "cuda",
        "found",
        True,
        ", ".join(make_printable(line.strip()) for line in told.splitlines() if line.strip()),
    )
