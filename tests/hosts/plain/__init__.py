"""Users with `is_staff` and nothing else of Django's permissions."""
