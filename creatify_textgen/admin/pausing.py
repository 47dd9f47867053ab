"""The page that stops all sending, or that of one account, and starts it again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from creatify_textgen import clock, services
from creatify_textgen.admin.permissions import may_pause, may_view_generations
from creatify_textgen.admin.rendering import admin_path, named, show_control_chars
from creatify_textgen.conf import conf
from creatify_textgen.models import Pause

__all__ = ["pause_page"]

ALL_ACCOUNTS = gettext_lazy("All accounts")
LONGEST_REASON = 500


class PauseForm(forms.Form):
    """Which account, and why."""

    account = forms.ChoiceField(label=gettext_lazy("Account"), required=False)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=LONGEST_REASON,
        help_text=gettext_lazy("For your colleagues; they see it on every page."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        account: Any = self.fields["account"]
        names = list(conf.accounts)
        if self.data.get("action") == "resume":
            # An account may have been removed from the settings while it was paused.
            names += Pause.objects.exclude(account="").values_list("account", flat=True)
        account.choices = [("", ALL_ACCOUNTS), *named(names)]


@require_http_methods(["GET", "HEAD", "POST"])
def pause_page(request: HttpRequest, *, model_admin: Any) -> HttpResponse:
    """Show what is paused. A POST pauses, or resumes if its `action` is `resume`."""
    # Those who see that generations wait may also see why.
    if not (may_pause(request) or may_view_generations(request)):
        raise PermissionDenied
    form = PauseForm(request.POST or None)
    if request.method == "POST":
        if not may_pause(request):
            raise PermissionDenied
        if form.is_valid():
            _act(request, model_admin, **form.cleaned_data)
            return HttpResponseRedirect(_next(request, site=model_admin.admin_site.name))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Pause sending"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "pauses": Pause.objects.current(now=clock.now()),
        "may_pause": may_pause(request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "creatify_textgen/admin/pause.html", context)


def _act(request: HttpRequest, model_admin: Any, *, account: str, reason: str) -> None:
    subject = show_control_chars(account) or ALL_ACCOUNTS
    if request.POST.get("action") == "resume":
        if not services.resume_sending(account):
            messages.info(request, _("%s: sending was not paused.") % subject)
            return
        pause, text = Pause(account=account), _("%s: sending goes on.") % subject
        messages.success(request, text)
    else:
        pause = services.pause_sending(account, reason=reason, by=request.user)
        text = _("%s: sending is paused. Requests that were sent continue.") % subject
        messages.warning(request, text)
    # The row is deleted when the pause ends. Django's history keeps who paused and resumed.
    model_admin.log_change(request, pause, text)


def _next(request: HttpRequest, *, site: str) -> str:
    """Return the page that a button of the banner was on, or this page."""
    asked = request.POST.get("next", "")
    # Only a path of this site, whatever the browser sends: never a redirect to elsewhere.
    is_path = asked.startswith("/") and url_has_allowed_host_and_scheme(asked, allowed_hosts=None)
    if is_path:
        return asked
    return admin_path("generation_pause", site=site)
