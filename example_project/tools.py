"""The functions that the assistant may call. Their hints and docstrings are what a model reads."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.mail import send_mail
from django.utils import timezone

from creatify_textgen import chat

__all__ = ["TOOLS", "get_weather", "send_email"]

TEMPERATURES = {"Cairo": (14, 29), "London": (6, 19), "Oslo": (-3, 18), "Paris": (5, 21)} | {
    "Rome": (8, 26),
    "Sydney": (24, 13),
    "Tokyo": (6, 26),
}
"""The usual temperatures of January and July, in degrees Celsius."""


@chat.tool(idempotent=True)
def get_weather(city: str) -> dict[str, str | int]:
    """Return the usual weather of a city in this month.

    Args:
        city: Name in English, without the country.
    """
    if city not in TEMPERATURES:
        raise ValueError(f"Unknown city. Known are {', '.join(TEMPERATURES)}.")
    january, july = TEMPERATURES[city]
    month = timezone.now().month
    share = 1 - abs(month - 7) / 6
    return {"city": city, "month": month, "degrees": round(january + share * (july - january))}


@chat.tool(needs_approval=True)
def send_email(to: str, text: str) -> str:
    """Send an e-mail to a user of this site.

    Args:
        to: The user's e-mail address.
        text: What to write.
    """
    # Approved or not, a model must not write to strangers from this site's address.
    users = get_user_model()._default_manager.filter(email__iexact=to)
    if not to or not users.exists():
        raise ValueError("No user of this site has this address.")
    send_mail("From the assistant", text, None, [to])
    return f"Sent to {to}."


TOOLS = [get_weather, send_email]
