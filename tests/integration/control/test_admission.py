"""The host's rule and the limits, by the verbs that ask them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from creatify_textgen import services
from creatify_textgen.control.limits import count_refresh
from creatify_textgen.dispatch.intents import save_intent
from creatify_textgen.exceptions import PolicyRefusal, RequestError
from creatify_textgen.intake import accept
from creatify_textgen.models import Generation, Media
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import Mode, Status
from tests.bad_requests import PNG
from tests.factories import NOW, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return User.objects.create_user("owner")


class Rule:
    """A host's rule: notes what it is asked, and raises what it was given."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Any, str]] = []
        self.error: Exception | None = None

    def __call__(self, user: Any, request: Any, *, door: str) -> None:
        self.asked.append((user, request, door))
        if self.error is not None:
            raise self.error

    @property
    def doors(self) -> list[str]:
        return [door for _, _, door in self.asked]


@pytest.fixture
def rule(settings: Any) -> Rule:
    rule = Rule()
    configure(settings, POLICY=rule)
    return rule


def configure(settings: Any, **keys: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **keys}


def limit(settings: Any, **limits: Any) -> None:
    configure(settings, LIMITS=limits)


async def allow_later(user: Any, request: Any, *, door: str) -> None:
    """A rule that nothing awaits."""


class TestPolicy:
    def test_is_asked_by_every_door(self, rule: Rule, user: User) -> None:
        first = services.submit("Hello", owner=user)
        services.submit_many([{"messages": "a"}, {"messages": "b"}], owner=user)
        services.retry(services.cancel(first))
        services.generate("Hello", owner=user, timeout=0)
        services.store_media(PNG, owner=user)
        assert rule.doors == ["submit", "submit", "submit", "retry", "generate", "upload"]
        assert {asker for asker, _, _ in rule.asked} == {user}

    def test_reads_what_was_accepted(self, rule: Rule, user: User) -> None:
        services.submit("Hello", owner=user, model_name="gemini-x", metadata={"order": 17})
        _, request, _ = rule.asked[0]
        assert request.messages == [{"role": "user", "content": "Hello"}]
        assert (request.model_name, request.metadata) == ("gemini-x", {"order": 17})

    def test_reads_an_upload_before_it_is_stored(self, rule: Rule, user: User) -> None:
        rule.error = PolicyRefusal("Not this.")
        with pytest.raises(PolicyRefusal):
            services.store_media(PNG, owner=user)
        _, staged, _ = rule.asked[0]
        assert staged.size > 0
        assert not Media.objects.exists()

    def test_refuses_before_anything_is_saved(self, rule: Rule, user: User) -> None:
        rule.error = PolicyRefusal("Ask for access.", code="no_access", status=402)
        with pytest.raises(RequestError) as caught:
            services.submit("Hello", owner=user)
        assert (caught.value.code, caught.value.status) == ("no_access", 402)
        assert not Generation.objects.exists()

    def test_refuses_a_batch_as_a_whole(self, rule: Rule, user: User) -> None:
        rule.error = PolicyRefusal("Ask for access.")
        with pytest.raises(PolicyRefusal):
            services.submit_many([{"messages": "a"}, {"messages": "b"}], owner=user)
        assert not Generation.objects.exists()

    @pytest.mark.parametrize(
        "wait", [timedelta(minutes=5), math.inf, math.nan, -1, 1e300, "60"], ids=repr
    )
    def test_says_how_long_to_wait_in_seconds(self, wait: Any) -> None:
        with pytest.raises(ValueError, match="seconds"):
            PolicyRefusal("Later.", retry_after=wait)

    @pytest.mark.parametrize("error", [KeyError("plan"), RequestError("x")], ids=["bug", "ours"])
    def test_that_is_broken_allows_nothing(self, rule: Rule, error: Exception, caplog: Any) -> None:
        rule.error = error
        with pytest.raises(PolicyRefusal) as caught:
            services.submit("Hello")
        assert (caught.value.code, caught.value.status) == ("policy_failed", 503)
        assert "POLICY" in caplog.text
        assert not Generation.objects.exists()

    @pytest.mark.parametrize("text", ["Ask for access.", ""])
    def test_may_refuse_with_djangos_error(self, rule: Rule, text: str) -> None:
        rule.error = PermissionDenied(text)
        with pytest.raises(PolicyRefusal, match=text or "does not allow") as caught:
            services.submit("Hello")
        assert (caught.value.code, caught.value.status) == ("permission_denied", 403)
        assert not Generation.objects.exists()

    def test_that_is_async_allows_nothing(self, settings: Any, caplog: Any) -> None:
        configure(settings, POLICY=allow_later)
        with pytest.raises(PolicyRefusal, match="cannot decide"):
            services.submit("Hello")
        assert "async" in caplog.text
        assert not Generation.objects.exists()

    def test_that_leads_nowhere_allows_nothing(self, settings: Any) -> None:
        configure(settings, POLICY="host.is.gone")
        with pytest.raises(PolicyRefusal, match="cannot decide"):
            services.submit("Hello")

    def test_is_not_asked_twice_for_one_key(self, rule: Rule, user: User) -> None:
        first = services.submit("Hello", owner=user, idempotency_key="a")
        rule.error = PolicyRefusal("No more.")
        assert services.submit("Hello", owner=user, idempotency_key="a") == first


