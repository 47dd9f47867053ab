"""The tenants of a host project with django-tenants."""
