"""Answers requests to the API: a series of checks, then one handler per kind of call.

Every request is logged before it is processed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from creatify_textgen.emulator.faults.switchboard import Switchboard
from creatify_textgen.emulator.http.exchange import (
    Answer,
    AnyAnswer,
    Request,
    Reset,
    Stream,
    json_answer,
    text_answer,
)
from creatify_textgen.emulator.requests.bodies import BodyError, loggable
from creatify_textgen.emulator.requests.routes import Route, find_route

from .calls import Call
from .creation import Creation
from .listing import list_answer
from .processing import Processing
from .rendering import render_generation
from .state import LogRecord, State

__all__ = ["Api"]

INJECTED = {"get": "error_at_get", "list": "error_at_list", "credits": "error_at_credits"}
CREATES = ("create", "stream")


class Api:
    """Answers every path that is not under /_emulator/."""

    def __init__(self, *, state: State, processing: Processing, switches: Switchboard) -> None:
        self._state = state
        self._switches = switches
        creation = Creation(state=state, processing=processing)
        self._handlers: dict[str, Callable[[Call], Awaitable[AnyAnswer]]] = {
            "create": creation.create,
            "stream": creation.stream,
            "get": self._get,
            "list": self._list,
            "credits": self._credits,
        }

    async def answer(self, request: Request) -> AnyAnswer:
        """Return the answer to one request, after the delay that the switches set."""
        legacy_paths = self._switches.settings.legacy_paths
        route = find_route(request.head.path, legacy_paths=legacy_paths)
        if route is None:
            self._record(request, kind="other", body=None).status = 404
            return text_answer("Not Found", status=404)
        call = self._read(request, route=route)
        # Before the answer: a test that sees the effect of a request finds the request in the log.
        record = self._record(request, kind=call.kind or "other", body=call.logged_body)
        answer = await self._decide(call)
        # Counted before the wait, so that a client that gives up does not change the counters.
        if call.kind in CREATES and not call.accepted:
            self._state.count("refused")
        await wait_before(answer, call=call)
        record.status = answer.status
        return answer

    def _read(self, request: Request, *, route: Route) -> Call:
        kind = route.kind(request.head.method)
        # Taken once per request: with `times`, each request counts once, whatever it reads.
        settings = self._switches.take("create" if kind in CREATES else kind)
        call = Call(request, route, kind, settings)
        if request.head.method == "POST":
            try:
                call.body = request.body.parse()
                call.logged_body = loggable(call.body)
            except BodyError as error:
                call.body_error = str(error)
        return call

    def _record(self, request: Request, *, kind: str, body: object) -> LogRecord:
        head = request.head
        path = f"{head.path}?{head.query}" if head.query else head.path
        return self._state.record(
            kind, method=head.method, path=path, headers=head.headers, body=body
        )

    async def _decide(self, call: Call) -> AnyAnswer:
        # The order of a real site: the proxy, the router, authentication, then the view.
        for check in (check_outage, check_slash, check_method, check_keys, check_injected):
            refusal = check(call)
            if refusal is not None:
                return refusal
        return await self._handlers[call.kind](call)

    async def _get(self, call: Call) -> AnyAnswer:
        self._state.count("gets")
        # With other keys it is a 404, as if it did not exist (contract, section 8).
        found = self._state.find(call.route.generation_id, workspace=call.workspace)
        if found is None or found.stored_at is None or not found.is_visible:
            return call.refusal(404)
        rendered = render_generation(found, settings=call.settings, legacy=call.route.legacy)
        return json_answer(rendered)

    async def _credits(self, call: Call) -> AnyAnswer:
        balance = self._state.balance(call.workspace, start=call.settings.balance)
        return json_answer({"remaining_credits": balance})

    async def _list(self, call: Call) -> AnyAnswer:
        self._state.count("lists")
        own = [each for each in self._state.generations if each.workspace == call.workspace]
        return list_answer(own, call=call, now=self._state.now())


async def wait_before(answer: AnyAnswer, *, call: Call) -> None:
    """Sleep for the delay that the switches set."""
    settings = call.settings
    seconds = settings.latency + (settings.answer_delay if call.accepted else 0)
    try:
        if seconds:
            await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        # The client left before the first byte. No player will report it, and the generation would
        # stay running for ever.
        if isinstance(answer, Stream):
            answer.on_end(everything=False)
        raise


def check_outage(call: Call) -> AnyAnswer | None:
    if call.settings.outage == "none":
        return None
    return Reset() if call.settings.outage == "reset" else call.refusal(503)


def check_slash(call: Call) -> AnyAnswer | None:
    if call.route.slashed:
        return None
    if call.settings.slash == "not_found":
        return text_answer("Not Found", status=404)
    # Starlette's `redirect_slashes` (contract, section 1): 307 keeps method and body, and the URL
    # is made of the request, with http also behind a proxy that speaks TLS.
    head = call.request.head
    query = f"?{head.query}" if head.query else ""
    location = f"http://{head.headers.get('host', '')}{head.path}/{query}"
    return Answer(307, content_type="text/plain", headers={"Location": location})


def check_method(call: Call) -> AnyAnswer | None:
    if call.kind:
        return None
    allow = {"Allow": call.route.methods}
    return text_answer("Method Not Allowed", status=405, headers=allow)


def check_keys(call: Call) -> AnyAnswer | None:
    """Refuse missing or unknown keys. Each pair of keys is a workspace, unless one is set."""
    headers = call.request.head.headers
    identity, key = headers.get("x-api-id", ""), headers.get("x-api-key", "")
    pair = f"{identity}:{key}"
    call.workspace = call.settings.workspace or pair
    # Both headers are needed (contract, section 1). One of another pair is as wrong as none.
    pairs = call.settings.api_keys
    if not identity or not key or (pairs and pair not in pairs):
        return call.refusal(401)
    return None


def check_injected(call: Call) -> AnyAnswer | None:
    name = INJECTED.get(call.kind)
    status = getattr(call.settings, name) if name else "none"
    return None if status == "none" else call.refusal(int(status))