class TestOwner:
    @pytest.mark.parametrize("owner", [1, "admin", AnonymousUser(), User(username="unsaved")])
    def test_is_a_saved_user_or_nobody(self, owner: Any) -> None:
        for ask in (services.submit, services.store_media):
            with pytest.raises(RequestError, match="Must be a saved User object") as caught:
                ask("Hello", owner=owner)
            assert list(caught.value.errors) == ["owner"]
        assert not Generation.objects.exists()


class TestOpenLimits:
    @pytest.mark.parametrize(
        ("limits", "mode"),
        [
            ({"in_flight": 2}, Mode.ASYNC),
            ({"streams": 2}, Mode.STREAM),
            ({"sync": 2}, Mode.SYNC),
        ],
    )
    def test_refuse_one_more(self, settings: Any, user: User, limits: Any, mode: Mode) -> None:
        limit(settings, **limits)
        for status in (Status.QUEUED, Status.RUNNING):
            make_generation(owner=user, mode=mode, status=status)
        with pytest.raises(PolicyRefusal, match=r"You may have 2 .*, and have 2") as caught:
            save(user, mode=mode)
        assert caught.value.status == 429
        assert Generation.objects.count() == 2

    def test_count_only_what_is_open_and_the_users_own(self, settings: Any, user: User) -> None:
        limit(settings, in_flight=1)
        make_generation(owner=user, status=Status.DONE)
        make_generation(owner=user, status=Status.EXPIRED)
        make_generation(owner=User.objects.create_user("other"))
        assert services.submit("Hello", owner=user).pk

    def test_do_not_hold_a_stream_against_a_user_whose_pump_is_gone(
        self, settings: Any, user: User
    ) -> None:
        limit(settings, streams=1, sync=1)
        make_generation(owner=user, mode=Mode.STREAM, status=Status.UNCONFIRMED)
        assert save(user, mode=Mode.STREAM).pk

    def test_count_a_batch_as_a_whole(self, settings: Any, user: User) -> None:
        limit(settings, in_flight=2)
        with pytest.raises(PolicyRefusal):
            services.submit_many([{"messages": "Hello"}] * 3, owner=user)
        assert not Generation.objects.exists()
        assert len(services.submit_many([{"messages": "Hello"}] * 2, owner=user)) == 2

    def test_do_not_hold_for_the_site_itself(self, settings: Any) -> None:
        limit(settings, in_flight=0, models=[], max_output_tokens=1)
        assert services.submit("Hello").pk

    def test_return_what_a_key_stands_for(self, settings: Any, user: User) -> None:
        limit(settings, in_flight=1)
        first = services.submit("Hello", owner=user, idempotency_key="a")
        assert services.submit("Hello", owner=user, idempotency_key="a") == first

    def test_cost_one_query_more_than_the_lock(
        self, settings: Any, user: User, django_assert_num_queries: Any
    ) -> None:
        services.submit("Hello", owner=user)
        with django_assert_num_queries(
            6
        ):  # pauses and budgets; savepoint, count, two INSERTs, release
            services.submit("Hello", owner=user)


class TestFixedLimits:
    def test_allow_no_part_of_a_name(self, settings: Any, user: User) -> None:
        limit(settings, models="gemini-pro")
        with pytest.raises(PolicyRefusal, match="gemini-pro"):
            services.submit("Hello", owner=user, model_name="gemini")

    def test_name_the_models_allowed(self, settings: Any, user: User) -> None:
        limit(settings, models=["small"])
        assert services.submit("Hello", owner=user, model_name="small").pk
        with pytest.raises(PolicyRefusal, match="small") as caught:
            services.submit("Hello", owner=user, model_name="large")
        assert (caught.value.status, caught.value.code) == (403, "model_not_allowed")

    @pytest.mark.parametrize("config", [{"max_output_tokens": 101}, {}], ids=["more", "unsaid"])
    def test_bound_the_output(self, settings: Any, user: User, config: Any) -> None:
        limit(settings, max_output_tokens=100)
        assert services.submit("Hello", owner=user, config={"max_output_tokens": 100}).pk
        with pytest.raises(PolicyRefusal, match="at most 100") as caught:
            services.submit("Hello", owner=user, config=config)
        assert (caught.value.status, caught.value.code) == (403, "too_many_tokens")


