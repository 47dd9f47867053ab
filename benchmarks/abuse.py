"""How long hostile requests take, compared with a good request to the same URL.

Sends the requests of `tests/faults/corpus.py` as a signed-in user through the whole WSGI stack of
one process, and good requests in between. Prints one line per URL.

    python -m benchmarks.abuse
"""

from __future__ import annotations

import gc
import io
import statistics
import time
import uuid
from collections.abc import Iterable
from typing import Any

from benchmarks.site import set_up

set_up()

from django.contrib.auth.models import User  # noqa: E402
from django.test import Client  # noqa: E402

from creatify_textgen import services  # noqa: E402
from creatify_textgen.dispatch.callbacks import make_token  # noqa: E402
from tests.bad_requests import PNG  # noqa: E402
from tests.factories import make_generation  # noqa: E402
from tests.faults.corpus import QUERIES, Attack, bodies_for, queries_for  # noqa: E402

ROOT = "/textgen/"
GOOD_CALLS = 60
GOOD_BODY = b'{"messages": [{"role": "user", "content": "Write a tagline."}]}'
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + PNG + b"\r\n--b--\r\n"
)


def urls(user: User) -> dict[str, tuple[Attack, list[Attack]]]:
    """Return for each URL a good request and the hostile ones."""
    done = make_generation(status="done", owner=user, remote_id="r-done").pk
    pending = make_generation(status="pending", owner=user, remote_id="r-pending").pk
    media = services.store_media(PNG, owner=user).pk
    webhook = f"{ROOT}webhooks/{pending}/{make_token(pending)}/"
    stranger = f"{ROOT}webhooks/{pending}/{'0' * 32}/"
    form = "multipart/form-data; boundary=b"
    delivery = b'{"id": "r-pending", "status": "running"}'
    takes_bodies = {
        f"{ROOT}generations/": Attack("good", body=GOOD_BODY),
        f"{ROOT}media/": Attack("good", body=FORM, content_type=form),
        webhook: Attack("good", body=delivery),
    }
    is_looked_at = [
        f"{ROOT}generations/",
        f"{ROOT}generations/{done}/",
        f"{ROOT}generations/{done}/stream/",
        f"{ROOT}media/{media}/",
    ]
    found = {
        f"POST {path}": (_at(path, good), list(bodies_for(path)))
        for path, good in takes_bodies.items()
    }
    good = _at(webhook, takes_bodies[webhook])
    found[f"POST {stranger}"] = (good, list(bodies_for(stranger)))
    for path in is_looked_at:
        look = Attack("good", "GET", path, content_type="")
        found[f"GET {path}"] = (look, list(queries_for(path, QUERIES)))
    return found


def _at(path: str, attack: Attack) -> Attack:
    return Attack(attack.name, attack.method, path, attack.body, attack.content_type)


def seconds_of(client: Client, attack: Attack) -> tuple[float, int]:
    signed_in = client.cookies.output(header="", sep=";").strip()
    extra: dict[str, Any] = {"QUERY_STRING": attack.query, **attack.headers}
    extra["HTTP_COOKIE"] = "; ".join(filter(None, [extra.get("HTTP_COOKIE"), signed_in]))
    extra["wsgi.input"] = io.BytesIO(attack.body)
    content_type = extra.pop("CONTENT_TYPE", attack.content_type)
    began = time.perf_counter()
    response = client.generic(attack.method, attack.path, attack.body, content_type, **extra)
    if response.streaming:
        list(response)
    seconds = time.perf_counter() - began
    # Cookies of one response must not change the next request.
    client.cookies.load(signed_in)
    return seconds, response.status_code


def good_seconds(client: Client, call: Attack) -> float:
    taken = []
    for _ in range(GOOD_CALLS):
        seconds, status = seconds_of(client, call)
        assert status < 300, (call, status)
        taken.append(seconds)
    return statistics.median(taken)


def percentile(taken: Iterable[float], part: float) -> float:
    ordered = sorted(taken)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def main() -> None:
    user = User.objects.create_user(f"attacker-{uuid.uuid4().hex[:8]}")
    client = Client(raise_request_exception=False)
    client.force_login(user)
    worst, failures, sent = 0.0, 0, 0
    for name, (good, attacks) in urls(user).items():
        good_seconds(client, good)
        gc.collect()
        answers = [(*seconds_of(client, attack), attack.name) for attack in attacks]
        median = good_seconds(client, good)
        p99 = percentile((seconds for seconds, *_ in answers), 0.99) / median
        slowest = max(answers)
        failures += sum(status >= 500 for _, status, _ in answers)
        sent += len(answers)
        worst = max(worst, p99)
        print(
            f"{name[:60]}: {len(attacks)} requests, good {median * 1e3:.1f} ms, p99 {p99:.1f} x, "
            f"slowest {slowest[0] / median:.1f} x ({slowest[2]})"
        )
    print(f"{sent} requests: {failures} x 500, the worst p99 is {worst:.1f} x a good call's median")


if __name__ == "__main__":
    main()
