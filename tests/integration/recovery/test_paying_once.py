"""A remote that accepts what it seems to refuse: what is sent, how often, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from creatify_textgen import clock, gateway, services
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.exceptions import RemoteRejectedError, RemoteUnavailableError
from creatify_textgen.models import Generation
from creatify_textgen.remote import Listing, RemoteGeneration
from tests.factories import NOW
from tests.faults.remote_double import PreparedDouble, RemoteDouble

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


class OddRemote(RemoteDouble):
    """Answers 500 to every create of `Say hello`, whether it accepted it or not."""

    accepts = True
    names_it = False
    """Whether the answer of 500 has the id of what was accepted."""
    found_after = timedelta()
    listed_after = timedelta()
    echo: Callable[[RemoteGeneration], RemoteGeneration] = staticmethod(lambda remote: remote)
    posts = 0

    def create(self, send: PreparedDouble) -> RemoteGeneration:
        if send.request.messages[0]["content"] != "Say hello":
            return super().create(send)
        self.posts += 1
        named = ""
        if self.accepts:
            accepted = self._accept(send.request)
            self.generations[accepted.id] = self.echo(accepted)
            named = accepted.id if self.names_it else ""
        raise RemoteUnavailableError(
            "The remote is down (500).", status=500, reason="overloaded", accepted_as=named
        )

    def get(self, remote_id: str) -> RemoteGeneration:
        found = super().get(remote_id)
        assert found.created_at is not None
        if clock.utc_now() < found.created_at + self.found_after:
            raise RemoteRejectedError("no such generation", status=404, code="not_found")
        return found

    def list(self, keep: Callable[[RemoteGeneration], bool] = lambda _: True) -> Listing:
        return super().list(lambda one: self.is_listed(one) and keep(one))

    def is_listed(self, remote: RemoteGeneration) -> bool:
        assert remote.created_at is not None
        return clock.utc_now() >= remote.created_at + self.listed_after


class Site:
    """A site whose time passes on command."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now: datetime = NOW
        self.remote = OddRemote()
        monkeypatch.setattr(clock, "utc_now", lambda: self.now)
        monkeypatch.setattr(clock, "known_now", clock.now)
        monkeypatch.setattr(timezone, "now", lambda: self.now)
        monkeypatch.setattr(sweep_schedule._LastRequest, "until", None)
        monkeypatch.setattr(gateway, "client_for", lambda account: self.remote)

    def send(self, prompt: str) -> Generation:
        generation = services.submit(prompt)
        services.send_generation(generation.pk)
        return generation

    def wait(self, minutes: int, *, step: int = 1, prompt: str = "") -> None:
        """Sweep every `step` minutes; with a prompt, others send theirs in between."""
        for minute in range(0, minutes, step):
            if prompt:
                self.send(f"{prompt} {minute}")
            self.now += step * MINUTE
            services.sweep()

    def row(self) -> Generation:
        return Generation.objects.select_related("content").filter(excerpt="Say hello").get()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


def test_what_was_never_accepted_is_sent_once_more_and_never_again(site: Site) -> None:
    site.remote.accepts = False
    site.wait(6, prompt="Before")
    site.send("Say hello")
    site.wait(60, step=2, prompt="After")
    row = site.row()
    assert (site.remote.posts, row.status, row.resends) == (2, "unconfirmed", 1)
    site.wait(26 * 60, step=120)
    row = site.row()
    # The second send was proved to have created nothing, either.
    assert (site.remote.posts, row.status, row.error_code) == (2, "failed", "never_accepted")
    assert row.content.failed_reason.endswith("Creatify says: overloaded")
    assert row.credits_used == 0


def test_without_witnesses_nothing_is_sent_again(site: Site) -> None:
    site.remote.accepts = False
    site.send("Say hello")
    site.wait(26 * 60, step=60)
    row = site.row()
    assert (site.remote.posts, row.status) == (1, "expired")
    assert row.error_code == "may_have_been_charged"
    assert row.content.failed_reason.endswith("Creatify says: overloaded")
    assert row.credits_used is None


