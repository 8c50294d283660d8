"""Runs parity cases for tests in worker processes that stay alive, so that one case by itself takes seconds."""

from __future__ import annotations

import inspect
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from specbuild.backends import BACKEND_NAMES
from specbuild.parity.compare import ParityCase, ParityReport, WorkerLane, WorkerOptions
from specbuild.parity.participants import select_lineup

# The backends of all cases. To test that of an extension: SPECBUILD_BACKENDS=torch,name
BACKENDS = tuple(os.environ.get("SPECBUILD_BACKENDS", ",".join(BACKEND_NAMES)).split(","))
LOOK_AHEAD = 4  # cases that are sent before their tests begin, so that both frameworks have work
MAX_CASES = 800  # of one lane: frameworks keep some memory of every model
TIMEOUT = 2400.0  # seconds for one case


class PatchedCase(Struct, frozen=True):
    """A case that is only to be run while a patch is active."""

    case: ParityCase
    patch: AbstractContextManager[Any]


CaseMaker = Callable[..., ParityCase | PatchedCase]
CaseRequest = tuple[str, Callable[[], ParityCase | PatchedCase]]  # a key, and what makes the case


class LaneThread:
    """A lane that takes its cases from a queue, in a thread of its own."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.requests: queue.SimpleQueue[PatchedCase | None] = queue.SimpleQueue()
        self.reports: dict[str, Future[ParityReport]] = {}
        self.thread = threading.Thread(target=self.run_lane, daemon=True)
        self.thread.start()

    def submit(self, key: str, made: ParityCase | PatchedCase) -> None:
        patched = made if isinstance(made, PatchedCase) else PatchedCase(made, nullcontext())
        self.reports[key] = Future()
        # The digest keeps the random numbers of the case: they depend on the name if there is no digest.
        case = replace(patched.case, name=key, digest=patched.case.digest or patched.case.name)
        self.requests.put(replace(patched, case=case))

    def run_lane(self) -> None:
        try:
            lane = WorkerLane(WorkerOptions(timeout=TIMEOUT), select_lineup([self.runtime], BACKENDS))
            lane.run_cases(self.take_cases(), lambda report: self.reports[report.name].set_result(report))
        except BaseException as error:  # raised again where a report is read
            for report in list(self.reports.values()):
                if not report.done():
                    report.set_exception(error)

    def take_cases(self) -> Iterator[ParityCase]:
        while (request := self.requests.get()) is not None:
            with request.patch:
                yield request.case

    def close(self) -> None:
        """Forget the cases that wait, end the processes, and wait for them."""
        while not self.requests.empty():
            self.requests.get()
        self.requests.put(None)
        self.thread.join()


class ParityRunner:
    """One lane at a time; a case on another runtime of Keras ends it and starts another."""

    def __init__(self) -> None:
        self.lane: LaneThread | None = None

    def lane_for(self, runtime: str) -> LaneThread:
        lane = self.lane
        if lane is not None and (
            lane.runtime != runtime or len(lane.reports) >= MAX_CASES or not lane.thread.is_alive()
        ):
            self.close()
        if self.lane is None:
            self.lane = LaneThread(runtime)
        return self.lane

    def run(self, requests: list[CaseRequest], runtime: str) -> ParityReport:
        """The report of the first request. The others are only sent; a faulty one fails in its own test."""
        lane = self.lane_for(runtime)
        first, *others = requests
        if first[0] not in lane.reports:
            lane.submit(first[0], first[1]())
        for key, make_case in others:
            if key not in lane.reports:
                try:
                    lane.submit(key, make_case())
                except Exception:
                    continue
        return lane.reports[first[0]].result()

    def close(self) -> None:
        if self.lane is not None:
            self.lane.close()
        self.lane = None


class ParityOf:
    """What the fixture `parity_of` gives: a function from a maker of cases to the report of this test's case."""

    def __init__(self, runner: ParityRunner, node: pytest.Function) -> None:
        self.runner, self.node = runner, node

    def __call__(self, make_case: CaseMaker, runtime: str = "tensorflow", **arguments: Any) -> ParityReport:
        """Run the case that `make_case` returns for the parameters of this test, or for `arguments`.

        The cases of the next tests of the same function are sent as well.
        """
        if arguments:
            all_arguments = [arguments]
        else:
            names = list(inspect.signature(make_case).parameters)
            all_arguments = [{n: item.callspec.params[n] for n in names} for item in self.next_items()]
        requests: list[CaseRequest] = []
        for chosen in all_arguments:
            values = " ".join(str(value) for value in chosen.values())
            key = f"{make_case.__module__}.{make_case.__name__} {values}"
            requests.append((key, partial(make_case, **chosen)))
        return self.runner.run(requests, runtime)

    def next_items(self) -> list[pytest.Function]:
        """This test, and the next ones of the same function."""
        items = self.node.session.items
        start = items.index(self.node)
        chosen = [self.node]
        for item in items[start + 1 : start + 1 + LOOK_AHEAD]:
            if not isinstance(item, pytest.Function) or item.function is not self.node.function:
                break
            chosen.append(item)
        return chosen
