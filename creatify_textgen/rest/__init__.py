"""The HTTP API: parse, one call into services, render. No rules of generation live here."""
