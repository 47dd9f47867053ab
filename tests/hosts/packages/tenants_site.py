"""Two renters make requests, and a worker without a schema works them off.

Run by `test_tenants`, in a database that it has made.
"""

from __future__ import annotations

from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django_tenants.utils import schema_context, tenant_context  # noqa: E402

from creatify_textgen import clock, services  # noqa: E402
from creatify_textgen.emulator import Emulator  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402
from tests.hosts.renters.models import Domain, Renter  # noqa: E402


def make_renter(name: str) -> Renter:
    renter = Renter.objects.create(name=name, schema_name=name)
    Domain.objects.create(domain=f"{name}.example.com", tenant=renter, is_primary=True)
    return renter


def client_of(renter: Renter, user: Any) -> Client:
    client = Client(headers={"Host": f"{renter.name}.example.com"})
    client.force_login(user)
    return client


def work_off() -> None:
    """As a worker does: its connection has no renter."""
    with schema_context("public"):
        for row in Generation.objects.filter(status="queued"):
            services.send_generation(row.pk)
        Generation.objects.exclude(status="done").update(due_at=clock.now())
        services.sweep()


def main() -> None:
    call_command("migrate_schemas", shared=True, verbosity=0)
    with connection.schema_editor() as editor:
        for model in (Renter, Domain):
            editor.create_model(model)
    renters = [make_renter(name) for name in ("red", "blue")]
    call_command("check", fail_level="ERROR")
    body = {"messages": "Hello"}
    clients = []
    for renter in renters:
        client = client_of(renter, User.objects.create_user(renter.name))
        answer = client.post("/textgen/generations/", body, content_type="application/json")
        assert answer.status_code == 202, answer.content
        clients.append((client, answer["Location"]))
    work_off()
    for client, path in clients:
        assert client.get(path).json()["status"] == "done"
    assert clients[0][0].get(clients[1][1]).status_code == 404
    for renter in renters:
        with tenant_context(renter):
            stream = services.stream("Hello", owner=User.objects.get(username=renter.name))
            assert "".join(chunk.text for chunk in stream)
            assert stream.generation.reloaded().status == "done"
            assert connection.schema_name == renter.schema_name
    with schema_context("public"):
        assert Generation.objects.filter(status="done").count() == 4


with Emulator(pending_seconds=0, running_seconds=0) as remote:
    account = settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"]
    account["BASE_URL"] = remote.url
    main()
print("well")  # noqa: T201
