"""Everything a stranger or an ordinary user may send to every URL: no 500, no change, no cost."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.rest.streaming.limits import reader_slots
from tests.bad_requests import PNG
from tests.factories import make_generation
from tests.faults.corpus import (
    BODIES,
    FORMS,
    HEADERS,
    KEYS,
    METHODS,
    PAGE_QUERIES,
    PATHS,
    QUERIES,
    REFUSED,
    Attack,
    bodies_for,
    methods_for,
    queries_for,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.abuse,
    pytest.mark.django_db(transaction=True),
]

ANSWERED: Counter[str] = Counter()
"""What was answered in this module, in hundreds: 4xx."""
ROOT = "/textgen/"
ADMIN = "/admin/creatify_textgen/"
ROWS = ("queued", "pending", "done")

TAKES_BODIES = [
    "generations/",
    "generations/stream/",
    "generations/{pending}/refresh/",
    "generations/{done}/retry/",
    "generations/{queued}/cancel/",
    "generations/{queued}/stop/",
    "generations/{pending}/settle/",
    "generations/{done}/ticket/",
    "media/",
    "webhooks/{pending}/0123456789abcdef0123456789abcdef/",
]
"""The rows in them are another user's."""
IS_LOOKED_AT = [
    "generations/",
    "generations/{queued}/",
    "generations/{done}/stream/",
    "credits/",
    "media/{media}/",
    # Of the attacker's own.
    "generations/{own}/",
    "generations/{own}/stream/",
    "media/{own_media}/",
]
PAGES = [
    "generation/",
    "generation/credits/",
    "generation/{done}/change/",
    "generation/{done}/history/",
    "generation/{done}/delete/",
    "generation/add/",
    "media/",
    "media/{media}/change/",
    "media/{media}/file/",
    "usageday/",
]
OTHERS = [
    url
    for url in dict.fromkeys([*TAKES_BODIES, *IS_LOOKED_AT])
    if "{" in url and "own" not in url and not url.startswith("webhooks")
]
BUTTONS = [
    "generation/{pending}/refresh/",
    "generation/{done}/retry/",
    "generation/{queued}/cancel/",
]


@pytest.fixture(scope="module", autouse=True)
def reported(abuse_tally: Counter[str]) -> Iterator[None]:
    yield
    abuse_tally.update(ANSWERED)
    ANSWERED.clear()


@pytest.fixture
def remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    cache.clear()
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    # What a large body meets first would otherwise hide what comes after it.
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
    return creatify_emulator


@pytest.fixture
def names(db: None, remote: Emulator) -> dict[str, Any]:
    """Return what the paths name: rows of a victim, and some of the attacker's own."""
    victim, attacker = (User.objects.create_user(name) for name in ("victim", "attacker"))
    named: dict[str, Any] = {
        status: make_generation(
            status=status, owner=victim, remote_id=f"r-{status}" if status != "queued" else None
        ).pk
        for status in ROWS
    }
    named["own"] = make_generation(status="done", owner=attacker, remote_id="r-own").pk
    named["media"] = services.store_media(PNG, owner=victim).pk
    named["own_media"] = services.store_media(PNG, owner=attacker).pk
    return named


def as_nobody() -> Client:
    return Client(raise_request_exception=False)


def as_attacker() -> Client:
    client = as_nobody()
    client.force_login(User.objects.get(username="attacker"))
    return client


def as_reader() -> Client:
    """Staff who may look, and may do nothing."""
    user = User.objects.create_user("reader", is_staff=True)
    looks = Permission.objects.filter(
        content_type__app_label="creatify_textgen", codename__startswith="view_"
    )
    user.user_permissions.set(looks)
    client = as_nobody()
    client.force_login(user)
    return client


ACTORS = {"nobody": as_nobody, "user": as_attacker, "staff": as_reader}


