"""The host site, and beside our admin one with Django's own `ModelAdmin` for the same rows."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from creatify_textgen.models import Generation
from tests.urls import urlpatterns as site_urlpatterns

__all__ = ["urlpatterns"]

stock_site = admin.AdminSite("stock")


@admin.register(Generation, site=stock_site)
class StockAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What a developer writes in ten lines: columns and filters as in our list."""

    list_display = (
        "created_at",
        "status",
        "excerpt",
        "owner",
        "model_name",
        "mode",
        "credits_used",
    )
    list_filter = ("status", "mode", "model_name", "error_code", "account")
    list_select_related = ("owner",)
    search_fields = ("id", "remote_id", "excerpt")
    date_hierarchy = "created_at"


urlpatterns = [*site_urlpatterns, path("stock/", stock_site.urls)]
