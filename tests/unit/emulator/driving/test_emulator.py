"""The emulator as a program drives it: wrong use says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from creatify_textgen.emulator import Emulator


class TestBeforeItsStart:
    @pytest.mark.parametrize(
        "call", [lambda one: one.url, lambda one: one.reset()], ids=["url", "reset"]
    )
    def test_says_how_to_start(self, call: Callable[[Emulator], object]) -> None:
        with pytest.raises(RuntimeError, match="with Emulator"):
            call(Emulator())

    def test_knows_the_address_of_a_given_port(self) -> None:
        assert Emulator(port=8900).url == "http://127.0.0.1:8900"


class TestStart:
    @pytest.mark.parametrize("port", [-1, 65536])
    def test_raises_what_fails_in_its_thread(self, port: int) -> None:
        with pytest.raises(OverflowError, match="port must be 0-65535"):
            Emulator(port=port).start()


class TestFinish:
    def test_names_what_is_not_there(self) -> None:
        with pytest.raises(KeyError, match="There is no generation 'nope'"):
            Emulator().finish("nope")
