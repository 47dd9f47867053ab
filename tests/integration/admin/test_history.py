"""The history: its columns, filters and search, and what they cost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen.admin.filters import BoundedPaginator
from creatify_textgen.admin.rendering import NOTHING
from creatify_textgen.models import Generation

from .conftest import HISTORY, make_done, make_media

by_its_plan = pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="Other planners read an empty table as a whole."
)


def rows_of(response: Any) -> list[Generation]:
    return list(response.context["cl"].result_list)


def make_recent(**fields: Any) -> Generation:
    return make_done(created_at=datetime.now(UTC), **fields)


class TestColumns:
    def test_say_unknown_where_credits_are_unknown(self, operator: Client) -> None:
        make_done(credits_used=None)
        text = operator.get(HISTORY).text
        assert '<span class="textgen-credits-unknown">unknown</span>' in text

    def test_show_credits_without_padding(self, operator: Client) -> None:
        make_done()
        assert ">0.0005</span>" in operator.get(HISTORY).text

    def test_show_the_status_as_a_word(self, operator: Client) -> None:
        make_done(status="failed")
        assert '<span class="textgen-status textgen-status-failed">failed</span>' in (
            operator.get(HISTORY).text
        )

    def test_take_as_many_queries_for_many_rows_as_for_one(self, operator: Client) -> None:
        counts = []
        for _round in range(2):
            for _row in range(5):
                make_done(owner=User.objects.create_user(str(uuid.uuid4())))
            with CaptureQueriesContext(
                connection,
            ) as queries:
                operator.get(HISTORY)
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestExcerpt:
    def test_is_shown_to_who_may_read_content(self, operator: Client) -> None:
        make_done(excerpt="a secret plan")
        assert "a secret plan" in operator.get(HISTORY).text

    def test_is_hidden_from_others(self, staff_with: Callable[..., Client]) -> None:
        make_done(excerpt="a secret plan")
        assert "a secret plan" not in staff_with("view_generation").get(HISTORY).text

    def test_cannot_be_probed_by_others(self, staff_with: Callable[..., Client]) -> None:
        make_done(excerpt="a secret plan")
        response = staff_with("view_generation").get(HISTORY, {"q": "secret"})
        assert rows_of(response) == []


class TestSearch:
    @pytest.mark.parametrize("field", ["id", "remote_id", "excerpt", "owner", "error_code"])
    def test_finds_by(self, operator: Client, field: str) -> None:
        owner = User.objects.create_user("somebody-else")
        wanted = make_recent(
            remote_id=str(uuid.uuid4()), excerpt="a red kite", owner=owner, error_code="blocked"
        )
        make_done()
        term = {"excerpt": "red", "owner": "somebody"}.get(field) or str(
            getattr(wanted, field[:20])
        )
        assert rows_of(operator.get(HISTORY, {"q": term})) == [wanted]


class TestSearchById:
    @pytest.mark.parametrize("remote_id", ["a52eaafb-0b6e-41f0-b0d7-52dcd035c777", "no-uuid"])
    def test_finds_one_of_long_ago(self, operator: Client, remote_id: str) -> None:
        wanted = make_done(remote_id=remote_id)
        make_recent(excerpt=f"about {remote_id}")
        for term in (str(wanted.pk), remote_id):
            assert rows_of(operator.get(HISTORY, {"q": term})) == [wanted]

    @by_its_plan
    def test_uses_an_index(self, db: None) -> None:
        plan = Generation.objects.filter(remote_id="x").explain()
        assert "SCAN" not in plan

    @pytest.mark.parametrize("term", ["\0", "a\0b", "\u202e", "%", "x" * 500])
    def test_survives(self, operator: Client, term: str) -> None:
        assert operator.get(HISTORY, {"q": term}).status_code == 200


class TestOrder:
    def test_is_always_by_creation(self, operator: Client) -> None:
        first = make_done(status="failed")
        second = make_recent()
        for column in range(1, 9):
            for sign in ("", "-"):
                response = operator.get(HISTORY, {"o": f"{sign}{column}"})
                assert rows_of(response) == [second, first]

    @by_its_plan
    def test_needs_no_sorting(self, operator: Client) -> None:
        queryset = operator.get(HISTORY).context["cl"].queryset
        plan = queryset[:50].explain()
        assert "textgen_created" in plan

    def test_leaves_out_what_is_big(self, operator: Client) -> None:
        make_done()
        with CaptureQueriesContext(connection) as queries:
            operator.get(HISTORY)
        assert not [query for query in queries if "metadata" in query["sql"]]


class TestFilter:
    @pytest.mark.parametrize(
        ("name", "column", "value"),
        [
            ("status__exact", "status", "failed"),
            ("mode__exact", "mode", "stream"),
            ("model_name", "model_name", "gemini-2.5-pro"),
            ("account", "account", "second"),
            ("error_code", "error_code", "blocked"),
        ],
    )
    def test_narrows_by(self, operator: Client, name: str, column: str, value: str) -> None:
        wanted = make_recent(**{column: value})
        make_recent()
        assert rows_of(operator.get(HISTORY, {name: value})) == [wanted]

    def test_narrows_by_owner(self, operator: Client) -> None:
        owner = User.objects.create_user("owner")
        wanted = make_done(owner=owner)
        make_done()
        assert rows_of(operator.get(HISTORY, {"owner": owner.pk})) == [wanted]

    def test_narrows_to_the_site_itself(self, operator: Client) -> None:
        make_done(owner=User.objects.create_user("owner"))
        wanted = make_done()
        assert rows_of(operator.get(HISTORY, {"owner": "-"})) == [wanted]

    @pytest.mark.parametrize("value", ["x", "1.5", "9" * 30, "\u202e"])
    def test_survives_an_owner_that_is_none(self, operator: Client, value: str) -> None:
        make_done()
        response = operator.get(HISTORY, {"owner": value}, follow=True)
        assert response.status_code == 200

    def test_offers_no_error_code_where_none_was_seen(self, operator: Client) -> None:
        make_done()
        assert "By error code" not in operator.get(HISTORY).text

    def test_narrows_to_the_users_of_an_image(self, operator: Client) -> None:
        media, wanted = make_media(), make_done()
        wanted.media.add(media)
        make_done()
        assert rows_of(operator.get(HISTORY, {"media__id__exact": str(media.pk)})) == [wanted]


class TestPaginator:
    def test_counts_no_further_than_its_cap(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.filters.COUNTED", 2)
        for _row in range(3):
            make_done()
        response = operator.get(HISTORY)
        assert response.context["cl"].result_count == 2
        assert "There are more generations than these pages show" in response.text

    def test_counts_in_the_database(self, db: None) -> None:
        make_done()
        with CaptureQueriesContext(connection) as queries:
            count = BoundedPaginator(Generation.objects.all(), 50).count
        assert count == 1
        assert "LIMIT" in queries[0]["sql"]
        assert issubclass(BoundedPaginator, Paginator)


class TestAddition:
    def test_is_not_offered(self, operator: Client) -> None:
        assert operator.get(f"{HISTORY}add/").status_code == 403


class TestChange:
    def test_is_refused(self, operator: Client) -> None:
        generation = make_done()
        response = operator.post(f"{HISTORY}{generation.pk}/change/", {"model_name": "other"})
        generation.refresh_from_db()
        assert (response.status_code, generation.model_name) == (403, "gemini-2.5-flash")


class TestCost:
    @pytest.mark.parametrize(
        ("status", "shown"),
        [
            ("queued", NOTHING),
            ("running", NOTHING),
            ("unconfirmed", "unknown"),
            ("failed", "unknown"),
        ],
    )
    def test_is_unknown_only_if_there_may_be_one(
        self, operator: Client, status: str, shown: str
    ) -> None:
        is_open = status != "failed"
        due_at = datetime(2020, 11, 22, tzinfo=UTC) if is_open else None
        make_done(status=status, credits_used=None, finished_at=None, due_at=due_at)
        cell = operator.get(HISTORY).text.partition('class="field-credits_used"')[2]
        assert shown in cell.partition("</td>")[0]


class TestChoice:
    """Django's field that finds rows by typing, on a page of the host's own admin."""

    def find(self, client: Client, term: str) -> list[str]:
        field = {"app_label": "creatify_textgen", "model_name": "generation"}
        asked = {**field, "field_name": "retry_of", "term": term}
        return [
            found["id"] for found in client.get("/admin/autocomplete/", asked).json()["results"]
        ]

    def test_finds_ids_exactly_and_no_words(self, operator: Client) -> None:
        row = make_done(remote_id="remote-1", excerpt="apples", error_code="blocked")
        make_done(remote_id="remote-2")
        for term in (str(row.pk), row.pk.hex, "remote-1", " remote-1 "):
            assert self.find(operator, term) == [str(row.pk)]
        for term in ("apples", "blocked", "remote-", "01"):
            assert self.find(operator, term) == []
        assert len(self.find(operator, "")) == 2