def send(client: Client, attack: Attack) -> Any:
    """Send it as a server would have read it, and read the answer to its end."""
    extra: dict[str, Any] = {"QUERY_STRING": attack.query, **attack.headers}
    if "HTTP_COOKIE" in extra and client.cookies:
        extra["HTTP_COOKIE"] += f"; {client.cookies.output(header='', sep=';').strip()}"
    # The test client's own input refuses to be read beyond its end, where a socket just ends.
    extra["wsgi.input"] = io.BytesIO(attack.body)
    content_type = extra.pop("CONTENT_TYPE", attack.content_type)
    response = client.generic(attack.method, attack.path, attack.body, content_type, **extra)
    if response.streaming:
        list(response)
    ANSWERED[f"{response.status_code // 100}xx"] += 1
    return response


def failures(client: Client, attacks: Iterable[Attack]) -> Iterator[str]:
    """Yield the attacks that caused an error of the app."""
    for attack in attacks:
        status = send(client, attack).status_code
        if status >= 500:
            yield f"{attack.name}: {status}"


def state() -> dict[str, list[Any]]:
    """Return every row there is, but for sessions."""
    managers = {
        model.__name__: model._default_manager
        for model in apps.get_models()
        if model._meta.app_label != "sessions"
    }
    return {name: list(manager.order_by("pk").values()) for name, manager in managers.items()}


def calls(remote: Emulator) -> list[str]:
    """Return what the remote was asked beside the balance, which is asked once a minute."""
    asked = [f"{record.method} {record.path}" for record in remote.requests]
    assert asked.count("GET /api/remaining_credits/") <= 1
    return [call for call in asked if call != "GET /api/remaining_credits/"]


@pytest.fixture
def nothing_happens(names: dict[str, Any], remote: Emulator) -> Iterator[None]:
    yield
    assert calls(remote) == []
    assert reader_slots.count() == 0


@pytest.mark.usefixtures("nothing_happens")
class TestApi:
    @pytest.mark.parametrize("actor", ["nobody", "user"])
    @pytest.mark.parametrize("url", TAKES_BODIES)
    def test_takes_every_body(self, names: dict[str, Any], url: str, actor: str) -> None:
        client, before = ACTORS[actor](), state()
        path = ROOT + url.format(**names)
        assert list(failures(client, bodies_for(path))) == []
        assert state() == before

    @pytest.mark.parametrize("actor", ["nobody", "user"])
    @pytest.mark.parametrize("url", IS_LOOKED_AT)
    def test_takes_every_query(self, names: dict[str, Any], url: str, actor: str) -> None:
        client, before = ACTORS[actor](), state()
        path = ROOT + url.format(**names)
        assert list(failures(client, queries_for(path, QUERIES))) == []
        assert state() == before

    @pytest.mark.parametrize("actor", ["nobody", "user"])
    def test_takes_every_method(self, names: dict[str, Any], actor: str) -> None:
        client, before = ACTORS[actor](), state()
        for url in dict.fromkeys([*TAKES_BODIES, *IS_LOOKED_AT]):
            attacks = methods_for(ROOT + url.format(**names))
            if url == "generations/{own}/":  # Its owner may delete it.
                attacks = (attack for attack in attacks if attack.method != "DELETE")
            assert list(failures(client, attacks)) == []
        assert state() == before

    @pytest.mark.parametrize("actor", ["nobody", "user"])
    def test_takes_every_path(self, actor: str) -> None:
        client, before = ACTORS[actor](), state()
        attacks = (
            Attack(f"{method} {path[:80]}", method, ROOT + path, REFUSED)
            for path in PATHS
            for method in ("GET", "POST")
        )
        assert list(failures(client, attacks)) == []
        assert state() == before

    @pytest.mark.parametrize("url", ["generations/", "generations/stream/"])
    def test_takes_every_key(self, url: str) -> None:
        client, before = as_attacker(), state()
        body = b'{"messages": [{"role": "user", "content": "Hello"}]}'
        for key in KEYS:
            headers = {"HTTP_IDEMPOTENCY_KEY": key}
            response = send(client, Attack("key", "POST", ROOT + url, body, headers=headers))
            assert response.status_code == 400, key[:20]
        assert state() == before


