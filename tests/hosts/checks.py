"""What must hold in every host project; `test_hosts` runs this once in each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.conf import settings as site
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from creatify_textgen import clock, databases, services
from creatify_textgen.dispatch.callbacks import webhook_url
from creatify_textgen.emulator import Emulator
from creatify_textgen.lifecycle import moves
from creatify_textgen.management.examination import check_database, check_sweep
from creatify_textgen.models import Generation
from tests.bad_requests import PNG

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
"""Whatever aliases a host has."""

NAMESPACE = "texts" if site.ROOT_URLCONF.endswith("mounted_urls") else "creatify_textgen"


def path_of(name: str, *args: Any) -> str:
    return reverse(f"{NAMESPACE}:{name}", args=args)


def make_user(name: str, **fields: Any) -> Any:
    model: Any = get_user_model()
    return model.objects.create_user(**{model.USERNAME_FIELD: f"{name}@example.com", **fields})


@pytest.fixture
def api(transactional_db: None) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(make_user("owner"))
    return client


@pytest.fixture
def remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {
        "ACCOUNTS": {"default": account},
        "WEBHOOK_BASE_URL": "http://127.0.0.1:9",
    }
    return creatify_emulator


def create(api: Client, **fields: Any) -> Any:
    body = {"messages": [{"role": "user", "content": "Hello"}], **fields}
    return api.post(path_of("generation-list"), body, content_type="application/json")


class TestSite:
    def test_passes_its_checks(self) -> None:
        call_command("check", fail_level="ERROR")

    def test_lacks_no_migration(self) -> None:
        call_command("makemigrations", "creatify_textgen", check=True, dry_run=True)


class TestGeneration:
    def test_goes_its_whole_way(self, api: Client, remote: Emulator) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        response = create(api)
        assert response.status_code == 202
        generation = Generation.objects.get(pk=response.json()["id"])
        services.send_generation(generation.pk)
        remote.finish(Generation.objects.get().remote_id or "")
        body = api.post(path_of("generation-refresh", generation.pk)).json()
        assert body["status"] == "done"
        times = [body[name] for name in ("created_at", "submitted_at", "finished_at")]
        moments = [datetime.fromisoformat(text) for text in times]
        course = [before, *moments, datetime.now(UTC)]
        assert course == sorted(course)

    def test_is_waited_for(self, api: Client, remote: Emulator) -> None:
        response = create(api, sync=True)
        assert (response.status_code, response.json()["status"]) == (201, "done")

    def test_is_swept(self, api: Client, remote: Emulator) -> None:
        remote.switches.set(pending_seconds=0, running_seconds=0)
        rows = services.submit_many([{"messages": f"Say {number}"} for number in range(3)])
        services.sweep()
        Generation.objects.update(due_at=clock.now())
        services.sweep()
        for row in rows:
            row.refresh_from_db()
            assert (row.status, row.content.response_text == "") == ("done", False)
        assert remote.counters["creates"] == 3

    def test_is_streamed(self, api: Client, remote: Emulator) -> None:
        stream = services.stream("Hello")
        said = "".join(chunk.text for chunk in stream)
        assert said
        assert stream.generation.content.response_text == said
        assert stream.generation.status == "done"

    def test_is_refreshed_whatever_zone_a_request_has(self, api: Client, remote: Emulator) -> None:
        """Its answer was lost, so it is looked for in the list by the time it was sent."""
        generation = services.submit("Hello")
        remote.switches.set(pending_seconds=0, running_seconds=0)
        services.send_generation(generation.pk)
        [remote_id] = Generation.objects.values_list("remote_id", flat=True)
        Generation.objects.update(remote_id=None, status="unconfirmed", due_at=clock.now())
        with timezone.override("America/Los_Angeles"):
            assert services.refresh(generation).remote_id == remote_id
        assert remote.counters["creates"] == 1

    @pytest.mark.parametrize("is_aware", [True, False])
    def test_is_reconciled_since_a_moment(
        self, api: Client, remote: Emulator, *, is_aware: bool
    ) -> None:
        services.send_generation(services.submit("Hello").pk)
        moment = datetime.now(UTC) if is_aware else clock.now()
        assert services.reconcile(since=moment - timedelta(hours=1)).matched == 1
        assert services.reconcile(since=moment + timedelta(hours=1)).remote_total == 0

    def test_says_where_it_is(self, api: Client, remote: Emulator) -> None:
        response = create(api)
        assert response["Location"] == path_of("generation-detail", response.json()["id"])
        assert api.get(response["Location"]).json() == response.json()

    def test_is_found_by_time(self, api: Client, remote: Emulator) -> None:
        created = create(api).json()
        moment = datetime.fromisoformat(created["created_at"])
        for hours, count in ((-1, 1), (1, 0)):
            after = (moment + timedelta(hours=hours)).isoformat()
            page = api.get(path_of("generation-list"), {"created_after": after}).json()
            assert len(page["results"]) == count

    def test_is_paged(self, api: Client, remote: Emulator) -> None:
        wanted = [create(api).json()["id"] for _ in range(3)][::-1]
        seen, url = [], path_of("generation-list") + "?page_size=1"
        while url:
            page = api.get(url).json()
            seen += [row["id"] for row in page["results"]]
            url = page["next"]
        assert seen == wanted

    def test_is_its_owners(self, api: Client, remote: Emulator) -> None:
        url = create(api)["Location"]
        stranger = Client()
        stranger.force_login(make_user("stranger"))
        assert stranger.get(url).status_code == 404
        assert Client().get(url).status_code in (401, 403)

    def test_is_found_by_owner(self, api: Client, remote: Emulator) -> None:
        create(api)
        owner = Generation.objects.get().owner
        staff = Client()
        staff.force_login(make_user("staff", is_staff=True, is_superuser=True))
        url = path_of("generation-list")
        assert len(staff.get(url, {"owner": str(owner.pk)}).json()["results"]) == 1
        assert staff.get(url, {"owner": "nobody"}).status_code == 400
        used = staff.get(path_of("credits"), {"owner": str(owner.pk)})
        assert used.json()["used"] == "0"

    def test_keeps_its_key_for_the_owner(self, api: Client, remote: Emulator) -> None:
        body = {"messages": "Hello"}
        ids = {
            api.post(
                path_of("generation-list"),
                body,
                content_type="application/json",
                headers={"Idempotency-Key": "k"},
            ).json()["id"]
            for _ in range(2)
        }
        assert len(ids) == 1


class TestDoctor:
    def test_looks_at_the_database_that_is_written(self, api: Client) -> None:
        [finding] = check_database()
        assert finding.status == "ok"
        recorder = MigrationRecorder(databases.connection())
        recorder.record_unapplied("creatify_textgen", "0001_initial")
        try:
            [finding] = check_database()
        finally:
            recorder.record_applied("creatify_textgen", "0001_initial")
        assert finding.status == "failed"

    def test_finds_what_is_overdue(self, api: Client, remote: Emulator) -> None:
        create(api)
        Generation.objects.update(due_at=clock.now() - timedelta(hours=1))
        [finding] = check_sweep()
        assert finding.status == "failed"


class TestHostTransaction:
    def test_is_refused_on_the_alias_that_is_written(self, api: Client, remote: Emulator) -> None:
        with (
            transaction.atomic(using=databases.alias()),
            pytest.raises(RuntimeError, match="rollback"),
        ):
            services.generate("Hello")
        assert remote.counters["creates"] == 0


class TestWrite:
    def test_that_breaks_off_leaves_nothing_half_written(
        self, api: Client, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The row is updated before its timeline: both, or neither."""
        create(api)
        generation = Generation.objects.get()

        def fail(*_: Any, **__: Any) -> None:
            raise ValueError("the timeline cannot be written")

        monkeypatch.setattr(moves, "_write_timeline", fail)
        with pytest.raises(ValueError, match="timeline"):
            services.cancel(generation)
        generation.refresh_from_db()
        assert generation.status == "queued"


