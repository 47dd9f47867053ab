"""CPU time of a create by TLS, whose connection is new each time, on a server in this process.

The certificates that are trusted are those of certifi, and one more for the server.

    python -m benchmarks.tls_send [--sends 100]
"""

from __future__ import annotations

import argparse
import os
import ssl
import tempfile
import time
from pathlib import Path

import certifi
import trustme

from creatify_textgen.remote import Credentials, GenerationRequest, RemoteClient
from tests.integration.remote.server import Connection, serving

CREATED = '{"id": "0190163d-8694-739b-aea5-966c26f8ad91", "status": "pending"}'
REQUEST = GenerationRequest(
    model_name="gemini-2.5-flash", messages=[{"role": "user", "content": "Hello"}]
)


def create(connection: Connection) -> None:
    connection.answer(201, CREATED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=100)
    sends = parser.parse_args().sends
    authority = trustme.CA()
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(encryption)
    with tempfile.TemporaryDirectory() as folder, serving(create, encryption=encryption) as server:
        trusted = Path(folder, "trusted.pem")
        trusted.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
        os.environ["REQUESTS_CA_BUNDLE"] = str(trusted)
        client = RemoteClient(Credentials("an-api-id", "an-api-key", server.url))
        client.create(REQUEST)
        begun = time.thread_time()
        for _ in range(sends):
            client.create(REQUEST)
        used = (time.thread_time() - begun) / sends * 1000
    print(f"{used:.1f} ms of CPU time for each send, in the thread that sends")


if __name__ == "__main__":
    main()
