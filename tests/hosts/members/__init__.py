"""A host's own users, distinguished by address and keyed by UUID."""
