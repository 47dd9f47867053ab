"""What the HTTP doors share: strict JSON, errors as JSON, permissions. Calls no services."""
