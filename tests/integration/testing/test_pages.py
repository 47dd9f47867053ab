"""The short how-to pages: every snippet runs as printed, and does what its page says."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from decimal import Decimal
from logging.config import dictConfig
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest
from django.template import engines
from django.test import RequestFactory
from django.urls import include, path

from creatify_textgen import services
from creatify_textgen.checks import check_deployment, check_values
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.http.errors import STATUS_OF_CLASS, STATUS_OF_CODE
from creatify_textgen.models import Budget, Generation
from creatify_textgen.models.querysets import GenerationQuerySet
from creatify_textgen.signals import generation_finished, webhook_rejected
from creatify_textgen.states import Status
from creatify_textgen.testing import Stub
from tests.architecture.source import ROOT
from tests.bad_requests import PNG
from tests.snippets import modules

FOLDER = ROOT / "docs" / "how-to"
Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a way to run a part of a page as a module, which has its names as attributes."""

    def run_page(name: str, part: int = 0, **given: Any) -> ModuleType:
        path = ROOT / name if name.endswith(".md") else FOLDER / f"{name}.md"
        page = ModuleType("page_" + re.sub(r"\W", "_", name))
        monkeypatch.setitem(sys.modules, page.__name__, page)
        page.__dict__.update(given)
        code = re.sub(rf"^({'|'.join(given) or '-'}) = .*$", "", modules(path)[part], flags=re.M)
        exec(compile(code, path.name, "exec", dont_inherit=True), page.__dict__)
        return page

    return run_page


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ada", email="ada@example.com")


def group() -> Group:
    return Group.objects.create(name="marketing")


def by(user: User | AnonymousUser, **form: str) -> HttpRequest:
    request = RequestFactory().post("/", form)
    request.user = user
    return request


