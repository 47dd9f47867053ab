"""Readers who leave, stall or come in numbers: the generation and the others go on."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from itertools import islice
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth.models import User

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.rest.streaming.limits import reader_slots

pytestmark = pytest.mark.django_db(transaction=True)


def eventually(condition: Callable[[], bool], *, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def begin(**options: object) -> Generation:
    return services.begin_stream("Tell me of the sea.", owner=User.objects.get(), **options)


def path_of(site: str, generation: Generation) -> str:
    return f"{site}/textgen/generations/{generation.pk}/stream/"


class TestLeaving:
    def test_stops_neither_the_generation_nor_its_bill(
        self, site: str, remote: Emulator, session_cookie: dict[str, str]
    ) -> None:
        remote.switches.set(chunk_count=30, chunk_interval=0.01)
        generation = begin()
        with requests.get(
            path_of(site, generation), cookies=session_cookie, stream=True, timeout=10
        ) as response:
            next(response.iter_content(1))
        assert eventually(lambda: Generation.objects.get(pk=generation.pk).is_final)
        row = Generation.objects.get(pk=generation.pk)
        assert (row.status, row.credits_used is not None) == ("done", True)
        assert eventually(lambda: reader_slots.count() == 0)

    def test_a_session_closed_early_can_be_taken_up_again(self, remote: Emulator) -> None:
        with services.stream("Tell me of the sea.") as session:
            received = [chunk.text for chunk in islice(session, 2)]
            place = session.position
        rest = services.attach(session.generation, after=str(place))
        received += [chunk.text for chunk in rest]
        assert "".join(received) == rest.generation.content.response_text


class TestStalling:
    def test_a_reader_that_stops_reading_holds_nobody_up(
        self, site: str, remote: Emulator, session_cookie: dict[str, str]
    ) -> None:
        remote.switches.set(chunk_count=50)
        generation = begin()
        address = urlsplit(site)
        with socket.create_connection((address.hostname or "", address.port or 0)) as stalled:
            stalled.sendall(
                f"GET {urlsplit(path_of(site, generation)).path} HTTP/1.1\r\nHost: localhost\r\n"
                f"Cookie: sessionid={session_cookie['sessionid']}\r\n\r\n".encode()
            )
            text = "".join(chunk.text for chunk in services.attach(generation))
        row = Generation.objects.select_related("content").get(pk=generation.pk)
        assert row.status == "done"
        assert text == row.content.response_text


class TestAsync:
    def test_gives_the_chunks_and_then_the_finished_row(self, remote: Emulator) -> None:
        async def listen() -> tuple[str, Generation]:
            session = await services.astream("Write a haiku.")
            async with session:
                text = "".join([chunk.text async for chunk in session])
            return text, session.generation

        text, generation = asyncio.run(listen())
        assert generation.status == "done"
        assert generation.content.response_text == text != ""

    def test_many_follow_one(self, remote: Emulator) -> None:
        async def listen() -> list[str]:
            first = await services.astream("Write a haiku.")
            others = [await services.aattach(first.generation) for _ in range(20)]

            async def read(session: services.AsyncGenerationStream) -> str:
                return "".join([chunk.text async for chunk in session])

            return list(await asyncio.gather(*map(read, [first, *others])))

        assert len(set(asyncio.run(listen()))) == 1
