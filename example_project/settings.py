"""Settings of the example site, all from the environment; docs/production.md tells each.

Without a single variable it is a site for one developer: SQLite, DEBUG, one process.
"""

from __future__ import annotations

from pathlib import Path

from example_project.environment import cache, database, flag, items, number, text

ROOT = Path(__file__).resolve().parent.parent

# A site that was given no secret is nobody's production.
DEBUG = flag("DJANGO_DEBUG", default=not text("DJANGO_SECRET_KEY"))
SECRET_KEY = text("DJANGO_SECRET_KEY", "insecure, for development only" if DEBUG else "")
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

# Behind a proxy that speaks TLS and sets X-Forwarded-Proto itself.
if flag("DJANGO_BEHIND_TLS", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

CELERY_BROKER_URL = text("CELERY_BROKER_URL", "memory://")
if CELERY_BROKER_URL.startswith("memory://"):
    # Or its worker, a thread of the same process, looks for messages only once a second.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.05}
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# The safety net: generations arm their own sweeps, and this finds what a crash left behind.
CELERY_BEAT_SCHEDULE = {
    "textgen-sweep": {"task": "creatify_textgen.sweep", "schedule": 60.0},
    "textgen-reconcile": {
        "task": "creatify_textgen.reconcile",
        "schedule": 86400.0,
        "kwargs": {"fix": True},
    },
}

# Credentials are read from CREATIFY_API_ID, CREATIFY_API_KEY and CREATIFY_BASE_URL.
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
    # Without Django's own handlers: each line once, in one form.
    "loggers": {"django": {"level": text("LOG_LEVEL", "INFO")}},
}
