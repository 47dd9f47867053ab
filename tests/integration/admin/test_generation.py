"""The page of one generation: what it shows, and that nothing in it becomes markup."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen.admin import generation as generation_page
from creatify_textgen.models import Generation
from tests import factories

from .conftest import HISTORY, OVERRIDE, SCRIPT, make_done, make_hostile, make_media, page_of

INLINE = re.compile(r"<[^>]+\s(style|on[a-z]+)\s*=|<style|<script(?![^>]*\ssrc=)", re.IGNORECASE)


TITLES = re.compile(r"(?s)<title>.*?</title>|<h[12]>.*?</h[12]>|<div class=.breadcrumbs.*?</div>")


class TestHostileText:
    @pytest.fixture
    def page(self, operator: Client) -> str:
        return operator.get(page_of(make_hostile())).text

    def test_never_becomes_a_script(self, page: str) -> None:
        assert "&lt;script&gt;" in page
        assert SCRIPT not in page

    def test_never_becomes_a_link_that_runs(self, page: str) -> None:
        assert 'href="javascript:' not in page
        assert "javascript:alert(1)" in page

    def test_cannot_turn_the_line_around(self, page: str) -> None:
        assert "\u202e" not in page
        assert "[U+202E]" in page

    def test_cannot_hide_in_control_characters(self, page: str) -> None:
        assert "\x1b" not in page
        assert "[U+001B]" in page

    @pytest.mark.parametrize("action", ["change", "history", "delete", "retry"])
    def test_stays_out_of_titles(self, operator: Client, action: str) -> None:
        generation = make_done(
            model_name=f"{OVERRIDE}{'m' * 200}",
            owner=User.objects.create_user(OVERRIDE),
            error_code=OVERRIDE,
            account=OVERRIDE,
            content={"failed_reason": OVERRIDE},
        )
        page = operator.get(page_of(generation, action=action)).text
        titles = re.findall(
            r"(?s)<title>.*?</title>|<h[12]>.*?</h[12]>|class=.breadcrumbs.*?</", page
        )
        assert "\u202e" not in page
        assert len(titles) >= 3
        assert [title for title in titles if "mmm" in title] == []

    @pytest.mark.parametrize("query", ["", "?model_name=%E2%80%AEx", "?error_code=%E2%80%AEx"])
    def test_stays_text_in_filters(self, operator: Client, query: str) -> None:
        make_done(
            model_name=OVERRIDE,
            owner=User.objects.create_user(OVERRIDE),
            error_code=OVERRIDE,
            account=OVERRIDE,
        )
        page = operator.get(f"{HISTORY}{query}").text
        assert "\u202e" not in re.sub(r'value="[^"]*"', "", page)
        assert "[U+202E]gnp.exe" in page

    def test_stays_text_in_the_history_too(self, operator: Client) -> None:
        make_hostile()
        page = operator.get(HISTORY).text
        assert SCRIPT not in page
        assert "\u202e" not in page

    @pytest.mark.parametrize("path", ["", "credits/"])
    def test_leaves_lists_free_of_inline_code(self, operator: Client, path: str) -> None:
        make_hostile()
        assert INLINE.findall(operator.get(f"{HISTORY}{path}").text) == []

    @pytest.mark.parametrize("action", ["change", "retry"])
    def test_leaves_pages_free_of_inline_code(self, operator: Client, action: str) -> None:
        assert INLINE.findall(operator.get(page_of(make_hostile(), action=action)).text) == []

    def test_is_text_in_the_confirmation(self, operator: Client) -> None:
        assert SCRIPT not in operator.get(page_of(make_hostile(), action="retry")).text


class TestConversation:
    def show(self, client: Client, **content: object) -> str:
        generation = make_done()
        for name, value in content.items():
            setattr(generation.content, name, value)
        generation.content.save()
        return client.get(page_of(generation)).text

    def test_lays_out_json(self, operator: Client) -> None:
        page = self.show(operator, response_text='{"a":[1,2]}')
        assert "{\n  &quot;a&quot;: [\n    1," in page
        assert "{&quot;a&quot;:[1,2]}" in page

    @pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 900 + "1" + "}" * 900, "[1" * 9])
    def test_survives_json_that_is_none_or_too_deep(self, operator: Client, text: str) -> None:
        page = self.show(operator, response_text=text)
        assert len(page) < 1_000_000

    def test_cuts_what_is_too_long(self, operator: Client) -> None:
        page = self.show(operator, response_text="x" * 250_000)
        assert "50000 further characters are not shown" in page
        assert len(page) < 300_000

    def test_leaves_out_messages_when_the_page_is_full(self, operator: Client) -> None:
        page = self.show(operator, messages=[{"role": "user", "content": "x"}] * 5_000)
        assert "further messages are not shown" in page

    def test_folds_thoughts_away(self, operator: Client) -> None:
        page = self.show(operator, response_thoughts="hmm")
        assert re.search(r"<details[^>]*>\s*<summary>Thoughts</summary>", page)

    def test_shows_images_through_the_admin(self, operator: Client) -> None:
        media = make_media()
        part = {"type": "image", "mime_type": "image/png", "media": str(media.pk)}
        page = self.show(operator, messages=[{"role": "user", "content": [part]}])
        assert f'src="/admin/creatify_textgen/media/{media.pk}/file/"' in page

    def test_says_where_an_image_is_gone(self, operator: Client) -> None:
        part = {"type": "image", "mime_type": "image/png", "media": str(uuid.uuid4())}
        page = self.show(operator, messages=[{"role": "user", "content": [part]}])
        assert "no longer stored" in page

    def test_links_only_to_web_addresses(self, operator: Client) -> None:
        page = self.show(
            operator, citations=[{"uri": "https://example.com/a"}, {"uri": "data:text/html,x"}]
        )
        assert 'href="https://example.com/a"' in page
        assert 'href="data:' not in page

    def test_may_be_missing(self, operator: Client) -> None:
        generation = make_done()
        generation.content.delete()
        assert "has no content" in operator.get(page_of(generation)).text


class TestContentPermission:
    def test_hides_prompt_and_result(self, staff_with: Callable[..., Client]) -> None:
        generation = make_done(excerpt="a plan", content={"response_text": "a secret"})
        page = staff_with("view_generation").get(page_of(generation)).text
        assert "view_content" in page
        assert not {"a plan", "a secret", "Hello"} & set(re.findall(r"a plan|a secret|Hello", page))

    def test_spares_the_query_for_it(self, staff_with: Callable[..., Client]) -> None:
        client = staff_with("view_generation")
        generation = make_done()
        with CaptureQueriesContext(connection) as queries:
            client.get(page_of(generation))
        assert not [q for q in queries if "generationcontent" in q["sql"]]


class TestTimeline:
    def test_begins_with_the_creation(self, operator: Client) -> None:
        generation = make_done()
        events = generation.events
        events.create(at=factories.NOW, status="submitting", cause="submit")
        events.create(at=factories.NOW, status="done", cause="webhook", detail="named by it")
        page = operator.get(page_of(generation)).text
        reported = page[page.index("textgen-timeline") :]
        words = ["created", "submitting", "webhook", "named by it"]
        assert [reported.index(word) for word in words] == sorted(
            reported.index(word) for word in words
        )

    @pytest.mark.parametrize(("count", "omitted"), [(2, 0), (4, 0), (7, 3)])
    def test_has_the_first_and_the_last_events(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch, count: int, omitted: int
    ) -> None:
        monkeypatch.setattr(generation_page, "EVENTS_SHOWN", 2)
        row = make_done()
        numbers = [str(number) for number in range(count)]
        for detail in numbers:
            row.events.create(at=factories.NOW, status="done", cause="retention", detail=detail)
        lines = list(generation_page.read_timeline(row))[1:]
        shown = [line.detail or line.what for line in lines]
        between = [f"and {omitted} more"] if omitted else []
        assert shown == [*numbers[:2], *between, *numbers[2:][-2:]]

    def test_takes_as_many_queries_however_long_it_is(self, operator: Client) -> None:
        generation, counts = make_done(), []
        operator.get(page_of(generation))  # content types are kept from the first page on
        for _round in range(2):
            for _event in range(5):
                generation.events.create(at=factories.NOW, status="pending", cause="poll")
            with CaptureQueriesContext(connection) as queries:
                operator.get(page_of(generation))
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestRelated:
    def test_links_both_ways(self, operator: Client) -> None:
        first = make_done()
        second = make_done(retry_of=first)
        assert page_of(second) in operator.get(page_of(first)).text
        assert page_of(first) in operator.get(page_of(second)).text


class TestNeighbors:
    def test_are_the_owners(self, operator: Client) -> None:
        owner = User.objects.create_user("grace")
        days = [factories.NOW + timedelta(days=day) for day in range(4)]
        first, second, third = (make_done(owner=owner, created_at=day) for day in days[:3])
        make_done(created_at=days[1] + timedelta(hours=1))
        page = operator.get(page_of(second))
        urls = (page.context["previous_url"], page.context["next_url"])
        assert urls == (page_of(first), page_of(third))
        assert operator.get(page_of(third)).context["next_url"] == ""

    def test_come_by_an_index(self, operator: Client) -> None:
        generation = make_done(owner=User.objects.create_user("grace"))
        with CaptureQueriesContext(connection) as queries:
            operator.get(page_of(generation))
        quoted = connection.ops.quote_name("created_at")
        beside = [q["sql"] for q in queries if f"{quoted} <" in q["sql"]]
        assert len(beside) == 1
        assert "LIMIT 1" in beside[0]


class TestOrder:
    def test_begins_with_what_went_wrong(self, operator: Client) -> None:
        generation = make_done(status="failed", content={"failed_reason": "out of credits"})
        page = operator.get(page_of(generation)).text
        places = [page.index(word) for word in ("out of credits", "textgen-request", "Timeline")]
        assert places == sorted(places)


class TestButtons:
    @pytest.mark.parametrize(
        ("status", "offered"),
        [
            ("queued", {"cancel"}),
            ("pending", {"refresh"}),
            ("expired", {"refresh", "retry"}),
            ("done", {"retry"}),
        ],
    )
    def test_fit_the_status(self, operator: Client, status: str, offered: set[str]) -> None:
        generation = factories.make_generation(status=status)
        page = operator.get(page_of(generation)).text
        verbs = ("refresh", "retry", "cancel")
        assert {verb for verb in verbs if page_of(generation, action=verb) in page} == offered

    def test_are_for_operators(self, staff_with: Callable[..., Client]) -> None:
        generation: Generation = factories.make_generation(status="pending")
        page = staff_with("view_generation", "view_content").get(page_of(generation)).text
        assert page_of(generation, action="retry") not in page
        assert page_of(generation, action="refresh") not in page