@pytest.mark.django_db
class TestAsk:
    def test_shows_an_answer_and_mails_it(
        self,
        run: Run,
        creatify_stub: Stub,
        user: User,
        settings: Any,
        mailoutbox: list[Any],
        capsys: pytest.CaptureFixture[str],
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        creatify_stub.answer(["A tagline.", "A title.", "A subtitle.", "Hello!"])
        page = run("ask")
        try:
            assert capsys.readouterr().out == "done A tagline.\nA title.\nA subtitle.\n"
            settings.ROOT_URLCONF = page.__name__
            page.urlpatterns = [
                path("answer/<uuid:pk>", page.answer, name="answer"),
                path("textgen/", include("creatify_textgen.urls")),
            ]
            with django_capture_on_commit_callbacks(execute=True):
                response = page.ask(by(user, prompt="Hi"))
            generation = Generation.objects.latest()
            assert page.ask(by(user)).status_code == 400
            assert response.url == f"/answer/{generation.pk}"
            assert [mail.body for mail in mailoutbox] == ["Hello!"]
            template = html("ask")
            text = engines["django"].from_string(template).render({"generation": generation})
            assert f'data-url="/textgen/generations/{generation.pk}/"' in text
        finally:
            generation_finished.disconnect(page.announce)

    def test_asks_until_the_statuses_that_end(self) -> None:
        [script] = blocks("ask", "js")
        assert '["done", "failed", "cancelled", "expired"]' in script


def blocks(page: str, language: str) -> list[str]:
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    return [part.partition("\n```")[0] for part in text.split(f"```{language}\n")[1:]]


def html(page: str) -> str:
    [found] = blocks(page, "html")
    return found


@pytest.mark.django_db(transaction=True)
class TestStreamIntoAPage:
    async def answer(self, page: ModuleType, user: User) -> str:
        request = RequestFactory().get("/")

        async def auser() -> User:
            return user

        request.user = user
        request.auser = auser  # type: ignore[method-assign,assignment]
        response = await page.poem(request)
        return b"".join([piece async for piece in response]).decode()

    def test_streams_from_a_view(self, run: Run, creatify_stub: Stub, user: User) -> None:
        creatify_stub.answer("Roses are red.")
        page = run("stream-into-a-page")
        assert async_to_sync(self.answer)(page, user) == "Roses are red."


@pytest.mark.django_db
class TestImagesAndVideos:
    def test_describes_what_is_given_or_stored(
        self, run: Run, creatify_stub: Stub, user: User, tmp_path: Any
    ) -> None:
        page = run("images-and-videos")
        photo = tmp_path / "photo.png"
        photo.write_bytes(PNG)
        for given in (photo, PNG):
            assert page.describe(given, user).status == "done"
        assert Generation.objects.values("media").distinct().count() == 1
        request = by(user)
        request.FILES["file"] = SimpleUploadedFile("photo.png", PNG)
        generation = page.describe_upload(request)
        assert generation.content.messages[0]["content"][0]["type"] == "image"


@pytest.mark.django_db
class TestManyAtOnce:
    def test_does_all_of_them(
        self,
        run: Run,
        creatify_stub: Stub,
        user: User,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        page = run("many-at-once")
        try:
            with django_capture_on_commit_callbacks(execute=True):
                rows = page.describe_all({1: "tea", 2: "coffee"}, user)
                services.sweep()
            assert page.progress(rows) == {"done": 2}
            assert set(page.descriptions) == {1, 2}
            assert page.cost(rows) > Decimal(0)
            assert page.retry_failed(rows) == []
        finally:
            generation_finished.disconnect(page.keep)


class TestWebhooks:
    @pytest.mark.django_db
    def test_reports_refusals(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        page = run("webhooks", part=2)
        try:
            with caplog.at_level("WARNING", logger="mysite"):
                webhook_rejected.send(sender=None, reason="bad token", generation=None)
            assert "A delivery was refused: bad token" in caplog.text
        finally:
            webhook_rejected.disconnect(page.note)

    @pytest.mark.parametrize("part", [0, 1, 2])
    def test_has_settings_that_the_checks_accept(self, run: Run, settings: Any, part: int) -> None:
        page = run("webhooks", part=part)
        webhook_rejected.disconnect(page.__dict__.get("note"))
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **page.CREATIFY_TEXTGEN}
        ids = {message.id for message in [*check_values(), *check_deployment()]}
        assert ids <= {"creatify_textgen.W014", "creatify_textgen.W020"}


@pytest.mark.django_db
class TestWorkspaces:
    def test_chooses_by_group(
        self, run: Run, creatify_stub: Stub, user: User, settings: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setenv("CREATIFY_API_ID", "a")
        monkeypatch.setenv("CREATIFY_API_KEY", "b")
        settings.CREATIFY_TEXTGEN = {
            "ACCOUNTS": {name: {"API_ID": "a", "API_KEY": "b"} for name in ("default", "research")}
        }
        page = run("workspaces")
        assert page.ask("Hello", user).account == "default"
        user.groups.add(Group.objects.create(name="research"))
        assert page.ask("Hello", user).account == "research"
        page.allow(user, SimpleNamespace(account="research"), door="submit")
        other = User.objects.create_user("other")
        with pytest.raises(PolicyRefusal, match="not yours"):
            page.allow(other, SimpleNamespace(account="research"), door="submit")


@pytest.mark.django_db
class TestErrors:
    def test_explains_each_end(self, run: Run, creatify_stub: Stub, user: User) -> None:
        page = run("errors")
        creatify_stub.answer("Hello!")
        assert page.explain(page.ask("Hi", user)) == "Hello!"
        creatify_stub.fail("authentication")
        assert page.explain(page.ask("Hi", user)) == "This did not work (authentication)."
        assert page.ask(" ", user).startswith("messages")

    def test_shows_a_refusal(
        self, run: Run, creatify_stub: Stub, user: User, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": {"models": ["other"]}}
        assert run("errors").ask("Hi", user) == "You may use these models: other."

    def test_lists_every_status_of_rest(self) -> None:
        text = (FOLDER / "errors.md").read_text(encoding="utf-8")
        listed = {int(status) for status in re.findall(r"\b[2-5]\d\d\b", text.split("REST API")[1])}
        answered = {*STATUS_OF_CODE.values(), *STATUS_OF_CLASS.values(), 504}
        assert answered - listed == set()

    def test_names_every_status(self) -> None:
        text = (FOLDER / "errors.md").read_text(encoding="utf-8")
        assert [status for status in Status.values if f"`{status}`" not in text] == []


class TestLogging:
    def test_writes_json(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        page = run("logging")
        record = logging.LogRecord("a.b", logging.INFO, "", 1, "Ended", (), None)
        record.credits = Decimal("0.5")
        line = json.loads(page.JsonFormatter().format(record))
        assert (line["logger"], line["text"], line["credits"]) == ("a.b", "Ended", "0.5")
        try:
            raise ValueError("sentinel")
        except ValueError:
            record.exc_info = sys.exc_info()
        assert (
            "ValueError: sentinel" in json.loads(page.JsonFormatter().format(record))["traceback"]
        )
        assert not page.LOGGING["loggers"]["creatify_textgen"]["propagate"]
        handler = page.LOGGING["formatters"]["json"]["()"]
        assert handler == "mysite.logs.JsonFormatter"
        dictConfig({**page.LOGGING, "formatters": {"json": {}}, "loggers": {}})


@pytest.mark.django_db
class TestReference:
    @pytest.mark.parametrize("page", ["README.md", "docs/reference/python-api.md"])
    def test_runs_as_printed(
        self, run: Run, creatify_stub: Stub, user: User, settings: Any, page: str
    ) -> None:
        creatify_stub.answer("Hello!")
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "EXTRA_CONFIG": "pass"}
        run(page, user=user, request=by(user))
        creatify_stub.assert_asked("tagline")

    def test_runs_in_async_code(self, run: Run, creatify_stub: Stub, user: User) -> None:
        page = run("docs/reference/python-api.md", user=user, request=by(user))
        async_to_sync(page.write)()
        assert Generation.objects.filter(mode="stream", status="done").exists()


@pytest.mark.django_db
class TestPrivacy:
    def test_returns_the_result_without_saving_it(self, run: Run, creatify_stub: Stub) -> None:
        creatify_stub.answer("A tagline.")
        page = run("privacy")
        assert page.generation.content.response_text == "A tagline."
        assert page.generation.reloaded().content.response_text == ""


@pytest.mark.django_db
class TestPermissions:
    """The three rules, then the budgets."""

    def refuse(self, page: ModuleType, user: User, **request: Any) -> PolicyRefusal:
        with pytest.raises(PolicyRefusal) as refused:
            page.allow(user, SimpleNamespace(**request), door="submit")
        return refused.value

    def test_a_plan(self, run: Run, user: User) -> None:
        page = run("permissions-and-limits", part=0)
        refused = self.refuse(page, user, model_name="gemini-3.1-pro-preview")
        assert (refused.code, refused.status) == ("plan", 402)
        user.groups.add(Group.objects.create(name="paid"))
        page.allow(user, SimpleNamespace(model_name="gemini-3.1-pro-preview"), door="submit")

    def test_a_quota(self, run: Run, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        page = run("permissions-and-limits", part=1)
        page.allow(user, SimpleNamespace(), door="submit")
        monkeypatch.setattr(GenerationQuerySet, "count", lambda _: 100)
        assert self.refuse(page, user).code == "quota"

    def test_moderation(self, run: Run, user: User) -> None:
        page = run("permissions-and-limits", part=2, user=user, marketing=group())
        page.allow(user, SimpleNamespace(messages="Hello"), door="submit")
        assert self.refuse(page, user, messages="My password is x").code == "moderation"

    def test_budgets(self, run: Run, user: User) -> None:
        run("permissions-and-limits", part=2, user=user, marketing=group())
        assert set(Budget.objects.values_list("name", "unit")) == {
            ("Marketing", "credits"),
            ("Trial", "generations"),
        }
