from __future__ import annotations

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Renter(TenantMixin):
    name = models.CharField(max_length=20)
    auto_create_schema = True

    class Meta:
        app_label = "renters"


class Domain(DomainMixin):
    class Meta:
        app_label = "renters"
