"""What our pages in the admin show: that sending is paused, and whether something is stuck.

Tags, because some pages, such as the index of the app, are made by the host's admin site.
"""

from __future__ import annotations

from typing import Any

from django import template

from creatify_textgen import clock
from creatify_textgen.admin.health import read_lines
from creatify_textgen.admin.permissions import may_pause
from creatify_textgen.admin.rendering import render_name, render_text, show_control_chars
from creatify_textgen.models import Pause

__all__ = ["register"]

register = template.Library()


# For texts from elsewhere: see `rendering`.
register.filter("textgen_name", render_name)
register.filter("textgen_text", render_text)
register.filter("textgen_plain", show_control_chars)


@register.inclusion_tag("creatify_textgen/admin/pause_banner.html", takes_context=True)
def textgen_pauses(context: Any) -> dict[str, Any]:
    """Show who paused what, when and why, with a button to resume. One query."""
    request = context["request"]
    return {
        "pauses": Pause.objects.current(now=clock.now()),
        "may_pause": may_pause(request),
        "request": request,
    }


@register.inclusion_tag("creatify_textgen/admin/health.html", takes_context=True)
def textgen_health(context: Any) -> dict[str, Any]:
    """Show what is in flight and what is stuck, each with the one thing to do."""
    # A host may have several admin sites. Django sets the name of the one that shows the page.
    request = context["request"]
    return {"lines": read_lines(request, site=getattr(request, "current_app", "admin"))}
