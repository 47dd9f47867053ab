"""Settings of the example site, from environment variables: see docs/how-to/production.md.

With DJANGO_DEBUG=1 alone it is a site for one developer: SQLite, one process.
"""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from example_project.environment import cache, database, flag, items, number, text

ROOT = Path(__file__).resolve().parent.parent

DEBUG = flag("DJANGO_DEBUG", default=False)
SECRET_KEY = text("DJANGO_SECRET_KEY", "insecure, for development only" if DEBUG else "")
if not SECRET_KEY:
    # Never a default: with a key that others know, they sign sessions and webhook URLs.
    raise ImproperlyConfigured(
        "Set DJANGO_SECRET_KEY to a secret text. For development alone, set DJANGO_DEBUG=1 instead."
    )
SECRET_KEY_FALLBACKS = items("DJANGO_SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = items("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if DEBUG else "")
CSRF_TRUSTED_ORIGINS = items("DJANGO_CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "creatify_textgen",
    "example_project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "example_project.urls"
ASGI_APPLICATION = "example_project.asgi.application"
WSGI_APPLICATION = "example_project.wsgi.application"
LOGIN_URL = "admin:login"

DATABASES = {"default": database("DATABASE_URL", default=f"sqlite:///{ROOT}/example.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": cache("CACHE_URL")}

USE_TZ = True
TIME_ZONE = text("TIME_ZONE", "UTC")

STATIC_URL = "static/"
STATIC_ROOT = text("STATIC_ROOT", str(ROOT / "staticfiles"))
MEDIA_ROOT = text("MEDIA_ROOT", str(ROOT / "media"))

# Only behind a proxy that handles TLS and always sets X-Forwarded-Proto.
if flag("DJANGO_BEHIND_TLS", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

# With DEBUG the assistant's e-mails are printed, not sent.
EMAIL_BACKEND = f"django.core.mail.backends.{'console' if DEBUG else 'smtp'}.EmailBackend"
EMAIL_HOST = text("EMAIL_HOST", "localhost")
DEFAULT_FROM_EMAIL = text("DEFAULT_FROM_EMAIL", "webmaster@localhost")

CELERY_BROKER_URL = text("CELERY_BROKER_URL", "memory://")
if CELERY_BROKER_URL.startswith("memory://"):
    # By default the worker, a thread of the same process, checks for messages once a second.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.05}
CELERY_TASK_IGNORE_RESULT = True
# LOGGING holds in workers, too. The lines of Celery's own handlers do not name the logger.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Unfinished generations schedule their sweeps. This finds what a crash left behind.
CELERY_BEAT_SCHEDULE = {
    "textgen-sweep": {"task": "creatify_textgen.sweep", "schedule": 60.0},
    "textgen-reconcile": {
        "task": "creatify_textgen.reconcile",
        "schedule": 86400.0,
        "kwargs": {"fix": True},
    },
}

# The keys come from CREATIFY_API_ID, CREATIFY_API_KEY and CREATIFY_BASE_URL.
CREATIFY_TEXTGEN = {
    "WEBHOOK_BASE_URL": text("TEXTGEN_WEBHOOK_BASE_URL") or None,
    "STREAM_BACKEND": text("TEXTGEN_STREAM_BACKEND", "memory://"),
    "CELERY_QUEUE": text("TEXTGEN_CELERY_QUEUE") or None,
    "STREAM_QUEUE": text("TEXTGEN_STREAM_QUEUE") or None,
    "POLL_INTERVAL": number("TEXTGEN_POLL_INTERVAL", 2),
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO")},
    # Without Django's handlers, so that each line is logged once.
    "loggers": {"django": {"level": text("LOG_LEVEL", "INFO")}},
}
