"""System checks: what each finds, what each leaves alone, and that none leaves this process."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from celery import Celery
from django.apps import apps
from django.contrib.auth.backends import BaseBackend
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InMemoryStorage
from django.db import connections

from creatify_textgen.checks import check_deployment, check_values, servers
from creatify_textgen.conf import DEFAULTS, conf
from tests.architecture.source import PACKAGE, ROOT


class RulesBackend(BaseBackend):
    """Grants by its own rules, as django-rules does."""


class ScatteringRouter:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.model_name == "usageday" else None


def rule(user: Any, request: Any, *, door: str) -> None:
    """Allow everything."""


async def rule_that_nobody_awaits(user: Any, request: Any, *, door: str) -> None:
    """Decide nothing."""


ACCOUNT = {"API_ID": "test-api-id", "API_KEY": "test-api-key"}
TYPE = "creatify_textgen.E003"
FILES = "django.core.files.storage.FileSystemStorage"

WRONG_VALUES: list[tuple[str, Any]] = [
    ("DEFAULT_MODEL", ""),
    ("DEFAULT_MODEL", 3),
    ("DEFAULT_MODEL", "m" * 256),
    ("MODELS", "gemini-2.5-flash"),
    ("MODELS", []),
    ("MODELS", [None]),
    ("ALLOW_REMOTE", "no"),
    ("CALLS_AS_TEXT", "no"),
    ("EXTRA_CONFIG", "maybe"),
    ("REST_ACCOUNTS", "default"),
    ("RESTRICT_MODELS", "no"),
    ("WEBHOOK_BASE_URL", "example.com"),
    ("WEBHOOK_BASE_URL", "ftp://example.com"),
    ("WEBHOOK_BASE_URL", "https://user:password@example.com"),
    ("WEBHOOK_BASE_URL", "https://example.com/?a=b"),
    ("WEBHOOK_BASE_URL", "https://example.com:port"),
    ("CONFIRM_WEBHOOKS", None),
    ("POLL_INTERVAL", 0),
    ("POLL_INTERVAL", "2"),
    ("POLL_INTERVAL", True),
    ("POLL_MAX_INTERVAL", float("inf")),
    ("POLL_MAX_INTERVAL", float("nan")),
    ("POLLS_AT_ONCE", 0),
    ("POLLS_AT_ONCE", 2.5),
    ("POLLS_AT_ONCE", True),
    ("SUBMIT_LEASE", -1),
    ("EXPIRE_AFTER", None),
    ("RESEND_UNCONFIRMED", "always"),
    ("RESEND_UNCONFIRMED", ["never"]),
    ("STREAM_BACKEND", "memcached://127.0.0.1"),
    ("STREAM_BACKEND", "memory"),
    ("STREAM_BACKEND", None),
    ("TIMEOUTS", 30),
    ("TIMEOUTS", {"read": 0}),
    ("TIMEOUTS", {"sync": "60"}),
    ("MEDIA_STORAGE", None),
    ("CELERY_QUEUE", ""),
    ("STREAM_QUEUE", 1),
    ("DEFAULT_MODEL", None),
    ("DEFAULT_MODEL", "  "),
    ("DEFAULT_MODEL", ["gemini-2.5-pro"]),
    ("MODELS", None),
    ("MODELS", {"gemini-2.5-pro": "Pro"}),
    ("MODELS", ["gemini-2.5-pro", ""]),
    ("MODELS", ["m" * 256]),
    ("RESTRICT_MODELS", 1),
    ("WEBHOOK_BASE_URL", True),
    ("WEBHOOK_BASE_URL", "https://"),
    ("WEBHOOK_BASE_URL", "https://[::1"),
    ("WEBHOOK_BASE_URL", "https://example.com/#top"),
    ("WEBHOOK_BASE_URL", "https://example.com:99999"),
    ("WEBHOOK_BASE_URL", "//example.com"),
    ("WEBHOOK_BASE_URL", "https://exa mple.com"),
    ("WEBHOOK_BASE_URL", "https://example.com\n"),
    ("WEBHOOK_BASE_URL", ["https://example.com"]),
    ("CONFIRM_WEBHOOKS", "False"),
    ("POLL_INTERVAL", None),
    ("POLL_INTERVAL", 10**400),
    ("POLL_INTERVAL", 2 + 0j),
    ("POLL_MAX_INTERVAL", -60),
    ("SUBMIT_LEASE", float("nan")),
    ("SUBMIT_LEASE", timedelta(seconds=15)),
    ("EXPIRE_AFTER", "1 day"),
    ("EXPIRE_AFTER", float("inf")),
    ("EXPIRE_AFTER", 10**12),
    ("RESEND_UNCONFIRMED", None),
    ("RESEND_UNCONFIRMED", True),
    ("STREAM_BACKEND", ""),
    ("STREAM_BACKEND", "redis:/127.0.0.1"),
    ("STREAM_BACKEND", ["redis://127.0.0.1"]),
    ("STREAM_BACKEND", "redis://127.0.0.1:6379/99x"),
    ("STREAM_BACKEND", "rediss://127.0.0.1:port/1"),
    ("STREAM_BACKEND", "sentinel://127.0.0.1:26379/1"),
    ("ACCOUNTS", "tests.factories.no_such_accounts"),
    ("ACCOUNTS", {"default": "tests.no_such_module.account"}),
    ("TIMEOUTS", None),
    ("TIMEOUTS", {"connect": None}),
    ("TIMEOUTS", {"stream_idle": float("inf")}),
    ("TIMEOUTS", {"read": True}),
    ("MEDIA_STORAGE", ""),
    ("MEDIA_STORAGE", {"BACKEND": "a.b"}),
    ("CELERY_QUEUE", 0),
    ("CELERY_QUEUE", ["celery"]),
    ("STREAM_QUEUE", ""),
    ("ACCOUNTS", 7),
    ("ACCOUNTS", {None: ACCOUNT}),
    ("ACCOUNTS", {"default": ["id", "key"]}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_KEY": "key\r\nX: y"}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_KEY": b"key"}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "BASE_URL": "ftp://api.creatify.ai"}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "BASE_URL": "https://id:key@api.creatify.ai"}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "BASE_URL": 7}}),
    ("ACCOUNTS", ["default"]),
    ("ACCOUNTS", {"default": "key"}),
    ("ACCOUNTS", {"": ACCOUNT}),
    ("ACCOUNTS", {"n" * 65: ACCOUNT}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_KEY": "k\u00e9y"}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_ID": " id"}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_ID": 17}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "BASE_URL": "api.creatify.ai/"}}),
    ("DEFAULT_MODEL", " gemini-2.5-pro"),
    ("DEFAULT_MODEL", "gemini\x00"),
    ("DEFAULT_MODEL", "gemini\ud800"),
    ("MODELS", ["gemini-2.5-pro\n"]),
    ("POLICY", "os.path.join"),
    ("POLICY", "tests.integration.test_checks.rule_that_nobody_awaits"),
    ("POLICY", lambda user, request: None),
    ("POLICY", "tests.raises_when_imported.rule"),
    ("MIN_REMAINING", 10**400),
    ("MIN_REMAINING", Decimal("1e100")),
    ("METRICS_TOKEN", print),
    ("METRICS_TOKEN", "short"),
    ("METRICS_TOKEN", "token-with-a-line-break\n"),
    ("METRICS_TOKEN", "t\u00f6ken.of.the.scrapers.here"),
    ("WEBHOOK_BASE_URL", 0),
    ("WEBHOOK_BASE_URL", []),
    ("WEBHOOK_BASE_URL", "https://ex\u00e4mple.com"),
    ("WEBHOOK_BASE_URL", "https://exa\\mple.com"),
    ("WEBHOOK_BASE_URL", "https://ex<script>.com"),
    ("WEBHOOK_BASE_URL", "https://a..com"),
    ("WEBHOOK_BASE_URL", "https://-a-.com"),
    ("WEBHOOK_BASE_URL", "https://" + 64 * "a" + ".com"),
    ("WEBHOOK_BASE_URL", "https://example.com:0"),
    ("WEBHOOK_BASE_URL", "https://example.com:"),
    ("WEBHOOK_BASE_URL", "https://example.com?"),
    ("STREAM_BACKEND", "MEMORY://"),
    ("STREAM_BACKEND", "Redis://127.0.0.1"),
    ("STREAM_BACKEND", "redis://127.0.0.1:0/1"),
    ("STREAM_BACKEND", "redis://127.0.0.1/1#top"),
    ("STREAM_BACKEND", "redis://127.0. 0.1/1"),
    ("STREAM_BACKEND", "unix://"),
    ("TIMEOUTS", {"read": 86_401}),
    ("CELERY_QUEUE", " "),
    ("CELERY_QUEUE", "celery,streams"),
    ("CELERY_QUEUE", "short tasks"),
    ("CELERY_QUEUE", "tasks\n"),
    ("STREAM_QUEUE", 256 * "q"),
    ("ACCOUNTS", "os.sep"),
    ("ACCOUNTS", {"default": "os.sep"}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_KEY": "os.environ"}}),
    ("ACCOUNTS", {"default": ACCOUNT, "a\x00b": ACCOUNT}),
    ("ACCOUNTS", {"default": ACCOUNT, " ": ACCOUNT}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "BASE_URL": "https://api..ai"}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "BASE_URL": "https://api.creatify.ai:0"}}),
]
RIGHT_VALUES: list[tuple[str, Any]] = [
    *((key, default) for key, default in DEFAULTS.items() if key != "ACCOUNTS"),
    ("WEBHOOK_BASE_URL", "https://example.com"),
    ("STREAM_BACKEND", "rediss://:password@example.com:6380/1"),
    ("STREAM_BACKEND", "redis://127.0.0.1:6379"),
    ("STREAM_BACKEND", "unix:///run/redis.sock?db=2"),
    ("WEBHOOK_BASE_URL", ""),
    ("WEBHOOK_BASE_URL", "http://[::1]:8000/prefix"),
    ("WEBHOOK_BASE_URL", "http://my_site:8000"),
    ("CELERY_QUEUE", "textgen-tasks.short"),
    ("METRICS_TOKEN", "words.with.dots.and.more"),
    ("TIMEOUTS", {"sync": 60.5}),
    ("TIMEOUTS", {}),
    ("ACCOUNTS", lambda: 1 / 0),
    ("ACCOUNTS", {"default": lambda: 1 / 0}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_KEY": lambda: 1 / 0}}),
    ("ACCOUNTS", {"default": {**ACCOUNT, "API_KEY": "vault.secrets.creatify_key"}}),
    ("ACCOUNTS", "vault.accounts"),
    ("WEBHOOK_BASE_URL", "https://texts.shop.svc.cluster.local.:8443"),
    ("ACCOUNTS", {"default": {**ACCOUNT, "BASE_URL": "https://api.creatify.ai./"}}),
]


def ids_of(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id) for message in messages]


def change(settings: Any, **values: Any) -> None:
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": ACCOUNT}, **values}


class TestValues:
    @pytest.mark.parametrize(
        ("key", "value"),
        WRONG_VALUES,
        ids=[f"{key}-{n}" for n, (key, _) in enumerate(WRONG_VALUES)],
    )
    def test_tells_a_wrong_one_with_its_key(self, settings: Any, key: str, value: Any) -> None:
        change(settings, **{key: value})
        messages = check_values()
        assert ids_of(messages) == [TYPE]
        assert f"'{key}'" in messages[0].msg

    @pytest.mark.parametrize(
        ("key", "value"),
        RIGHT_VALUES,
        ids=[f"{key}-{n}" for n, (key, _) in enumerate(RIGHT_VALUES)],
    )
    def test_accepts_a_right_one(self, settings: Any, key: str, value: Any) -> None:
        change(settings, **{key: value})
        assert check_values() == []

    def test_refuses_a_setting_that_is_no_dict(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = ["ACCOUNTS"]
        assert ids_of(check_values() + check_deployment()) == ["creatify_textgen.E001"]

    @pytest.mark.parametrize(
        ("values", "suggestion"),
        [
            ({"POLL_INTERVALL": 3}, "POLL_INTERVAL"),
            ({"stream_backend": "memory://"}, "STREAM_BACKEND"),
            ({"TIMEOUTS": {"raed": 3}}, "read"),
            ({"ACCOUNTS": {"default": {**ACCOUNT, "BASEURL": "https://a.b"}}}, "BASE_URL"),
        ],
    )
    def test_suggests_the_key_that_was_meant(
        self, settings: Any, values: dict[str, Any], suggestion: str
    ) -> None:
        change(settings, **values)
        [message] = check_values()
        assert (message.id, message.hint) == (
            "creatify_textgen.E002",
            f"Did you mean '{suggestion}'?",
        )

    def test_corrects_a_key_of_limits(self, settings: Any) -> None:
        change(settings, LIMITS={"in_fligth": 1})
        [message] = check_values()
        assert (message.id, message.hint) == (
            "creatify_textgen.E002",
            "Did you mean 'in_flight'?",
        )

    @pytest.mark.parametrize(
        "values",
        [
            {"LIMITS": {"sync": -1}},
            {"LIMITS": {"sync": True}},
            {"LIMITS": {"models": "gemini"}},
            {"LIMITS": None},
            {"POLICY": "host.is.gone"},
            {"POLICY": "nowhere"},
            {"POLICY": "creatify_textgen.conf.DEFAULTS"},
            {"POLICY": 1},
            {"POLICY": "tests.integration.control.test_admission.allow_later"},
            {"POLICY": "creatify_textgen.services.submit"},
            {"POLICY": print},
            {"LIMITS": {"in_flight": 10**30}},
            {"LIMITS": {"models": []}},
            {"MIN_REMAINING": -1},
            {"MIN_REMAINING": "50"},
            {"MIN_REMAINING": float("nan")},
            {"CREATE_PERMISSION": "add_generation"},
            {"CREATE_PERMISSION": True},
        ],
        ids=str,
    )
    def test_reports_wrong_control(self, settings: Any, values: dict[str, Any]) -> None:
        change(settings, **values)
        assert TYPE in ids_of(check_values())

    @pytest.mark.parametrize(
        "values",
        [
            {"LIMITS": {"sync": None, "models": ["gemini"], "in_flight": 0}},
            {"POLICY": "tests.integration.test_checks.rule"},
            pytest.param({"POLICY": lambda *args, **kwargs: None}, id="a callable"),
            {"CREATE_PERMISSION": "creatify_textgen.add_generation"},
            {"MIN_REMAINING": 0},
            {"MIN_REMAINING": Decimal("12.5")},
        ],
        ids=str,
    )
    def test_accepts_control(self, settings: Any, values: dict[str, Any]) -> None:
        change(settings, **values)
        assert check_values() == []

    def test_lists_the_keys_where_none_is_near(self, settings: Any) -> None:
        change(settings, COLOR="red")
        [message] = check_values()
        assert "STREAM_BACKEND" in (message.hint or "")

    @pytest.mark.parametrize(
        "values",
        [
            {"POLL_INTERVAL": 90},
            {"RESTRICT_MODELS": True, "MODELS": ["gemini-2.5-pro"]},
            {"REST_ACCOUNTS": ["default", "research"]},
            {"ACCOUNTS": {"default": ACCOUNT, "Default": ACCOUNT}},
        ],
        ids=["intervals", "models", "accounts", "capitals"],
    )
    def test_tells_what_contradicts(self, settings: Any, values: dict[str, Any]) -> None:
        change(settings, **values)
        assert ids_of(check_values()) == ["creatify_textgen.E004"]

    def test_warns_of_missing_credentials(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.CREATIFY_TEXTGEN = {}
        monkeypatch.delenv("CREATIFY_API_ID", raising=False)
        monkeypatch.setenv("CREATIFY_API_KEY", "key")
        [message] = check_values()
        assert message.id == "creatify_textgen.W001"
        assert "API_ID" in message.msg
        assert "CREATIFY_API_ID" in (message.hint or "")

    def test_never_shows_a_key(self, settings: Any) -> None:
        change(settings, ACCOUNTS={"default": {"API_ID": "sentinel\n", "API_KEY": "sentinel\n"}})
        assert "sentinel" not in str(check_values())


class TestDeployment:
    def test_finds_nothing_in_this_host(self, settings: Any) -> None:
        change(settings)
        assert check_deployment() == []

    def test_leaves_wrong_values_to_the_other_check(self, settings: Any) -> None:
        change(settings, WEBHOOK_BASE_URL=3, STREAM_BACKEND=3)
        assert check_deployment() == []

    def test_wants_the_rest_framework_where_the_api_is_mounted(self, settings: Any) -> None:
        change(settings)
        settings.INSTALLED_APPS = [a for a in settings.INSTALLED_APPS if a != "rest_framework"]
        assert ids_of(check_deployment()) == ["creatify_textgen.E010"]

    def test_wants_one_database_for_all_tables(self, settings: Any) -> None:
        settings.DATABASE_ROUTERS = [ScatteringRouter()]
        [message] = check_deployment()
        assert message.id == "creatify_textgen.E015"
        assert "default, elsewhere" in message.msg

    def test_wants_a_database_that_commits(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(settings)
        monkeypatch.setitem(connections.settings["default"], "AUTOCOMMIT", False)
        assert ids_of(check_deployment()) == ["creatify_textgen.E017"]

    @pytest.mark.parametrize("is_shared", [True, False])
    def test_wants_its_tables_where_workers_find_them(
        self, settings: Any, *, is_shared: bool
    ) -> None:
        """Workers are in no tenant's schema."""
        change(settings)
        settings.TENANT_APPS = ["creatify_textgen"]
        settings.SHARED_APPS = ["creatify_textgen"] if is_shared else []
        wanted = [] if is_shared else ["creatify_textgen.E016"]
        assert ids_of(check_deployment()) == wanted

    def test_wants_a_receiver_for_webhooks(self, settings: Any) -> None:
        change(settings, WEBHOOK_BASE_URL="https://example.com")
        settings.ROOT_URLCONF = "tests.integration.no_urls"
        assert ids_of(check_deployment()) == ["creatify_textgen.E011"]

    def test_wants_no_receiver_where_results_are_polled_for(self, settings: Any) -> None:
        change(settings)
        settings.ROOT_URLCONF = "tests.integration.no_urls"
        assert check_deployment() == []

    @pytest.mark.parametrize(
        ("model", "ids"),
        [
            ("gemini-3.1-flash-lite-preview", ["creatify_textgen.W015"]),
            ("gemini-3-flash-preview", []),
            ("of nobody's knowledge", []),
        ],
    )
    def test_warns_of_a_default_model_that_ends(
        self, settings: Any, model: str, ids: list[str]
    ) -> None:
        change(settings, DEFAULT_MODEL=model)
        assert ids_of(check_deployment()) == ids

    @pytest.mark.parametrize(("length", "ids"), [(200, []), (201, ["creatify_textgen.E012"])])
    def test_holds_webhook_urls_to_200_characters(
        self, settings: Any, length: int, ids: list[str]
    ) -> None:
        rest = "https:///textgen/webhooks/" + 36 * "i" + "/" + 32 * "t" + "/"
        host = "h" * 50 + "." + "h" * (length - len(rest) - 51)
        change(settings, WEBHOOK_BASE_URL=f"https://{host}")
        assert ids_of(check_deployment()) == ids

    @pytest.mark.parametrize(
        ("url", "ids"),
        [
            ("http://example.com", ["creatify_textgen.W010"]),
            ("http://192.168.0.2:8000", ["creatify_textgen.W010"]),
            ("http://127.0.0.1:8000", []),
            ("http://[::1]:8000", []),
            ("http://localhost:8000/", []),
            ("http://site.localhost", []),
        ],
    )
    def test_warns_of_http_but_on_loopback(self, settings: Any, url: str, ids: list[str]) -> None:
        change(settings, WEBHOOK_BASE_URL=url)
        assert ids_of(check_deployment()) == ids

    def test_wants_the_media_storage_to_exist(self, settings: Any) -> None:
        change(settings, MEDIA_STORAGE="bucket")
        [message] = check_deployment()
        assert message.id == "creatify_textgen.E013"
        assert "default, staticfiles" in (message.hint or "")

    @pytest.mark.parametrize(
        ("root", "options", "ids"),
        [
            ("", {}, ["creatify_textgen.W020"]),
            ("/srv/media", {}, []),
            ("", {"location": "/srv/media"}, []),
            ("media", {}, ["creatify_textgen.W020"]),
            ("/srv/media", {"location": "media"}, ["creatify_textgen.W020"]),
        ],
        ids=["nowhere", "root", "location", "relative root", "relative location"],
    )
    def test_warns_of_files_below_the_folder_of_the_process(
        self, settings: Any, root: str, options: dict[str, str], ids: list[str]
    ) -> None:
        change(settings)
        files = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": options,
        }
        settings.STORAGES = {**settings.STORAGES, "default": files}
        settings.MEDIA_ROOT = root
        assert ids_of(check_deployment()) == ids

    def test_warns_where_no_celery_app_is_loaded(
        self, settings: Any, host_celery: Celery, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(settings)
        monkeypatch.setattr(host_celery, "main", "default")
        assert ids_of(check_deployment()) == ["creatify_textgen.W011"]

    @pytest.mark.parametrize(
        ("debug", "ids"), [(True, []), (False, ["creatify_textgen.W012"])], ids=["debug", "not"]
    )
    def test_warns_of_eager_tasks_outside_debug(
        self, settings: Any, *, debug: bool, ids: list[str]
    ) -> None:
        change(settings)
        settings.DEBUG = debug
        settings.CELERY_TASK_ALWAYS_EAGER = True
        assert ids_of(check_deployment()) == ids

    @pytest.mark.parametrize(
        ("broker", "visibility", "late", "ids"),
        [
            ("redis://", 60, False, ["creatify_textgen.W013"]),
            ("redis://", 61, False, []),
            ("redis://", 61, True, ["creatify_textgen.W013"]),
            ("rediss://", 141, True, []),
            ("redis://", None, True, []),
            ("amqp://", 1, True, []),
        ],
    )
    def test_compares_the_visibility_timeout(
        self,
        settings: Any,
        *,
        broker: str,
        visibility: int | None,
        late: bool,
        ids: list[str],
    ) -> None:
        change(settings, STREAM_BACKEND="redis://")
        settings.CELERY_BROKER_URL = broker
        options = {"visibility_timeout": visibility} if visibility else {}
        settings.CELERY_BROKER_TRANSPORT_OPTIONS = options
        settings.CELERY_TASK_ACKS_LATE = late
        assert ids_of(check_deployment()) == ids

    @pytest.mark.parametrize("seconds", [None, "soon", {}])
    def test_leaves_a_timeout_that_is_no_number_to_the_check_of_values(
        self, settings: Any, seconds: object
    ) -> None:
        change(settings, STREAM_BACKEND="redis://", TIMEOUTS={"sync": seconds})
        settings.CELERY_BROKER_URL = "redis://"
        settings.CELERY_TASK_ACKS_LATE = True
        assert check_deployment() == []
        assert ids_of(check_values()) == [TYPE]

    @pytest.mark.parametrize("visibility", ["3600", None, True])
    def test_wants_a_number_for_the_visibility_timeout(
        self, settings: Any, visibility: object
    ) -> None:
        change(settings, STREAM_BACKEND="redis://")
        settings.CELERY_BROKER_URL = "redis://"
        settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": visibility}
        assert ids_of(check_deployment()) == [TYPE]

    @pytest.mark.parametrize(
        "address",
        [
            "redis://127.0.0.1/0?nonsense=1",
            "redis://127.0.0.1/0?max_connections=many",
            "redis://127.0.0.1/0?db=x",
            "redis://127.0.0.1/0?ssl_cert_reqs=none",
            "rediss://127.0.0.1/0?ssl_cert_reqs=maybe",
            "unix:///run/redis.sock?db=x",
        ],
    )
    def test_refuses_an_option_that_redis_does_not_take(self, settings: Any, address: str) -> None:
        change(settings, STREAM_BACKEND=address)
        assert ids_of(check_deployment()) == ["creatify_textgen.E021"]

    @pytest.mark.parametrize(
        "broker",
        [
            "redis",
            "redis:/127.0.0.1",
            "redis://127.0.0.1:port",
            "redis://127.0.0.1/99x",
            "amqp://user:s3cret@127.0.0.1:port//",
            "http://127.0.0.1",
            "nonsense://",
        ],
    )
    def test_refuses_a_broker_that_celery_cannot_use(self, settings: Any, broker: str) -> None:
        change(settings, STREAM_BACKEND="redis://")
        settings.CELERY_BROKER_URL = broker
        [message] = check_deployment()
        assert message.id == "creatify_textgen.E022"
        assert "s3cret" not in str(message)

    @pytest.mark.parametrize(
        "broker",
        ["redis+socket:///run/redis.sock", "sentinel://127.0.0.1:26379", "redis://127.0.0.1//3"],
    )
    def test_accepts_what_celery_accepts(self, settings: Any, broker: str) -> None:
        change(settings, STREAM_BACKEND="redis://")
        settings.CELERY_BROKER_URL = broker
        assert check_deployment() == []

    def test_knows_the_visibility_of_sqs(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # It needs boto3, which is not installed here.
        monkeypatch.setattr(servers, "_try_broker_url", lambda: None)
        change(settings, STREAM_BACKEND="redis://", POLL_MAX_INTERVAL=1800)
        settings.CELERY_BROKER_URL = "sqs://"
        assert ids_of(check_deployment()) == ["creatify_textgen.W013"]

    @pytest.mark.parametrize(
        "storage",
        [
            {},
            None,
            "django.core.files.storage.InMemoryStorage",
            {"BACKEND": "tests.no_such_module.Storage"},
            {"BACKEND": FILES, "OPTIONS": None},
            {"BACKEND": FILES, "OPTIONS": {"bucket": "b"}},
        ],
        ids=str,
    )
    def test_refuses_a_storage_that_cannot_be_made(self, settings: Any, storage: Any) -> None:
        change(settings)
        settings.STORAGES = {**settings.STORAGES, "default": storage}
        assert ids_of(check_deployment()) == ["creatify_textgen.E019"]

    @pytest.mark.parametrize("error", [ConnectionRefusedError(), ImproperlyConfigured("no token")])
    def test_warns_of_a_storage_that_needs_its_server(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        change(settings)

        def connect(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(InMemoryStorage, "__init__", connect)
        memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        settings.STORAGES = {**settings.STORAGES, "default": memory}
        assert ids_of(check_deployment()) == ["creatify_textgen.W025"]

    @pytest.mark.parametrize(
        "caches", [{"other": {}}, {"default": {"BACKEND": "tests.no_such_module.Cache"}}], ids=str
    )
    def test_refuses_a_cache_that_cannot_be_made(self, settings: Any, caches: Any) -> None:
        change(settings)
        settings.CACHES = caches
        assert ids_of(check_deployment()) == ["creatify_textgen.E020"]

    @pytest.mark.parametrize(
        ("name", "answer", "id_"),
        [
            ("db_for_write", "gone", "creatify_textgen.E018"),
            ("db_for_read", "gone", "creatify_textgen.E018"),
            ("allow_migrate", False, "creatify_textgen.W022"),
        ],
    )
    def test_looks_where_routers_lead(
        self, settings: Any, name: str, answer: Any, id_: str
    ) -> None:
        change(settings)
        router = type("Router", (), {name: lambda *args, **hints: answer})
        settings.DATABASE_ROUTERS = [router()]
        assert ids_of(check_deployment()) == [id_]

    @pytest.mark.parametrize(
        ("permission", "ids"),
        [
            ("creatify_textgen.add_generation", []),
            ("auth.view_user", []),
            ("creatify_textgen.generate", ["creatify_textgen.W023"]),
            ("gone.add_thing", ["creatify_textgen.W023"]),
        ],
    )
    def test_warns_of_a_permission_that_nobody_has(
        self, settings: Any, permission: str, ids: list[str]
    ) -> None:
        change(settings, CREATE_PERMISSION=permission)
        assert ids_of(check_deployment()) == ids

    @pytest.mark.parametrize(
        "backends", [[f"{__name__}.RulesBackend"], ["tests.no_such_module.Backend"], []], ids=str
    )
    def test_leaves_permissions_to_other_backends(self, settings: Any, backends: list[str]) -> None:
        change(settings, CREATE_PERMISSION="shop.may_ask")
        settings.AUTHENTICATION_BACKENDS = backends
        assert check_deployment() == []

    @pytest.mark.parametrize("hosts", [["*"], ["web_1"]], ids=str)
    def test_names_a_host_that_django_never_allows(self, settings: Any, hosts: list[str]) -> None:
        change(settings, WEBHOOK_BASE_URL="https://web_1")
        settings.ALLOWED_HOSTS = hosts
        [message] = check_deployment()
        assert (message.id, "'web_1'" in message.msg) == ("creatify_textgen.W024", True)

    @pytest.mark.parametrize(
        ("hosts", "debug", "ids"),
        [
            (["example.com"], False, ["creatify_textgen.W024"]),
            ([".example.org"], False, []),
            (["*"], False, []),
            ([], True, ["creatify_textgen.W024"]),
        ],
        ids=str,
    )
    def test_warns_of_a_host_that_django_refuses(
        self, settings: Any, *, hosts: list[str], debug: bool, ids: list[str]
    ) -> None:
        change(settings, WEBHOOK_BASE_URL="https://www.example.org:8443")
        settings.ALLOWED_HOSTS, settings.DEBUG = hosts, debug
        assert ids_of(check_deployment()) == ids

    @pytest.mark.parametrize("kind", ["SHARED_APPS", "TENANT_APPS"])
    def test_accepts_that_there_are_no_tenants(self, settings: Any, kind: str) -> None:
        change(settings)
        setattr(settings, kind, None)
        assert check_deployment() == []


class TestMemoryStreams:
    def test_are_refused_beside_more_than_one_web_process(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(settings)
        monkeypatch.setenv("WEB_CONCURRENCY", "2")
        assert ids_of(check_deployment()) == ["creatify_textgen.E014"]

    def test_are_fine_in_one_web_process(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(settings)
        monkeypatch.setenv("WEB_CONCURRENCY", "1")
        assert check_deployment() == []

    @pytest.mark.parametrize("broker", ["redis://", "amqp://", "rediss://"])
    def test_draw_a_warning_beside_workers_of_their_own(self, settings: Any, broker: str) -> None:
        change(settings)
        settings.CELERY_BROKER_URL = broker
        assert ids_of(check_deployment()) == ["creatify_textgen.W014"]

    def test_are_fine_under_debug(self, settings: Any) -> None:
        change(settings)
        settings.DEBUG = True
        settings.CELERY_BROKER_URL = "redis://"
        assert check_deployment() == []


class TestRegistration:
    def test_runs_both_under_the_apps_tag(self, settings: Any) -> None:
        change(settings, MEDIA_STORAGE="bucket", COLOR="red")
        ids = ids_of(run_checks(tags=["creatify_textgen"]))
        assert sorted(ids) == ["creatify_textgen.E002", "creatify_textgen.E013"]

    def test_has_the_tasks_registered_in_web_processes(self, host_celery: Celery) -> None:
        names = {"submit", "stream", "sweep", "reconcile"}
        assert {f"creatify_textgen.{name}" for name in names} <= set(host_celery.tasks)

    def test_documents_each_id(self) -> None:
        sources = (PACKAGE / "checks").glob("*.py")
        known = re.findall(
            r"creatify_textgen\.([EW]\d{3})", "".join(path.read_text() for path in sources)
        )
        reported = re.findall(
            r"^\| `([EW]\d{3})`", (ROOT / "docs/reference/settings.md").read_text(), re.M
        )
        assert sorted(set(known)) == sorted(reported)


class TestAccounts:
    def test_need_one_named_default(self, settings: Any) -> None:
        change(settings, ACCOUNTS={"research": ACCOUNT})
        assert "creatify_textgen.W018" in ids_of(check_values())

    @pytest.mark.parametrize(
        ("url", "ids"),
        [
            ("http://api.example.com", ["creatify_textgen.W021"]),
            ("HTTP://api.example.com", ["creatify_textgen.W021"]),
            ("http://127.0.0.1:9", []),
        ],
    )
    def test_are_warned_of_keys_without_encryption(
        self, settings: Any, url: str, ids: list[str]
    ) -> None:
        change(settings, ACCOUNTS={"default": {**ACCOUNT, "BASE_URL": url}})
        assert ids_of(check_values()) == ids

    @pytest.mark.parametrize("value", [b"key", {"key": 1}, 7], ids=str)
    @pytest.mark.parametrize("key", ["API_ID", "API_KEY", "BASE_URL"])
    def test_take_only_text_from_a_callable(self, settings: Any, key: str, value: Any) -> None:
        change(settings, ACCOUNTS={"default": {**ACCOUNT, key: lambda: value}})
        with pytest.raises(ImproperlyConfigured, match="must be text"):
            conf.account("default")

    @pytest.mark.parametrize("key", ["API_ID", "API_KEY", "BASE_URL"])
    def test_are_warned_of_a_path_that_leads_nowhere(self, settings: Any, key: str) -> None:
        path = "tests.factories.no_such_secret"
        change(settings, ACCOUNTS={"default": {**ACCOUNT, key: path}})
        found = [message for message in check_values() if message.id == "creatify_textgen.W019"]
        assert [key in message.msg for message in found] == [True]
        assert path not in str(found)

    def test_say_which_module_raised_when_it_was_imported(self, settings: Any) -> None:
        change(
            settings, ACCOUNTS={"default": {**ACCOUNT, "API_KEY": "tests.raises_when_imported.k"}}
        )
        assert "creatify_textgen.W019" in ids_of(check_values())
        with pytest.raises(ImproperlyConfigured, match="raised RuntimeError"):
            conf.account("default")

    @pytest.mark.parametrize("value", [".abc", "abc.", "a..b", "..a", ".", "json.1oads"])
    @pytest.mark.parametrize("key", ["API_ID", "API_KEY"])
    def test_are_taken_as_they_are_if_they_cannot_be_a_path(
        self, settings: Any, key: str, value: str
    ) -> None:
        change(settings, ACCOUNTS={"default": {**ACCOUNT, key: value}})
        assert ids_of(check_values()) == []
        assert getattr(conf.account("default"), key.lower()) == value

    @pytest.mark.parametrize("value", ["k3y.with.dots", "tests.factories.make_generation"])
    def test_are_not_warned_of_another_value_with_dots(self, settings: Any, value: str) -> None:
        change(settings, ACCOUNTS={"default": {**ACCOUNT, "API_KEY": value}})
        assert ids_of(check_values()) == []


class TestMetrics:
    def test_warns_of_counts_that_processes_do_not_share(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(apps, "is_installed", lambda name: True)
        monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
        assert "creatify_textgen.W017" in ids_of(check_deployment())
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/run/textgen")
        assert "creatify_textgen.W017" not in ids_of(check_deployment())
