"""No view of this door runs in a transaction of the request's own, whichever database it is."""

from __future__ import annotations

import pytest
from django.db import connections
from django.urls import URLPattern

from creatify_textgen.databases import outside_transactions
from creatify_textgen.rest.streaming.urls import urlpatterns


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: str(pattern.name))
def test_no_view_is_in_a_transaction(pattern: URLPattern) -> None:
    assert vars(pattern.callback)["_non_atomic_requests"] == set(connections)


def test_every_alias_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connections), "__iter__", lambda _: iter(["default", "archive"]))
    view = outside_transactions(lambda request: None)
    assert view._non_atomic_requests == {"default", "archive"}
