"""Everything behind the login, every request a transaction."""

from tests.settings import *  # noqa: F403

MIDDLEWARE = [*MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]  # noqa: F405
DATABASES = {"default": {**DATABASES["default"], "ATOMIC_REQUESTS": True}}  # noqa: F405
