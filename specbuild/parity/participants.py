"""Choose what parity compares: the reference, and the runtimes of other backends."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from msgspec import Struct

from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.backends.base import Backend
from specbuild.runtimes.jobs import MODES, DType, Mode
from specbuild.runtimes.runtime import Runtime


class Participant(Struct, frozen=True):
    """A backend, and the runtime on which its emitted file runs."""

    backend: Backend
    runtime: Runtime

    @property
    def title(self) -> str:
        return self.runtime.title

    @property
    def key(self) -> tuple[str, str]:
        """The unique key: two backends may have runtimes of the same name."""
        return (self.backend.name, self.runtime.name)


class Lineup(Struct, frozen=True):
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

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that all participants can run."""
        return tuple(mode for mode in MODES if all(mode in p.runtime.modes for p in self.participants))

    def require_support(self, modes: Sequence[Mode], dtype: DType) -> None:
        """Raise SpecError SB605 unless all participants can run these modes in this dtype."""
        for participant in self.participants:
            lacking = [mode for mode in modes if mode not in participant.runtime.modes]
            if lacking:
                raise participant.backend.missing_part(f"the parity mode {lacking[0]!r}")
            if dtype not in participant.runtime.dtypes:
                raise participant.backend.missing_part(f"the number type {dtype}")


def select_lineup(runtimes: Sequence[str] | None = None, backends: Sequence[str] = BACKEND_NAMES) -> Lineup:
    """Choose the reference and the participants to compare with it.

    The first backend is the reference, on its first runtime. Each other backend runs on those of its runtimes
    that `runtimes` names, and on its first if it has none of them; on all if `runtimes` is None. Raises
    SpecError SB605 if a backend has no runtime.
    """
    first, *others = map(load_backend, backends)
    for backend in (first, *others):
        if not backend.runtimes:
            raise backend.missing_part("a runtime for parity")
    chosen = []
    for backend in others:
        named = [x for x in backend.runtimes if runtimes is None or x.name in runtimes]
        chosen += [Participant(backend, runtime) for runtime in named or backend.runtimes[:1]]
    return Lineup(Participant(first, first.runtimes[0]), tuple(chosen))


def runtime_names(backends: Sequence[str] = BACKEND_NAMES) -> tuple[str, ...]:
    """Return the names of all runtimes that can be compared with the reference."""
    return tuple(dict.fromkeys(other.runtime.name for other in select_lineup(None, backends).others))


def require_runtime_packages(lineup: Lineup) -> None:
    """Raise SpecError SB603 unless the packages of all participants are installed."""
    for participant in lineup.participants:
        for module in participant.runtime.modules:
            if find_spec(module) is None:
                raise participant.backend.missing_package(module)
