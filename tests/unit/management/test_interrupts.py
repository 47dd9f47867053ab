"""Ctrl-C within and beside a block that is not to be torn apart."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from creatify_textgen.management.interrupts import Interrupts


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class TestInterrupts:
    def test_raise_at_once_beside_the_block(self) -> None:
        with Interrupts(), pytest.raises(KeyboardInterrupt):
            press_ctrl_c()

    def test_wait_for_the_end_of_the_block(self) -> None:
        steps = []

        def write(interrupts: Interrupts) -> None:
            with interrupts.held_back():
                press_ctrl_c()
                steps.append("written")

        with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
            write(interrupts)
        assert steps == ["written"]

    def test_leave_the_handler_as_it_was(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        with Interrupts():
            pass
        assert signal.getsignal(signal.SIGINT) is before

    def test_keep_out_of_other_threads(self) -> None:
        def work() -> str:
            with Interrupts() as interrupts, interrupts.held_back():
                return "done"

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(work).result() == "done"
