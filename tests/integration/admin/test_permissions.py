"""What a query string may ask: nothing beyond the filters, whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Field, Model
from django.test import Client, RequestFactory

from creatify_textgen.models import Generation, Media, UsageDay

from .conftest import EVERYTHING, HISTORY, make_done, make_media

LOOKUPS = (
    *("", "__exact", "__iexact", "__startswith", "__istartswith", "__contains", "__icontains"),
    *("__endswith", "__regex", "__iregex", "__gt", "__gte", "__lt", "__in", "__range", "__isnull"),
    *("__length__gt", "__0", "__plan__startswith", "__has_key", "__date", "__year"),
)
OFFERED = {
    Generation: {
        *("status__exact", "status__isnull", "mode__exact", "mode__isnull", "attention"),
        *("period", "since", "until", "owner", "model_name", "error_code", "account"),
        "media__id__exact",
    },
    Media: {"kind__exact", "kind__isnull", "owner"},
    UsageDay: {
        *("status__exact", "status__isnull", "period", "since", "until"),
        *("owner", "model_name", "account"),
    },
}
PERMISSION_SETS = [
    names
    for size in range(len(EVERYTHING) + 1)
    for names in combinations((*EVERYTHING, "view_media", "view_usageday"), size)
]


def paths_of(model: type[Model], *, depth: int = 2) -> Iterator[str]:
    """Yield each field of the model and, through its relations, of the models beside it."""
    for field in model._meta.get_fields():
        name = field.name if isinstance(field, Field) else field.get_accessor_name()
        if not name or name.endswith("+"):
            continue
        yield name
        yield getattr(field, "attname", name)
        if depth > 1 and field.related_model:
            related: Any = field.related_model
            yield from (f"{name}__{path}" for path in paths_of(related, depth=depth - 1))


CASES = sorted({(model, path) for model in OFFERED for path in paths_of(model)}, key=str)


@pytest.fixture(scope="module")
def requests() -> list[Any]:
    """Return a request of each possible set of permissions, and one of a superuser."""
    return [*map(request_with, PERMISSION_SETS), request_with((), is_superuser=True)]


def request_with(names: tuple[str, ...], **fields: Any) -> Any:
    request = RequestFactory().get("/")
    user: Any = User(username="-".join(names), is_staff=True, **fields)
    user._perm_cache = {f"creatify_textgen.{name}" for name in names}
    request.user = user
    return request


class TestLookup:
    @pytest.mark.parametrize(
        ("model", "path"), CASES, ids=[f"{model.__name__}-{path}" for model, path in CASES]
    )
    def test_is_refused_beyond_the_filters(
        self, requests: list[Any], model: type[Model], path: str
    ) -> None:
        model_admin = admin.site._registry[model]
        allowed = {
            f"{path}{lookup}"
            for lookup in LOOKUPS
            for request in requests
            if model_admin.lookup_allowed(f"{path}{lookup}", "x", request)
        }
        assert allowed <= OFFERED[model]

    @pytest.mark.parametrize("model", OFFERED, ids=lambda model: model.__name__)
    def test_is_allowed_for_each_filter(self, requests: list[Any], model: type[Model]) -> None:
        model_admin = admin.site._registry[model]
        assert all(
            model_admin.lookup_allowed(lookup, "x", request)
            for lookup in OFFERED[model]
            for request in requests
        )

    @pytest.mark.parametrize(
        "lookup",
        [
            "excerpt__startswith",
            "excerpt__regex",
            "metadata__plan",
            "fingerprint",
            "content__response_text__contains",
            "retry_of__excerpt__startswith",
            "events__detail__contains",
            "owner__password__startswith",
        ],
    )
    def test_of_content_answers_the_same_right_or_wrong(
        self, staff_with: Callable[..., Client], lookup: str
    ) -> None:
        make_done(excerpt="a secret plan", metadata={"plan": "secret"})
        client = staff_with("view_generation")
        answers = {client.get(HISTORY, {lookup: text}).status_code for text in ("a", "b", "0" * 64)}
        assert answers == {400}


class TestContent:
    SECRETS = ("a-secret-fingerprint", "a-secret-plan", "a secret prompt")

    def make(self) -> Generation:
        fingerprint, plan, prompt = self.SECRETS
        return make_done(fingerprint=fingerprint, metadata={"plan": plan}, excerpt=prompt)

    def test_is_hidden_with_metadata_and_fingerprint(
        self, staff_with: Callable[..., Client]
    ) -> None:
        page = staff_with("view_generation").get(f"{HISTORY}{self.make().pk}/change/").text
        assert [secret for secret in self.SECRETS if secret in page] == []

    def test_is_shown_with_the_permission(self, operator: Client) -> None:
        page = operator.get(f"{HISTORY}{self.make().pk}/change/").text
        assert [secret for secret in self.SECRETS[:2] if secret not in page] == []

    @pytest.mark.parametrize("term", ["secret", "prompt", "a-secret-fingerprint", "plan"])
    def test_is_not_found_by_searching(self, staff_with: Callable[..., Client], term: str) -> None:
        self.make()
        response = staff_with("view_generation").get(HISTORY, {"q": term, "period": "all"})
        assert list(response.context["cl"].result_list) == []

    def test_of_a_file_is_not_confirmed_by_its_hash(
        self, staff_with: Callable[..., Client]
    ) -> None:
        media = make_media()
        client, url = staff_with("view_media"), "/admin/creatify_textgen/media/"
        known = client.get(url, {"q": media.sha256})
        unknown = client.get(url, {"q": "0" * 64})
        counts = [response.context["cl"].result_count for response in (known, unknown)]
        assert counts[0] == counts[1]
        assert media.sha256 not in client.get(f"{url}{media.pk}/change/").text