INLINE = [
    {
        "role": "user",
        "content": [{"type": "image", "data": PNG, "mime_type": "image/png"}],
    }
]


@pytest.mark.parametrize("verb", [services.submit, services.generate, services.begin_stream])
class TestMediaInsideARequest:
    def test_are_asked_for_before_they_are_stored(self, rule: Rule, user: User, verb: Any) -> None:
        rule.error = PolicyRefusal("Not this.")
        with pytest.raises(PolicyRefusal):
            verb(INLINE, owner=user)
        assert rule.doors == ["upload"]
        assert not Media.objects.exists()

    def test_count_as_uploads(self, settings: Any, user: User, verb: Any) -> None:
        limit(settings, uploads_per_day=0)
        with pytest.raises(PolicyRefusal) as caught:
            verb(INLINE, owner=user)
        assert caught.value.code == "too_many_uploads"
        assert not Media.objects.exists()

    def test_that_are_stored_already_cost_nothing(
        self, settings: Any, user: User, verb: Any
    ) -> None:
        services.store_media(PNG, owner=user)
        limit(settings, uploads_per_day=0, streams=None, sync=None)
        assert services.submit(INLINE, owner=user).media.count() == 1


class TestUploadLimits:
    @pytest.mark.parametrize("name", ["uploads_per_day", "upload_bytes_per_day"])
    def test_refuse_until_midnight(self, settings: Any, user: User, name: str) -> None:
        size = services.store_media(PNG, owner=user).size
        limit(settings, **{name: 1 if name == "uploads_per_day" else size})
        with pytest.raises(PolicyRefusal) as caught:
            services.store_media(PNG, owner=user)
        assert caught.value.status == 429
        assert 0 < caught.value.retry_after <= 86400
        assert services.store_media(PNG).pk


class TestRefreshLimit:
    def test_is_for_a_minute(
        self, settings: Any, user: User, double: Any, still_clock: Any
    ) -> None:
        limit(settings, refreshes_per_minute=2)
        row = make_pending(user, double)
        for _ in range(2):
            services.refresh(row, user=user)
        with pytest.raises(PolicyRefusal, match="2 times a minute") as caught:
            services.refresh(row, user=user)
        assert caught.value.retry_after == 60

    def test_begins_again_after_its_minute(self, settings: Any, user: User) -> None:
        limit(settings, refreshes_per_minute=1)
        count_refresh(user.pk, now=NOW)
        with pytest.raises(PolicyRefusal):
            count_refresh(user.pk, now=NOW + timedelta(seconds=59))
        count_refresh(user.pk, now=NOW + timedelta(seconds=60))
        with pytest.raises(PolicyRefusal) as caught:
            count_refresh(user.pk, now=NOW + timedelta(seconds=61))
        assert caught.value.retry_after == 59

    def test_does_not_count_what_costs_nothing(self, settings: Any, user: User) -> None:
        limit(settings, refreshes_per_minute=0)
        row = make_generation(owner=user, status=Status.DONE)
        assert services.refresh(row, user=user).is_final

    def test_does_not_hold_for_the_hosts_own_code(
        self, settings: Any, user: User, double: RemoteDouble
    ) -> None:
        limit(settings, refreshes_per_minute=0)
        row = make_pending(user, double)
        assert services.refresh(row).pk == row.pk


def make_pending(user: User, double: RemoteDouble) -> Generation:
    double.generations["a"] = RemoteGeneration(id="a", status="pending")
    return make_generation(owner=user, status=Status.PENDING, remote_id="a")


def save(user: User, *, mode: Mode) -> Generation:
    if mode == Mode.STREAM:
        return save_stream(user)
    if mode == Mode.SYNC:
        return services.generate("Hello", owner=user, timeout=0)
    return services.submit("Hello", owner=user)


def save_stream(user: User) -> Generation:
    """Save a stream as `begin_stream` does, without its pump."""
    now = timezone.now()
    intake = accept("Hello", owner=user)
    return save_intent(intake, mode=Mode.STREAM, now=now, due_at=now)[0]
