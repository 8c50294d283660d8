"""`specbuild doctor`: which optional packages and programs are installed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import yaml
from msgspec import Struct, to_builtins

from specbuild.backends import BACKEND_NAMES, all_backend_names, load_backend
from specbuild.cli import options
from specbuild.cli.json_output import print_document
from specbuild.cli.terminal import print_text
from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.ops.extensions import EXTENSION_GROUPS, extension_entries
from specbuild.version import __version__

if TYPE_CHECKING:
    from specbuild.backends.base import Backend

# Optional packages besides the frameworks: name, purpose, and the extra of specbuild that installs it.
PACKAGES = (
    ("graphviz", "draws models", "draw"),
    ("pygraphviz", "renders drawings without a system Graphviz", "draw"),
    ("safetensors", "reads and writes weights", "weights"),
)


class Finding(Struct, frozen=True):
    """One line of the report."""

    name: str
    state: str
    is_present: bool
    note: str = ""
    extra: str = ""  # of specbuild, which installs it


def doctor_command(as_json: options.Json = False) -> None:
    """List what is installed, what is missing, and how to install it."""
    findings = list(collect_findings())
    if as_json:
        print_document("doctor", {"findings": [to_builtins(finding) for finding in findings]})
        return
    name_width = max(len(f.name) for f in findings)
    state_width = max(len(f.state) for f in findings)
    for f in findings:
        mark = "+" if f.is_present else "-"
        print_text(f"{mark} {f.name:{name_width}}  {f.state:{state_width}}  {f.note}".rstrip() + "\n")
    missing = dict.fromkeys(f.extra for f in findings if f.extra and not f.is_present)
    print_text("\nThe commands check, compile, show and schema need none of the missing packages.\n")
    if missing:
        extras = ",".join(missing)
        print_text(f"To install them, in a checkout of specbuild: pip install '.[{extras}]'\n")


def collect_findings() -> Iterator[Finding]:
    yield Finding("specbuild", __version__, True)
    yield Finding("python", platform.python_version(), True, sys.executable)
    parser = "with libyaml" if yaml.__with_libyaml__ else "without libyaml: large specs load slowly"
    yield Finding("pyyaml", yaml.__version__, True, parser)
    backends = []
    for name in backend_names():
        try:
            backends.append(load_backend(name))
        except SpecError as error:
            yield Finding(make_printable(name), "broken", False, make_printable(error.message, 300))
    yield from find_frameworks(backends)
    for name, purpose, extra in PACKAGES:
        yield find_package(name, purpose, extra)
    yield from find_variables(backends)
    dot = shutil.which("dot")
    note = dot or "renders drawings; pygraphviz does this, too"
    yield Finding("dot", "found" if dot else "missing", dot is not None, note)
    yield find_cuda_device()
    yield from find_extensions()


def backend_names() -> tuple[str, ...]:
    """Return the names of all backends; of the built-in ones, if extensions have unusable names."""
    try:
        return all_backend_names()
    except SpecError:
        return BACKEND_NAMES


def find_frameworks(backends: Sequence[Backend]) -> Iterator[Finding]:
    """Yield one line for each module that a backend needs: its framework, and what its runtimes need besides."""
    seen: set[str] = set()
    for backend in backends:
        title = backend.runtimes[0].short_title if backend.runtimes else backend.title
        verbs = "builds and compares" if backend.runtimes else "builds"
        needed = dict.fromkeys(sorted(backend.modules), (f"{verbs} {title} models", backend.extra))
        for position, runtime in enumerate(backend.runtimes):
            extra = backend.extra if position == 0 else ""  # an extra installs the first runtime
            needed |= {m: (f"runs {title} models", extra) for m in runtime.modules if m not in needed}
        for name, (purpose, extra) in needed.items():
            if name not in seen:
                yield find_package(name, purpose, extra, backend.distributions.get(name, ()))
        seen |= needed.keys()


def find_package(name: str, purpose: str, extra: str, other_names: Sequence[str] = ()) -> Finding:
    """Return the version of a package, or how to install it."""
    version = installed_version(name, *other_names)
    source = f"'.[{extra}]'" if extra else name
    note = purpose if version else f"{purpose}; pip install {source}"
    return Finding(name, version or "missing", version is not None, note, extra)


def find_variables(backends: Sequence[Backend]) -> Iterator[Finding]:
    """Yield one line for each environment variable by which users choose a runtime."""
    for backend in backends:
        choices: dict[str, list[str]] = {}
        for runtime in backend.runtimes:
            for variable, value in runtime.variables.items():
                choices.setdefault(variable, []).append(value)
        if not any(map(installed_version, backend.modules)):
            continue
        for variable, (first, *others) in choices.items():
            value = make_printable(os.environ.get(variable, ""), 40)
            note = " or ".join([", ".join([f"{first} (default)", *others[:-1]]), *others[-1:]])
            yield Finding(variable, value or "not set", bool(value), note)


def find_extensions() -> Iterator[Finding]:
    """Yield one line for each installed distribution that adds backends, ops or blocks."""
    added: dict[tuple[str, str], list[str]] = {}
    for group, kind in EXTENSION_GROUPS.items():
        try:
            entries = extension_entries(group)
        except SpecError as error:  # two extensions use one name
            yield Finding(group, "broken", False, make_printable(error.message, 300))
            continue
        for name, entry in entries.items():
            distribution = (entry.dist.name, entry.dist.version) if entry.dist else (entry.value, "")
            added.setdefault(distribution, []).append(f"{kind} {name}")
    for (name, version), parts in added.items():
        note = make_printable(f"extension: {', '.join(parts)}")
        yield Finding(make_printable(name), make_printable(version), True, note)


def installed_version(*names: str) -> str | None:
    """Return the version of the first installed package, or None; reads metadata only and imports nothing."""
    from importlib.metadata import PackageNotFoundError, version  # imported late: it imports `email`

    for distribution in names:
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
