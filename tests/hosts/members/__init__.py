"""A host's own users, told apart by address and keyed by UUID."""
