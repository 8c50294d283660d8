"""Choose what parity compares: the reference, and the runtimes of other backends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.backends.base import Backend
from specbuild.runtimes.live_model import missing_package
from specbuild.runtimes.runtime import Runtime


@dataclass(frozen=True)
class Participant:
    """A backend, and the runtime on which its emitted file runs."""

    backend: Backend
    runtime: Runtime

    @property
    def title(self) -> str:
        return self.runtime.title


@dataclass(frozen=True)
class Lineup:
    """The participants of a comparison. All others are compared with the reference."""

    reference: Participant
    others: tuple[Participant, ...]

    @property
    def participants(self) -> tuple[Participant, ...]:
        return (self.reference, *self.others)

    @property
    def backends(self) -> dict[str, Backend]:
        """The backends by name, that of the reference first."""
        return {p.backend.name: p.backend for p in self.participants}


def select_lineup(runtimes: Sequence[str] | None = None, backends: Sequence[str] = BACKEND_NAMES) -> Lineup:
    """Choose the reference and the participants to compare with it.

    The first backend is the reference, on its first runtime. Each other backend runs on those of its runtimes
    that `runtimes` names, on all if `runtimes` is None, and on its only one whatever `runtimes` says. Raises
    SpecError SB605 if a backend has no runtime.
    """
    first, *others = map(load_backend, backends)
    for backend in (first, *others):
        if not backend.runtimes:
            raise backend.missing_part("a runtime for parity")
    chosen = [
        Participant(backend, runtime)
        for backend in others
        for runtime in backend.runtimes
        if runtimes is None or len(backend.runtimes) == 1 or runtime.name in runtimes
    ]
    return Lineup(Participant(first, first.runtimes[0]), tuple(chosen))


def runtime_names(backends: Sequence[str] = BACKEND_NAMES) -> tuple[str, ...]:
    """The names of all runtimes that can be compared with the reference."""
    return tuple(participant.runtime.name for participant in select_lineup(None, backends).others)


def require_packages(lineup: Lineup) -> None:
    """Raise SpecError SB603 unless the packages of all participants are installed."""
    for participant in lineup.participants:
        for module in participant.runtime.modules:
            if find_spec(module) is None:
                raise missing_package(participant.backend.name, module)
