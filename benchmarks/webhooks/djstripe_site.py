"""The site of dj-stripe's webhook view for `webhook_receipt`, in a separate process.

`python -m benchmarks.webhooks.djstripe_site` creates its tables and the rows that it needs. The
signature is checked as in production. No view here can reach Stripe: the account of the key is a
row, and API calls would go to a port on which nothing listens.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.urls import include, path

from benchmarks.webhooks.djstripe_events import ENDPOINT_ID, SIGNING_SECRET
from tests.databases import database_from_url
from tests.settings import MIDDLEWARE

KEY = "sk_test_" + "0" * 24

settings.configure(
    SECRET_KEY="not-a-secret-but-long-enough-for-a-benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django.contrib.messages",
        "djstripe",
    ],
    MIDDLEWARE=MIDDLEWARE,  # our own site's
    DATABASES={
        "default": database_from_url(os.environ["TEST_DATABASE_URL"]) | {"CONN_MAX_AGE": None}
    },
    STRIPE_TEST_SECRET_KEY=KEY,
    STRIPE_LIVE_MODE=False,
    STRIPE_API_HOST="http://127.0.0.1:9",
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
)
django.setup()

from djstripe.models import Account, APIKey, Event, WebhookEndpoint, WebhookEventTrigger  # noqa: E402

urlpatterns = [path("stripe/", include("djstripe.urls", namespace="djstripe"))]
application = WSGIHandler()


def prepare() -> None:
    call_command("migrate", verbosity=0)
    for model in (WebhookEventTrigger, Event, WebhookEndpoint, APIKey, Account):
        model.objects.all().delete()
    account = Account.objects.create(id="acct_bench", livemode=False)
    APIKey.objects.create(secret=KEY, type="secret", livemode=False, djstripe_owner_account=account)
    WebhookEndpoint.objects.create(
        id="we_bench",
        livemode=False,
        djstripe_uuid=ENDPOINT_ID,
        djstripe_owner_account=account,
        secret=SIGNING_SECRET,
        enabled_events=["*"],
        status="enabled",
        url="https://example.com/stripe/",
    )


if __name__ == "__main__":
    prepare()