@pytest.mark.parametrize(
    "echo",
    [
        lambda remote: replace(remote, config={"temperature": 1.0, "top_p": 0.95}),
        lambda remote: replace(remote, model_name="rerouted"),
    ],
    ids=["defaults written out", "another model"],
)
def test_what_is_echoed_otherwise_is_found(site: Site, echo: Any) -> None:
    site.remote.echo = echo
    site.wait(6, prompt="Before")
    site.send("Say hello")
    site.wait(20, step=2, prompt="After")
    assert (site.remote.posts, site.row().status) == (1, "pending")


def test_what_is_echoed_beyond_recognition_is_not_sent_again(site: Site) -> None:
    words = [{"role": "user", "content": "¡Hola!"}]
    site.remote.echo = lambda remote: replace(remote, messages=words)
    site.wait(6, prompt="Before")
    site.send("Say hello")
    site.wait(40, step=2, prompt="After")
    assert (site.remote.posts, site.row().status) == (1, "unconfirmed")


def test_what_is_listed_late_is_waited_for(site: Site) -> None:
    site.wait(6, prompt="Before")
    site.remote.listed_after = 9 * MINUTE
    site.send("Say hello")
    site.wait(20, step=2, prompt="After")
    assert (site.remote.posts, site.row().status) == (1, "pending")


def test_what_is_named_and_found_late_is_waited_for(site: Site) -> None:
    """A replica lags, and the remote never lists the generation."""
    site.wait(6, prompt="Before")
    site.remote.names_it, site.remote.listed_after = True, timedelta(days=1)
    site.remote.found_after = 9 * MINUTE
    site.send("Say hello")
    site.remote.is_listed = lambda remote: remote.messages[0]["content"] != "Say hello"  # type: ignore[method-assign,index]
    site.wait(40, step=2, prompt="After")
    assert (site.remote.posts, site.row().status) == (1, "pending")


def test_what_is_named_and_echoed_beyond_recognition_is_not_sent_again(site: Site) -> None:
    """The remote never lists the generation, and forgets it later."""
    words = [{"role": "user", "content": "¡Hola!"}]
    site.remote.echo = lambda remote: replace(remote, messages=words)
    site.wait(6, prompt="Before")
    site.remote.names_it = True
    site.send("Say hello")
    site.remote.is_listed = lambda remote: remote.messages != words  # type: ignore[method-assign]
    site.wait(20, step=2, prompt="After")
    row = site.row()
    assert (site.remote.posts, row.status) == (1, "expired")
    site.remote.found_after = timedelta(days=9)
    site.wait(72 * 60, step=240)
    row = site.row()
    assert (site.remote.posts, row.status, row.credits_used) == (1, "expired", None)


def test_another_workspace_s_list_proves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.remote.accepts = False
    site.wait(6, prompt="Before")
    site.send("Say hello")
    monkeypatch.setattr(gateway, "workspace_of", lambda account: "another")
    site.wait(40, step=2, prompt="After")
    assert site.remote.posts == 1


def test_a_list_cut_at_its_new_end_proves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.wait(6, prompt="Before")
    site.send("Say hello")
    monkeypatch.setattr(site.remote, "is_listed", lambda remote: remote.created_at < NOW + MINUTE)
    site.wait(40, step=2, prompt="After")
    assert site.remote.posts == 1


def test_a_list_cut_at_its_old_end_proves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.wait(6, prompt="Before")
    site.send("Say hello")
    kept = NOW + 8 * MINUTE
    monkeypatch.setattr(site.remote, "is_listed", lambda remote: remote.created_at >= kept)
    site.wait(40, step=2, prompt="After")
    assert site.remote.posts == 1


def test_a_list_that_is_none_is_read_ever_less_often(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = []

    def fail(keep: Any) -> Listing:
        lists.append(site.now)
        raise RemoteUnavailableError("Not Found", status=404)

    site.send("Say hello")
    monkeypatch.setattr(site.remote, "list", fail)
    for _ in range(120):
        site.now += timedelta(seconds=5)
        services.sweep()
    assert len(lists) < 15
    site.wait(26 * 60, step=120)
    assert (site.row().status, site.remote.posts) == ("expired", 1)
