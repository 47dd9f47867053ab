"""Figures for Prometheus. List `creatify_textgen.contrib.prometheus` in INSTALLED_APPS for them."""
