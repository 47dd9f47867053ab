"""Bodies that are large, over real sockets: JSON refused by name, videos taken at little memory."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.architecture.source import ROOT
from tests.faults.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("large bodies")]

MEGABYTE = 1024 * 1024
JSON_BYTES = 8 * MEGABYTE
VIDEO_BYTES = 99 * MEGABYTE
CREDENTIALS = base64.b64encode(b"reader:a password for one test").decode()
SERVERS = {
    "uvicorn": ["uvicorn", "example_project.asgi:application", "--log-level", "warning"],
    "gunicorn": ["gunicorn", "example_project.wsgi:application", "--threads", "2"],
}


class Site(NamedTuple):
    """A server of the example project, started as a process."""

    port: int
    process_id: int

    def peak_memory(self) -> int:
        """Return the most bytes that any process of the server has held at once."""
        return max(_peak_of(process) for process in [self.process_id, *_children(self.process_id)])


class Answer(NamedTuple):
    """What a server answered last, interim answers left out."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return that of a site with a database, a user and no remote."""
    folder = tmp_path_factory.mktemp("site")
    variables = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DJANGO_DEBUG": "1",
        "DJANGO_SUPERUSER_PASSWORD": "a password for one test",
        "DATABASE_URL": f"sqlite:///{folder}/site.sqlite3",
        "MEDIA_ROOT": str(folder / "media"),
        "CREATIFY_BASE_URL": "http://127.0.0.1:9",
        "LOG_LEVEL": "ERROR",
    }
    person = ["--username", "reader", "--email", "reader@example.com", "--noinput"]
    for command in (["migrate", "--verbosity", "0"], ["createsuperuser", *person]):
        subprocess.run(
            [sys.executable, "-m", "django", *command],
            cwd=ROOT, env=variables, check=True, capture_output=True,
        )  # fmt: skip
    return variables


@pytest.fixture(scope="module", params=sorted(SERVERS))
def site(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[Site]:
    port = _free_port()
    name = request.param
    options = ["--bind", f"127.0.0.1:{port}"] if name == "gunicorn" else ["--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *SERVERS[name], *options],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _answers(port))
        yield Site(port, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def large_body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    part = {"type": "image", "mime_type": "image/png", "data": "A" * JSON_BYTES}
    body = tmp_path_factory.mktemp("bodies") / "body.json"
    body.write_text(json.dumps({"messages": [{"role": "user", "content": [part]}]}))
    return body


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sparse file that begins as an MP4 does."""
    file = tmp_path_factory.mktemp("videos") / "clip.mp4"
    with file.open("wb") as opened:
        opened.write(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")
        opened.truncate(VIDEO_BYTES)
    return file


def curl(url: str, *arguments: str) -> Answer:
    """Send with curl; fail if it was cut off before it had the whole answer."""
    command = ["curl", "--silent", "--show-error", "--include", "--max-time", "60", *arguments]
    sent = subprocess.run(
        [*command, "--header", f"Authorization: Basic {CREDENTIALS}", url],
        capture_output=True, check=False,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr.decode()
    head, _, body = sent.stdout.decode().rpartition("\r\n\r\n")
    status_line, *lines = head.split("\r\n\r\n")[-1].split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(status_line.split()[1]), headers, json.loads(body))


def post_json(site: Site, body: Path, *headers: str) -> Answer:
    given = ["Content-Type: application/json", *headers]
    options = [word for header in given for word in ("--header", header)]
    url = f"http://127.0.0.1:{site.port}/textgen/generations/"
    return curl(url, *options, "--data-binary", f"@{body}")


class TestLargeJson:
    @pytest.mark.parametrize("expects", ["Expect: 100-continue", "Expect:"], ids=["asks", "sends"])
    def test_is_refused_by_the_name_of_the_setting(
        self, site: Site, large_body: Path, expects: str
    ) -> None:
        answer = post_json(site, large_body, expects)
        assert (answer.status, answer.body["code"]) == (413, "body_too_large")
        assert answer.headers["content-type"] == "application/json"
        assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in answer.body["error"]
        assert 'route "media/"' in answer.body["error"]

    @pytest.mark.parametrize("expects", ["Expect: 100-continue", "Expect:"], ids=["asks", "sends"])
    def test_needs_a_stated_length(self, site: Site, large_body: Path, expects: str) -> None:
        answer = post_json(site, large_body, "Transfer-Encoding: chunked", expects)
        assert (answer.status, answer.body["code"]) == (411, "length_required")
        assert "Content-Length" in answer.body["error"]


class TestLargeVideo:
    def test_is_stored_whole_at_little_memory(
        self, site: Site, environment: dict[str, str], video: Path
    ) -> None:
        url = f"http://127.0.0.1:{site.port}/textgen/media/"
        curl(url, "--form", f"file=@{ROOT}/example_project/demo/samples/clip.mp4;type=video/mp4")
        before = site.peak_memory()
        answer = curl(url, "--form", f"file=@{video};type=video/mp4")
        assert (answer.status, answer.body["size"]) == (201, VIDEO_BYTES)
        assert site.peak_memory() - before < 40 * MEGABYTE
        stored = [path.stat().st_size for path in Path(environment["MEDIA_ROOT"]).rglob("*.mp4")]
        assert VIDEO_BYTES in stored


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _peak_of(process_id: int) -> int:
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process_id}/status").read_text())
    return int(kilobytes) * 1024


def _children(process_id: int) -> list[int]:
    listed = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(child) for child in listed.split()]
