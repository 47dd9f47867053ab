"""The page on which a person decides about a generation that may have been charged."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from creatify_textgen import databases, services
from creatify_textgen.admin.rendering import admin_path, show_control_chars
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.models import Generation
from creatify_textgen.states import Decision

__all__ = ["settle_page"]


class SettlementForm(forms.Form):
    """What was found out. The service checks it against the row and the remote."""

    decision = forms.ChoiceField(
        label=gettext_lazy("What became of it"), choices=Decision.choices, widget=forms.RadioSelect
    )
    credits_used = forms.CharField(
        label=gettext_lazy("Credits"),
        required=False,
        max_length=40,
        help_text=gettext_lazy(
            "The cost, if it was charged. Empty means unknown, which is not zero."
        ),
    )
    remote_id = forms.CharField(
        label=gettext_lazy("Id at the remote"),
        required=False,
        max_length=64,
        help_text=gettext_lazy(
            "Its id at Creatify, if it was found. It must have the same request."
        ),
    )


@databases.outside_transactions
@require_http_methods(["GET", "HEAD", "POST"])
def settle_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> HttpResponse:
    if not model_admin.has_operate_permission(request):
        raise PermissionDenied
    # Whether this row can be settled is asked by `services.settle`, not here.
    row = get_object_or_404(model_admin.get_queryset(request), pk=generation_id)
    form = SettlementForm(request.POST or None)
    if form.is_valid() and (settled := _settle(request, row, form)):
        decision = Decision(form.cleaned_data["decision"]).label
        text = _("Generation %(id)s was settled as “%(decision)s”.")
        text %= {"id": row.pk, "decision": decision}
        model_admin.log_change(request, settled, text)
        messages.success(request, text)
        site = model_admin.admin_site.name
        return redirect(admin_path("generation_change", site=site, key=row.pk))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("What became of it?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "row": row,
        "sent_at": row.first_submitted_at or row.created_at,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "creatify_textgen/admin/settlement.html", context)


def _settle(request: HttpRequest, row: Generation, form: SettlementForm) -> Generation | None:
    """Return the settled row; None if the decision was refused: then the form has the errors."""
    decided = form.cleaned_data
    try:
        return services.settle(
            row,
            decision=decided["decision"],
            # As text, because a float would change the amount.
            credits_used=decided["credits_used"] or None,
            remote_id=decided["remote_id"],
            by=request.user,
        )
    except RequestError as error:
        # Before TextgenError, of which it is one: its paths lead to fields of the form.
        for name, rules in error.errors.items():
            form.add_error(name if name in form.fields else None, rules)
    except (TextgenError, ImproperlyConfigured) as error:
        form.add_error(None, show_control_chars(str(error)))
    return None
