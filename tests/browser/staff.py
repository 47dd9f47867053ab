"""A member of staff in Chromium, under a policy that allows the site's own files only.

TEST_SCREENSHOTS names a folder for pictures of what was seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["ADMIN", "StrictPolicy", "opened", "take_picture"]

ADMIN = "/admin/creatify_textgen/"


class StrictPolicy:
    """Middleware: nothing but the site's own files, and no inline code or style."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", "default-src 'self'")
        return response


@contextmanager
def opened(
    browser: Browser, site: str, user: User, *, complaints: list[str] | None = None, **options: Any
) -> Iterator[Page]:
    """Return a page of this user, which must end without a complaint of the browser.

    `complaints` collects them.
    """
    complaints = [] if complaints is None else complaints
    client = Client()
    client.force_login(user)
    viewport = {"width": 1360, "height": 900}
    context = browser.new_context(base_url=site, **{"viewport": viewport, **options})
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": site}])
    page = context.new_page()
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # pytest explains asserts of test modules only.
    assert complaints == [], complaints


def take_picture(page: Page, *, name: str) -> None:
    folder = os.environ.get("TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
