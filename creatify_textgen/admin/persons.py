"""Erase or export everything of a person: a page, and two actions of the history for its owners."""

from __future__ import annotations

import tempfile
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from creatify_textgen import databases, services
from creatify_textgen.admin.permissions import may_view_content, may_view_generations
from creatify_textgen.admin.rendering import render_name
from creatify_textgen.models import Generation
from creatify_textgen.permissions import is_staff_with

__all__ = ["PERSON_ACTIONS", "PersonsMixin", "person_page", "record_read"]

# Each is counted for the confirmation and erased in the request of the person who confirms.
MOST_PERSONS = 20
CONFIRMED = "erase_confirmed"
SHOWN = "erase_shown"
"""The keys of the persons that the confirmation has shown."""
IN_MEMORY_BYTES = 1024 * 1024


class PersonsMixin:
    """Who may use the two actions."""

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return may_view_generations(request) and is_staff_with(request.user, "erase_generation")

    def has_export_person_permission(self, request: HttpRequest) -> bool:
        # An export of a person has content.
        return may_view_content(request) and is_staff_with(request.user, "export_generation")


def record_read(request: HttpRequest, generation: Generation) -> None:
    services.record_reads([generation], by=request.user, where="the admin")


@admin.action(description=gettext_lazy("Erase everything of their owners"), permissions=["erase"])
def erase_owners(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> HttpResponse | None:
    """Show what would be erased, then erase it once that is confirmed."""
    owners = _owners(request, queryset)
    if not owners:
        return None
    if request.POST.get(CONFIRMED):
        # The filters may find rows of other owners by now, whom the page has not shown.
        shown = set(request.POST.getlist(SHOWN))
        for owner in owners:
            if str(owner.pk) in shown:
                _erase(request, owner)
        return None
    names = ("action", "select_across", ACTION_CHECKBOX_NAME)
    kept = [(name, value) for name in names for value in request.POST.getlist(name)]
    kept += [(SHOWN, str(owner.pk)) for owner in owners]
    return _ask(request, model_admin, owners, hidden=kept)


def _ask(
    request: HttpRequest, model_admin: Any, owners: list[Any], *, hidden: list[tuple[str, str]]
) -> HttpResponse:
    """Show what would be erased, with a form that repeats the request as a confirmation."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Erase everything of these persons?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "persons": [(render_name(owner), services.erase(owner, dry_run=True)) for owner in owners],
        "hidden": [*hidden, (CONFIRMED, "yes")],
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "creatify_textgen/admin/erase_confirmation.html", context)


class PersonForm(forms.Form):
    """The person to export or to erase."""

    person = forms.CharField(
        label=gettext_lazy("User name"),
        max_length=254,
        strip=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text=gettext_lazy(
            "The name with which the user signs in. The next page shows what will be erased."
        ),
    )

    def clean_person(self) -> Any:
        written = self.cleaned_data["person"]
        # A name may begin or end with a space; mostly a space was copied by mistake.
        for name in dict.fromkeys((written, written.strip())):
            if (person := _find_person(name)) is not None:
                return person
        raise forms.ValidationError(_("There is no user of this name."))


def _find_person(name: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get(**{getattr(model, "USERNAME_FIELD", "pk"): name})
    except (model.DoesNotExist, ValueError, ValidationError):
        # A host's own name may be a number or a UUID.
        return None


# To erase is many short transactions, and an export of gigabytes must not keep one open.
@databases.outside_transactions
@require_http_methods(["GET", "HEAD", "POST"])
def person_page(request: HttpRequest, *, model_admin: Any) -> HttpResponse | FileResponse:
    """Find a person by name; a POST exports, or erases once that is confirmed."""
    may_erase = model_admin.has_erase_permission(request)
    may_export = model_admin.has_export_person_permission(request)
    if not (may_erase or may_export):
        raise PermissionDenied
    form = PersonForm(request.POST or None)
    if form.is_valid():
        person = form.cleaned_data["person"]
        action = request.POST.get("action")
        if not (may_export if action == "export" else may_erase):
            raise PermissionDenied
        if action == "export":
            return _export(request, person)
        if not request.POST.get(CONFIRMED):
            return _ask(request, model_admin, [person], hidden=[("person", form.data["person"])])
        _erase(request, person)
        return HttpResponseRedirect(request.path)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Export or erase everything of a user"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "may_erase": may_erase,
        "may_export": may_export,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "creatify_textgen/admin/person.html", context)


@admin.action(
    description=gettext_lazy("Export everything of their owner"), permissions=["export_person"]
)
def export_owner(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> FileResponse | None:
    """Answer with a ZIP of one person's data."""
    owners = _owners(request, queryset)
    if len(owners) != 1:
        if owners:
            messages.error(request, _("Select generations of one owner only."))
        return None
    return _export(request, owners[0])


def _export(request: HttpRequest, person: Any) -> FileResponse:
    # Django closes it once it is sent.
    file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
    services.export(person, file, by=request.user)
    file.seek(0)
    headers = {"Cache-Control": "private, no-store"}
    return FileResponse(
        file, as_attachment=True, filename=f"person-{person.pk}.zip", headers=headers
    )


def _owners(request: HttpRequest, queryset: QuerySet[Generation]) -> list[Any]:
    """Return the owners of these rows; none, and a message, if there are none or too many."""
    keys = queryset.order_by().exclude(owner=None).values("owner_id").distinct()
    users = get_user_model()._default_manager.filter(pk__in=keys)
    owners = list(users.order_by("pk")[: MOST_PERSONS + 1])
    if not owners:
        messages.error(request, _("Nothing was done: these generations have no owner."))
    elif len(owners) > MOST_PERSONS:
        text = _("Nothing was done: these have more than %(count)d owners.")
        messages.error(request, text % {"count": MOST_PERSONS})
        owners = []
    return owners


def _erase(request: HttpRequest, owner: Any) -> None:
    report = services.erase(owner, by=request.user)
    text = _("%(person)s: content of %(generations)d generations and %(media)d files was erased.")
    counts = {"generations": report.generations, "media": report.media}
    messages.success(request, text % {"person": render_name(owner), **counts})
    if report.still_open:
        text = _("%(count)d of them have not ended. Their content goes when they end.")
        messages.warning(request, text % {"count": report.still_open})


PERSON_ACTIONS = (erase_owners, export_owner)