class TestWebhook:
    def test_reaches_its_row(self, api: Client, remote: Emulator) -> None:
        create(api)
        generation = Generation.objects.get()
        services.send_generation(generation.pk)
        generation.refresh_from_db()
        path = urlsplit(webhook_url(generation)).path
        delivery = {"id": generation.remote_id, "status": "done", "response_text": "Hi."}
        outside = Client(enforce_csrf_checks=True)
        answer = outside.post(path, json.dumps(delivery), content_type="application/json")
        assert answer.status_code == 204
        generation.refresh_from_db()
        assert generation.deliveries == 1


class TestMedia:
    def test_is_stored_and_shown(self, api: Client) -> None:
        file = SimpleUploadedFile("a.png", PNG, content_type="image/png")
        response = api.post(path_of("media-list"), {"file": file})
        assert response.status_code == 201
        shown = api.get(response["Location"])
        assert b"".join(shown.streaming_content) == PNG
        shown.close()


class TestMonitoring:
    def test_probes_need_no_login(self, transactional_db: None) -> None:
        assert Client().get(path_of("health")).json() == {"status": "ok"}
        assert Client().get(path_of("health"), {"ready": ""}).json() == {"status": "ok"}

    def test_figures_are_for_those_who_may_see_them(self, transactional_db: None) -> None:
        staff = Client()
        staff.force_login(make_user("staff", is_staff=True, is_superuser=True))
        if not apps.is_installed("creatify_textgen.contrib.prometheus"):
            with pytest.raises(NoReverseMatch):
                path_of("metrics")
            return
        assert Client().get(path_of("metrics")).status_code == 401
        assert b"creatify_textgen_overdue 0.0" in staff.get(path_of("metrics")).content


class TestAdmin:
    def test_lists_generations(self, api: Client, remote: Emulator) -> None:
        create(api)
        staff = Client()
        staff.force_login(make_user("staff", is_staff=True, is_superuser=True))
        page = staff.get(reverse("admin:creatify_textgen_generation_changelist"))
        assert page.status_code == 200
        assert str(Generation.objects.get().pk) in page.content.decode()
