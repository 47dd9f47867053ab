"""The admin and the REST API in each language, as a browser asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from creatify_textgen.models import Generation
from creatify_textgen.states import Status
from tests import factories

pytestmark = pytest.mark.django_db

HISTORY = "/admin/creatify_textgen/generation/"
LOCALE = "django.middleware.locale.LocaleMiddleware"
ASKED_AGAIN = {
    "ar": "ستُرسل عملية توليد جديدة واحدة (1) من الطلب نفسه",
    "de": "1 neue Generierung wird aus derselben Anfrage gesendet",
    "es": "Se enviará 1 nueva generación a partir de la misma petición",
    "fr": "1 nouvelle génération sera envoyée à partir de la même requête",
}
SEARCHED = {
    "ar": "معرّف، أو معرّف لدى المزوّد",
    "de": "Eine ID, eine ID beim Anbieter",
    "es": "Un identificador, un identificador en el proveedor",
    "fr": "Un identifiant, un identifiant chez le fournisseur",
}
REFUSED = {
    "ar": "لا يحق لك توليد النصوص في هذا الموقع.",
    "de": "Sie dürfen auf dieser Website keinen Text generieren.",
    "es": "No puede generar texto en este sitio.",
    "fr": "Vous ne pouvez pas générer de texte sur ce site.",
}

CANCELLED = {
    "ar": "أُلغيت عملية التوليد {}.",
    "de": "Die Generierung {} wurde abgebrochen.",
    "es": "La generación {} se canceló.",
    "fr": "La génération {} a été annulée.",
}
OF_CHARGED_ONLY = {
    "ar": "للقرار",
    "de": "Nur für die Entscheidung",
    "es": "Solo para la decisión",
    "fr": "Seulement pour la décision",
}

every_language = pytest.mark.parametrize("language", SEARCHED)


@pytest.fixture(autouse=True)
def _site_of_many_languages(settings: Any) -> Iterator[None]:
    cache.clear()
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOCALE]
    # The middleware leaves its language to the thread.
    with translation.override("en"):
        yield


@pytest.fixture
def staff(admin_client: Client) -> Client:
    return admin_client


@every_language
class TestAdmin:
    def test_speaks_it(self, staff: Client, language: str) -> None:
        page = staff.get(HISTORY, headers={"Accept-Language": language}).text
        assert SEARCHED[language] in page
        direction = "rtl" if language == "ar" else "ltr"
        assert re.search(rf'<html lang="{language}" dir="{direction}"', page)

    def test_counts_in_it(self, staff: Client, language: str) -> None:
        factories.make_generation(status="failed", finished_at=factories.NOW)
        page = staff.get(f"{HISTORY}bulk/retry/", headers={"Accept-Language": language}).text
        assert ASKED_AGAIN[language] in page

    def test_names_columns_and_statuses(self, staff: Client, language: str) -> None:
        row = factories.make_generation(status="failed", finished_at=factories.NOW)
        page = staff.get(f"{HISTORY}{row.pk}/change/", headers={"Accept-Language": language}).text
        with translation.override(language):
            status, label = str(Status.FAILED.label), _label("finished_at")
        assert status != "failed"
        assert label != "finished at"
        assert status in page
        assert label.lower() in page.lower()


def _label(name: str) -> str:
    return str(Generation._meta.get_field(name).verbose_name)


@every_language
def test_a_rest_error_is_in_it(language: str, settings: Any) -> None:
    settings.CREATIFY_TEXTGEN = {
        **settings.CREATIFY_TEXTGEN,
        "CREATE_PERMISSION": "creatify_textgen.add_generation",
    }
    client = Client()
    client.force_login(User.objects.create_user("user"))
    answer = client.post(
        "/textgen/generations/",
        {"messages": "Hello"},
        content_type="application/json",
        headers={"Accept-Language": language},
    )
    assert (answer.status_code, answer.json()["error"]) == (403, REFUSED[language])


@every_language
def test_an_action_is_described_in_a_sentence_of_it(staff: Client, language: str) -> None:
    row = factories.make_generation()
    path = f"{HISTORY}{row.pk}/cancel/"
    page = staff.post(path, follow=True, headers={"Accept-Language": language})
    said = [re.sub("<[^>]*>", "", str(one)) for one in page.context["messages"]]
    assert said == [CANCELLED[language].format(row.pk)]
    assert LogEntry.objects.get().get_change_message() == said[0]


@every_language
def test_a_decision_is_in_it_and_the_timeline_is_not(staff: Client, language: str) -> None:
    row = factories.make_generation(
        status="unconfirmed", due_at=factories.NOW, sent_until=factories.NOW
    )
    path = f"{HISTORY}{row.pk}/settle/"
    headers = {"Accept-Language": language}
    wrong = {"decision": "never_accepted", "credits_used": "1"}
    assert OF_CHARGED_ONLY[language] in staff.post(path, wrong, headers=headers).text
    page = staff.post(path, {"decision": "never_accepted"}, follow=True, headers=headers)
    said = [str(one) for one in page.context["messages"]]
    assert str(row.pk) in said[0]
    assert "was settled" not in said[0]
    assert row.events.last().detail == "settled as never accepted, by admin"


def test_english_stays_as_it_is_written(staff: Client) -> None:
    page = staff.get(HISTORY, headers={"Accept-Language": "en"}).text
    assert "An id, an id at the remote" in page
