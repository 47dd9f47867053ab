"""Staff of a site, each with just some permissions, and rows whose every text is hostile."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, Media
from tests import factories

HISTORY = "/admin/creatify_textgen/generation/"
EVERYTHING = ("view_generation", "view_content", "operate_generation", "delete_generation")
SCRIPT = "<script>alert(1)</script>"
OVERRIDE = "\u202egnp.exe"


@pytest.fixture(autouse=True)
def _forget_balances_and_tickets() -> None:
    cache.clear()


@pytest.fixture
def staff_with(db: None) -> Callable[..., Client]:
    """Return a client of a staff member who has only these permissions of the app."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff-{uuid.uuid4()}", is_staff=True)
        ours = Permission.objects.filter(content_type__app_label="creatify_textgen")
        user.user_permissions.set(ours.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def operator(staff_with: Callable[..., Client]) -> Client:
    return staff_with(*EVERYTHING, "export_generation", "view_credits")


@pytest.fixture
def remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    """Return the emulator, which the site's account now leads to."""
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    return creatify_emulator


def page_of(generation: Generation, *, action: str = "change") -> str:
    return f"{HISTORY}{generation.pk}/{action}/"


def make_done(**fields: Any) -> Generation:
    """Save a finished generation."""
    row = {"status": "done", "credits_used": Decimal("0.0005"), "finished_at": factories.NOW}
    content = {"response_text": "Good day.", **fields.pop("content", {})}
    return factories.make_generation(content=content, **{**row, "excerpt": "Hello", **fields})


def make_media(**fields: Any) -> Media:
    digest = uuid.uuid4().hex * 2
    row = {"kind": "image", "mime_type": "image/png", "size": 9, "sha256": digest, "path": digest}
    return Media.objects.create(**{**row, **fields})


def make_hostile() -> Generation:
    """Save a generation in which every text tries to become markup."""
    generation = make_done(
        excerpt=f"{SCRIPT}{OVERRIDE}",
        model_name=SCRIPT,
        model_version=SCRIPT,
        finish_reason=SCRIPT,
        error_code=SCRIPT[:40],
        remote_id=SCRIPT,
        metadata={SCRIPT: SCRIPT},
        content={
            "response_text": f'{{"a": "{SCRIPT}"}}',
            "response_thoughts": SCRIPT,
            "response_function_calls": [{"name": SCRIPT, "args": {"a": SCRIPT}}, SCRIPT, None],
            "failed_reason": f"{SCRIPT}\x1b[31m",
            "system_instruction": SCRIPT,
            "config": {SCRIPT: SCRIPT},
            "tools": [{"function_declarations": [{"name": SCRIPT}]}],
            "usage": {SCRIPT: {SCRIPT: SCRIPT}},
            "citations": [
                {"uri": "javascript:alert(1)", "title": SCRIPT},
                {"uri": f'https://example.com/"{SCRIPT}', "title": OVERRIDE},
                SCRIPT,
            ],
        },
    )
    generation.content.messages = [
        {"role": SCRIPT, "content": f"{SCRIPT}{OVERRIDE}"},
        {"role": "user", "content": [{"type": "text", "text": SCRIPT}, {"type": SCRIPT}, SCRIPT]},
        {"role": "user", "content": [{"type": "image", "mime_type": SCRIPT, "media": SCRIPT}]},
        {"role": "model", "function_call": {"name": SCRIPT, "args": {SCRIPT: SCRIPT}}},
        {"role": "user", "function_response": {"name": SCRIPT, "response": {SCRIPT: SCRIPT}}},
        SCRIPT,
    ]
    generation.content.save()
    at, detail = factories.NOW, f"{SCRIPT}{OVERRIDE}"
    generation.events.create(at=at, status="done", cause="poll", detail=detail)
    return generation