@pytest.mark.usefixtures("nothing_happens")
class TestOthers:
    """Of another's rows nobody learns even that they are there."""

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    @pytest.mark.parametrize("url", OTHERS)
    def test_are_as_if_they_were_not(self, names: dict[str, Any], url: str, method: str) -> None:
        client = as_attacker()
        nobody_s = dict.fromkeys(names, "01a20000-0000-7000-8000-000000000000")
        answers = [
            send(client, Attack("others", method, ROOT + url.format(**ids), b""))
            for ids in (names, nobody_s)
        ]
        statuses = {answer.status_code for answer in answers}
        assert len(statuses) == 1
        # 403 where the permission is asked for first: it is the same whether there is such a row.
        assert statuses <= ({403, 405} if url.endswith("settle/") else {404, 405})
        assert answers[0].content == answers[1].content

    @pytest.mark.parametrize("query", ["", "search=Hello", "owner=1", "status=done", "page_size=9"])
    def test_are_in_no_list(self, names: dict[str, Any], query: str) -> None:
        attack = Attack("list", "GET", f"{ROOT}generations/", query=query)
        shown = send(as_attacker(), attack).json()["results"]
        assert {row["id"] for row in shown} <= {str(names["own"])}

    def test_media_are_in_no_request(self, names: dict[str, Any]) -> None:
        client, before = as_attacker(), state()
        part = f'{{"type": "image", "media": "{names["media"]}"}}'
        body = f'{{"messages": [{{"role": "user", "content": [{part}]}}]}}'.encode()
        attack = Attack("another's image", "POST", f"{ROOT}generations/", body)
        assert send(client, attack).status_code == 400
        assert state() == before


@pytest.mark.usefixtures("nothing_happens")
class TestAdmin:
    @pytest.mark.parametrize("actor", ["user", "staff"])
    @pytest.mark.parametrize("page", PAGES)
    def test_takes_every_query(self, names: dict[str, Any], page: str, actor: str) -> None:
        client, before = ACTORS[actor](), state()
        path = ADMIN + page.format(**names)
        assert list(failures(client, queries_for(path, PAGE_QUERIES))) == []
        assert state() == before

    @pytest.mark.parametrize("actor", ["nobody", "staff"])
    @pytest.mark.parametrize("page", [*BUTTONS, "generation/", "generation/{done}/delete/"])
    def test_takes_every_body(self, names: dict[str, Any], page: str, actor: str) -> None:
        client, before = ACTORS[actor](), state()
        path = ADMIN + page.format(**names)
        attacks = [one for one in bodies_for(path) if not one.name.startswith("body: wrong")]
        assert list(failures(client, attacks)) == []
        assert state() == before

    @pytest.mark.parametrize("actor", ["nobody", "user", "staff"])
    def test_takes_every_method(self, names: dict[str, Any], actor: str) -> None:
        client, before = ACTORS[actor](), state()
        for page in (*PAGES, *BUTTONS):
            assert list(failures(client, methods_for(ADMIN + page.format(**names)))) == []
        assert state() == before

    @pytest.mark.parametrize("actor", ["nobody", "user", "staff"])
    @pytest.mark.parametrize(
        "action",
        [
            "retry_selected",
            "refresh_selected",
            "cancel_selected",
            "delete_selected",
            "export_selected",
            "no_such_action",
            "",
            "__init__",
        ],
    )
    def test_takes_every_selection(self, names: dict[str, Any], action: str, actor: str) -> None:
        client, before = ACTORS[actor](), state()
        for selected in (names["queued"], names["pending"], "", "x", "\x00", "9" * 99):
            form = {"action": action, "_selected_action": selected, "ticket": "x", "index": "0"}
            form |= {"post": "yes", "select_across": "1"}
            for index in ("0", "-1", "9" * 40, "x", ""):
                response = client.post(f"{ADMIN}generation/", {**form, "index": index})
                assert response.status_code < 500, (selected, index)
                if response.streaming:
                    list(response)
        assert state() == before


def test_the_corpus_is_large() -> None:
    assert len(BODIES) + len(FORMS) + len(HEADERS) >= 200
    assert len(QUERIES) + len(PAGE_QUERIES) + len(PATHS) + len(METHODS) >= 200
