"""A module of a host that cannot be imported: a dotted path in a setting leads to it."""

raise RuntimeError("the vault is closed")
