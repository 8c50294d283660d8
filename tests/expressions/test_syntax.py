"""Syntax trees made in several threads, while what a collection of garbage calls hands over between them."""

from __future__ import annotations

import gc
import threading
import time

from specbuild.expressions.python_ast import parse_python


def test_threads_do_not_disturb_each_other() -> None:
    text = "\n".join(f"x{i} = f({i}, [a + b * {i}, (c, d)])" for i in range(300))
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                parse_python(text)
        except BaseException as error:
            faults.append(error)

    def hand_over(_phase: str, _info: dict[str, int]) -> None:
        time.sleep(0)

    threshold = gc.get_threshold()
    gc.callbacks.append(hand_over)
    gc.set_threshold(50)
    try:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(hand_over)
    assert not faults
