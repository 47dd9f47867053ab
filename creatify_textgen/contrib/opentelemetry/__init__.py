"""Traces and metrics. List `creatify_textgen.contrib.opentelemetry` in INSTALLED_APPS for them."""
