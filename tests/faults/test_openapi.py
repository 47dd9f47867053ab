"""Our own OpenAPI document against our own API: what it promises is what is answered.

Schemathesis makes requests from the document, right ones and wrong ones, and checks each answer.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache as cached
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from creatify_textgen.chat import Conversation
from creatify_textgen.emulator import Emulator
from creatify_textgen.rest import openapi as _registered  # noqa: F401
from tests.factories import make_generation

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

EXAMPLES = min(50, hypothesis_settings().max_examples)
OPERATIONS = [
    "GET /textgen/generations/",
    "POST /textgen/generations/",
    "GET /textgen/generations/{generation_id}/",
    "POST /textgen/generations/{generation_id}/refresh/",
    "POST /textgen/generations/{generation_id}/retry/",
    "POST /textgen/generations/{generation_id}/cancel/",
    "POST /textgen/generations/{generation_id}/stop/",
    "POST /textgen/generations/{generation_id}/settle/",
    "DELETE /textgen/generations/{generation_id}/",
    "POST /textgen/generations/stream/",
    "GET /textgen/generations/{generation_id}/stream/",
    "POST /textgen/generations/{generation_id}/ticket/",
    "GET /textgen/conversations/",
    "POST /textgen/conversations/",
    "GET /textgen/conversations/{conversation_id}/",
    "PATCH /textgen/conversations/{conversation_id}/",
    "DELETE /textgen/conversations/{conversation_id}/",
    "POST /textgen/conversations/{conversation_id}/fork/",
    "GET /textgen/conversations/{conversation_id}/messages/",
    "GET /textgen/conversations/{conversation_id}/messages/stream/",
    "POST /textgen/conversations/{conversation_id}/messages/",
    "POST /textgen/conversations/{conversation_id}/messages/stream/",
    "GET /textgen/runs/",
    "GET /textgen/runs/{run_id}/",
    "POST /textgen/runs/{run_id}/stop/",
    "POST /textgen/runs/{run_id}/calls/{call_id}/approve/",
    "POST /textgen/runs/{run_id}/calls/{call_id}/reject/",
    "GET /textgen/credits/",
    "GET /textgen/estimate/",
    "GET /textgen/models/",
    "POST /textgen/media/",
    "GET /textgen/media/{media_id}/",
]
SEMANTIC = [positive_data_acceptance]
EXCLUDED = {
    # No JSON Schema says what makes an image an image, or a conversation one.
    "POST /textgen/generations/": SEMANTIC,
    "POST /textgen/generations/stream/": SEMANTIC,
    "POST /textgen/conversations/": SEMANTIC,
    # A body with nothing in it is one for the document, and not for these.
    "PATCH /textgen/conversations/{conversation_id}/": SEMANTIC,
    "POST /textgen/conversations/{conversation_id}/messages/": SEMANTIC,
    "POST /textgen/conversations/{conversation_id}/messages/stream/": SEMANTIC,
    "POST /textgen/media/": SEMANTIC,
    # Which fields belong to which decision.
    "POST /textgen/generations/{generation_id}/settle/": SEMANTIC,
    # The document does not name the accounts of a site.
    "GET /textgen/credits/": SEMANTIC,
}


@pytest.fixture
def remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    cache.clear()
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "POLL_INTERVAL": 0.01}
    creatify_emulator.switches.set(pending_seconds=0, running_seconds=0, chunk_interval=0)
    return creatify_emulator


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner", password="secret")


@cached
def _generated() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture
def document(settings: Any) -> Any:
    """Return the document as a host's drf-spectacular makes it, with the API behind it."""
    settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
    loaded = schemathesis.openapi.from_dict(deepcopy(_generated()))
    loaded.app = get_wsgi_application()
    loaded.config.auth.update(basic=("owner", "secret"))
    return loaded


def operations_of(document: Any) -> dict[str, Any]:
    found = [result.ok() for result in document.get_all_operations() if isinstance(result, Ok)]
    return {operation.label: operation for operation in found}


def test_every_operation_is_tried(document: Any) -> None:
    assert set(operations_of(document)) == set(OPERATIONS)


@pytest.mark.hypothesis
@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_as_documented(remote: Emulator, owner: User, document: Any, label: str) -> None:
    operation = operations_of(document)[label]

    @hypothesis_settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def try_it(case: Any) -> None:
        case.call_and_validate(excluded_checks=EXCLUDED.get(label))

    try_it()


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "{conversation_id}" in label])
def test_answers_as_documented_for_a_conversation_that_is_there(
    remote: Emulator, owner: User, document: Any, label: str
) -> None:
    operation = operations_of(document)[label]
    conversation = Conversation.start(owner=owner)

    @hypothesis_settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def try_it(case: Any) -> None:
        case.path_parameters = {"conversation_id": str(conversation.pk)}
        case.call_and_validate(excluded_checks=SEMANTIC)

    try_it()


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "{generation_id}" in label])
@pytest.mark.parametrize("status", ["queued", "pending", "done"])
def test_answers_as_documented_for_a_row_that_is_there(
    remote: Emulator, owner: User, document: Any, label: str, status: str
) -> None:
    operation = operations_of(document)[label]
    row = make_generation(status=status, owner=owner, remote_id=None)
    case = operation.Case(path_parameters={"generation_id": str(row.pk)})
    case.call_and_validate()
