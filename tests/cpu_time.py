"""The processor time of a piece of work, for tests that guard against work that explodes."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


class CpuTime:
    """`seconds` is the processor time inside of `measure_cpu_time`, once that has ended."""

    seconds = 0.0


@contextmanager
def measure_cpu_time() -> Iterator[CpuTime]:
    """Measure without what other tests have left in memory: looking at it for garbage can take seconds."""
    measured = CpuTime()
    gc.collect()
    gc.freeze()
    begin = time.process_time()
    try:
        yield measured
    finally:
        measured.seconds = time.process_time() - begin
