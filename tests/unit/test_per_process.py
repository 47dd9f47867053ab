"""What each process has for itself: once for all threads, and not that of its parent."""

from __future__ import annotations

import os
import threading
import time

from creatify_textgen.per_process import per_process


def numbered() -> list[int]:
    made: list[int] = []

    def make() -> int:
        time.sleep(0.01)
        made.append(len(made))
        return made[-1]

    thing = per_process(make)
    threads = [threading.Thread(target=thing) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


class TestPerProcess:
    def test_is_made_once_however_many_threads_ask_first(self) -> None:
        assert numbered() == [0]

    def test_is_made_for_each_argument(self) -> None:
        thing = per_process(lambda name: [name])
        assert thing("a") is thing("a")
        assert thing("b") == ["b"]

    def test_is_made_again_in_a_forked_process(self) -> None:
        thing = per_process(os.getpid)
        assert thing() == os.getpid()
        reader, writer = os.pipe()
        with thing._lock:  # as where another thread of the parent is at it
            child = os.fork()
            if child == 0:
                os.write(writer, b"own" if thing() == os.getpid() else b"the parent's")
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 20) == b"own"
