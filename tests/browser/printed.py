"""What tests of pages that are printed in the documentation share. Needs no Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import creatify_textgen

ORIGIN = "http://site.test"
MODULE = Path(creatify_textgen.__file__).parent / "static/creatify_textgen/stream.js"
TOKEN = '<input type="hidden" name="csrfmiddlewaretoken" value="t1">'


def rendered(template: str) -> str:
    """Return a template as Django would, as far as these pages use tags."""
    for tag, text in (
        (r"{% load static %}", ""),
        (r"{% csrf_token %}", TOKEN),
        (r"{% static '(.+?)' %}", r"/\1"),
        (r"{% url .+? %}", "/generation/"),
    ):
        template = re.sub(tag, text, template)
    return template
