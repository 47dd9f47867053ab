"""A site with django-tenants: one schema for each renter, and this app in the public one."""

import os

from tests.databases import database_from_url
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as APPS
from tests.settings import MIDDLEWARE as LAYERS

URL = os.environ["TEST_POSTGRES_URL"]
DATABASES = {
    "default": {**database_from_url(URL), "ENGINE": "django_tenants.postgresql_backend"},
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
SHARED_APPS = ["django_tenants", "tests.hosts.renters", *APPS]
TENANT_APPS = ["django.contrib.sites"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
MIGRATION_MODULES = {"renters": None}
TENANT_MODEL = "renters.Renter"
TENANT_DOMAIN_MODEL = "renters.Domain"
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware", *LAYERS]
