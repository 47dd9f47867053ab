"""A remote that writes its ids in several forms: each is one generation, and none is missed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from creatify_textgen import enqueue, services
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.models import Generation
from creatify_textgen.recovery.reconciliation import reconcile
from creatify_textgen.states import Status
from tests.factories import let_time_pass
from tests.integration.remote.server import Connection, Script, ScriptedServer, serving

pytestmark = pytest.mark.django_db

ID = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
BARE = ID.replace("-", "")
FORMS = [ID, ID.upper(), BARE, BARE.upper(), f"{{{ID}}}", f"urn:uuid:{ID}"]
PATH = "/sse/text_generator/"


class Remote:
    """Answers creates, and GETs under the one form that it knows, and lists in another."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.known_as = self.listed_as = ID
        self.status = "done"
        self.create_status = 201
        self.asked: dict[str, Any] = {}
        self.on_create: Script | None = None
        server.scripts[:] = [self.answer]

    def answer(self, connection: Connection) -> None:
        request = self.server.requests[-1]
        method, path, _version = request.line.split()
        if path == f"{PATH}stream/":
            receipt = {"creatify": {"id": self.known_as, "credits_used": 0.5}}
            connection.start_stream()
            connection.send(f"data: {json.dumps(receipt)}\n\n")
        elif method == "POST":
            self.asked = json.loads(request.body)
            if self.on_create is not None:
                self.on_create(connection)
                return
            connection.answer(self.create_status, self.shown(self.known_as, status="pending"))
        elif path == PATH:
            connection.answer(200, f"[{self.shown(self.listed_as)}]")
        elif path == f"{PATH}{quote(self.known_as, safe=':')}/":
            connection.answer(200, self.shown(self.known_as))
        elif path.startswith(PATH):
            connection.answer(404, '{"error": "No such generation."}')
        else:
            connection.answer(200, '{"remaining_credits": 5}')

    def shown(self, remote_id: str, **fields: Any) -> str:
        known = {"id": remote_id, **self.asked, "status": self.status, "response_text": "Hi"}
        dates = {"created_at": datetime.now(UTC).isoformat(), "credits_used": 0.5}
        return json.dumps({**known, **dates, **fields})

    @property
    def creates(self) -> int:
        return sum(request.line.startswith("POST") for request in self.server.requests)


@pytest.fixture
def remote(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    with serving(lambda connection: None) as server:
        account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": server.url}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
        yield Remote(server)


def send(**options: Any) -> Generation:
    generation = services.submit("Hello", **options)
    services.send_generation(generation.pk)
    return Generation.objects.get()


def sweep() -> Generation:
    let_time_pass(Generation.objects.get().pk)
    services.sweep()
    return Generation.objects.select_related("content").get()


@pytest.mark.parametrize("form", FORMS)
class TestForm:
    def test_is_asked_as_it_was_sent(self, remote: Remote, form: str) -> None:
        remote.known_as = form
        assert send().remote_id == ID
        row = sweep()
        assert (row.content.response_text, row.credits_used) == ("Hi", Decimal("0.5"))

    def test_of_a_delivery_is_the_row_s(self, remote: Remote, form: str) -> None:
        generation = send()
        body = json.dumps({"id": form, "status": "done"}).encode()
        services.receive_delivery(generation.pk, token=make_token(generation.pk), body=body)
        assert sweep().status == Status.DONE

    def test_of_a_delivery_alone_is_asked(self, remote: Remote, form: str) -> None:
        remote.create_status, remote.known_as = 504, form
        remote.listed_as = "b" + ID[1:]
        generation = send()
        Generation.objects.update(unverified_remote_id="")
        body = json.dumps({"id": form, "status": "done"}).encode()
        services.receive_delivery(generation.pk, token=make_token(generation.pk), body=body)
        row = sweep()
        assert (row.status, row.remote_id) == (Status.DONE, ID)

    def test_of_an_error_that_was_accepted_is_asked(self, remote: Remote, form: str) -> None:
        remote.create_status, remote.known_as = 503, form
        remote.listed_as = "b" + ID[1:]
        assert send().unverified_remote_id == form
        assert (sweep().remote_id, remote.creates) == (ID, 1)

    def test_in_the_list_is_found_and_asked_as_it_was_listed(
        self, remote: Remote, form: str
    ) -> None:
        remote.create_status, remote.status = 504, "running"
        remote.known_as = remote.listed_as = form
        send()
        Generation.objects.update(unverified_remote_id="")
        assert (sweep().status, remote.creates) == (Status.RUNNING, 1)
        remote.status = "done"
        assert (sweep().remote_id, sweep().status) == (ID, Status.DONE)

    def test_of_a_receipt_is_the_row_s(self, remote: Remote, form: str) -> None:
        remote.known_as = form
        generation = services.begin_stream("Hello")
        services.pump_stream(generation.pk)
        row = Generation.objects.get()
        assert (row.remote_id, row.id_at_remote) == (ID, form)

    @pytest.mark.parametrize("known_as", FORMS)
    def test_in_the_list_is_not_imported_again(
        self, remote: Remote, form: str, known_as: str
    ) -> None:
        remote.known_as, remote.listed_as = known_as, form
        send()
        sweep()
        report = reconcile(fix=True)
        assert (report.matched, report.remote_only.count) == (1, 0)
        assert Generation.objects.count() == 1

    def test_of_a_deleted_row_is_not_imported(self, remote: Remote, form: str) -> None:
        send()
        sweep().delete()
        remote.listed_as = form
        assert reconcile(fix=True).remote_only.count == 0
        assert not Generation.objects.exists()


class TestPerson:
    """Somebody decides which generation of the remote is the row's."""

    def undecided(self, remote: Remote) -> Generation:
        remote.create_status = 504
        generation = send()
        expired = {"status": Status.EXPIRED, "error_code": "may_have_been_charged"}
        Generation.objects.update(unverified_remote_id="", **expired)
        return generation.reloaded()

    @pytest.mark.parametrize("form", FORMS)
    def test_may_write_the_id_in_any_form(self, remote: Remote, form: str) -> None:
        row = services.settle(self.undecided(remote), decision="found", remote_id=form)
        assert (row.status, row.remote_id) == (Status.DONE, ID)

    def test_may_write_the_id_that_reconcile_shows(self, remote: Remote) -> None:
        remote.known_as = remote.listed_as = BARE.upper()
        undecided = self.undecided(remote)
        Generation.objects.update(fingerprint="another")  # so that it is not adopted
        (listed,) = reconcile().remote_only.examples
        Generation.objects.update(fingerprint=undecided.fingerprint)
        row = services.settle(undecided, decision="found", remote_id=listed)
        assert (row.remote_id, row.id_at_remote) == (ID, BARE.upper())
