"""What a comparison of the remote's list with our rows found, for people and for programs.

Invariant: the counts are whole, however few of the ids are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from creatify_textgen.recovery.audit import BalanceAudit

__all__ = ["Findings", "ReconcileReport"]

EXAMPLES = 20
"""Ids shown of each kind."""


@dataclass(slots=True)
class Findings:
    """How many, and the first few ids."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: object) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(str(example))


@dataclass(slots=True)
class ReconcileReport:
    """What the comparison of one account found; `fixed` counts rows that were changed."""

    account: str
    remote_total: int = 0
    matched: int = 0
    adopted: Findings = field(default_factory=Findings)
    """Rows whose remote id was found by their request, or would be found with `fix`."""
    remote_only: Findings = field(default_factory=Findings)
    """Remote ids that none of our rows has or had: a second acceptance, or one by others who
    have the keys. `fix` imports those for which no row may still wait."""
    unreadable: int = 0
    """Items of the list that cannot be read: any of them may be charged, too."""
    ours_only: Findings = field(default_factory=Findings)
    """Rows whose remote id the list does not have."""
    different_credits: Findings = field(default_factory=Findings)
    different_status: Findings = field(default_factory=Findings)
    missing_answer: Findings = field(default_factory=Findings)
    """Rows that ended without an answer, although the remote has one now."""
    may_have_been_charged: Findings = field(default_factory=Findings)
    """Rows that expired without a remote id: their cost is unknown, and a person decides."""
    fixed: int = 0
    balance: BalanceAudit | None = None
    """How the balance changed since the latest reading; None without one. `fix` saves readings."""

    @property
    def is_clean(self) -> bool:
        """Whether no difference was found."""
        audit = self.balance
        # Credits were bought if it rose, and costs that are not known yet may explain a fall.
        differs = audit is not None and audit.unexplained > 0 and not audit.may_even_out
        found = any(findings.count for findings in self._differences().values())
        return not (self.unreadable or differs or found)

    def __str__(self) -> str:
        """One line: what was compared, and what differs, with examples."""
        differing = [
            f"{name}: {findings.count} ({', '.join(findings.examples)})"
            for name, findings in self._differences().items()
            if findings.count
        ]
        compared = f"{self.account}: {self.remote_total} at the remote, {self.matched} matched"
        if self.unreadable:
            differing.insert(0, f"unreadable: {self.unreadable}")
        if self.balance is not None and self.balance.unexplained:
            differing.append(str(self.balance))
        return "; ".join([compared, *differing, f"fixed: {self.fixed}"])

    def _differences(self) -> dict[str, Findings]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in fields.items() if isinstance(value, Findings)}
