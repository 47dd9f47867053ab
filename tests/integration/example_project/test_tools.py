"""The assistant's functions: an e-mail goes to a user of the site, or to nobody."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core import mail

from example_project.tools import send_email

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _users() -> None:
    User.objects.create_user("ada", "ada@example.com")
    User.objects.create_user("no address")


def test_writes_to_a_user() -> None:
    assert send_email("ada@example.com", "Hello") == "Sent to ada@example.com."
    assert [sent.to for sent in mail.outbox] == [["ada@example.com"]]


@pytest.mark.parametrize("to", ["", "bob@example.com"])
def test_writes_to_nobody_else(to: str) -> None:
    with pytest.raises(ValueError, match="No user of this site"):
        send_email(to, "Hello")
    assert mail.outbox == []
