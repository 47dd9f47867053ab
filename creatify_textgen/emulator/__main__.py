"""Starts the emulator from a terminal: `python -m creatify_textgen.emulator --port 8900`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from .api.state import State
from .driving.application import EmulatorApplication, base_url
from .faults.switch import SwitchError
from .faults.switchboard import Switchboard
from .faults.switches import SWITCHES


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.switches:
        sys.stdout.write(describe_switches() + "\n")
        return 0
    # Without this the server's log has no handler, so a benchmark prints nothing.
    if options.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        switches = Switchboard(**dict(split_setting(text) for text in options.switch))
    except SwitchError as error:
        parser.error(str(error))
    try:
        asyncio.run(serve(switches, host=options.host, port=options.port))
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {error}\n")
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m creatify_textgen.emulator",
        description="Serve an emulation of the Creatify Text Generator API.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port (default: any free one)")
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a switch; may be repeated",
    )
    parser.add_argument("--switches", action="store_true", help="list the switches and exit")
    parser.add_argument("--verbose", action="store_true", help="log a line for each request")
    return parser


def split_setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SwitchError(f"Write --switch NAME=VALUE; got {text!r}.")
    return name.strip(), value


def describe_switches() -> str:
    lines = []
    for switch in SWITCHES.values():
        allowed = f" [{', '.join(switch.allowed)}]" if switch.allowed else ""
        lines.append(f"{switch.name} = {switch.default!r}{allowed}\n    {switch.meaning}")
    return "\n".join(lines)


def export_line(url: str) -> str:
    """Return the shell command after which the app calls the emulator; it takes any keys."""
    variables = {"BASE_URL": url, "API_ID": "emulator", "API_KEY": "emulator"}
    return "export " + " ".join(f"CREATIFY_{name}={value}" for name, value in variables.items())


async def serve(switches: Switchboard, *, host: str, port: int) -> None:
    """Serve on this loop until SIGINT or SIGTERM."""
    application = EmulatorApplication(switches=switches, state=State(settings=switches.settings))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    # SIGTERM too, because a supervisor and `docker stop` send it, and open streams must be closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    port = await application.start(host=host, port=port)
    url = base_url(host, port=port)
    sys.stdout.write(f"Creatify emulator listening on {url}\n")
    sys.stdout.write(export_line(url) + "\n")
    # A program that starts the emulator reads the port from a pipe, which Python buffers.
    sys.stdout.flush()
    await stopping.wait()
    await application.stop()


if __name__ == "__main__":
    sys.exit(main())
