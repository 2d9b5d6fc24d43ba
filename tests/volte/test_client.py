"""What goes over the wire, and what is said where nothing comes back."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.volte.answers import Failure
from app.volte.client import Base, Client, Unreachable, trust
from tests.volte.conftest import Cloud


@contextmanager
def answering(data: bytes | None, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that answers one connection with these bytes, or with silence; gives its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                try:
                    stream = tls.wrap_socket(peer, server_side=True) if tls else peer
                except OSError:
                    return
                with stream:
                    stream.recv(65536)
                    if data is None:
                        over.wait(10)
                    else:
                        stream.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own CA, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=t", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_get_and_delete_carry_content_length_0_once(cloud: Cloud, method: str) -> None:
    Client(Base.parse(cloud.url), 10).ask(method, "/api/multicloud/v0/a_b/tenants", None, "id-1")
    headers = cloud.requests[0].headers
    assert headers.get_all("Content-Length") == ["0"]
    assert headers["X-ONAP-RequestID"] == "id-1"
    assert "Content-Type" not in headers
    assert "Authorization" not in headers


def test_a_body_goes_as_json(cloud: Cloud) -> None:
    client = Client(Base.parse(f"{cloud.url}/base/"), 10)
    answer = client.ask("POST", "/base/api/multicloud/v0/a_b/registry", {"os-stop": None}, "id-1")
    assert (answer.status, answer.body) == (202, b"")
    assert cloud.requests[0].path == "/base/api/multicloud/v0/a_b/registry"
    assert cloud.requests[0].body == {"os-stop": None}
    assert cloud.requests[0].headers["Content-Type"] == "application/json"
    assert cloud.requests[0].headers.get_all("Content-Length") == [str(len('{"os-stop": null}'))]


def test_a_refused_connection_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match=rf"nothing listens at http://127.0.0.1:{port} .*start the broker"):
        Client(Base.parse(f"http://127.0.0.1:{port}"), 10).ask("GET", "/", None, "id")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no valid answer"),
        (b"not HTTP\r\n\r\n", "no valid answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", "no valid answer .*IncompleteRead"),
        (None, "no answer within 0.05 s"),
    ],
)
def test_a_missing_answer_is_a_failure_but_not_unreachable(data: bytes | None, why: str) -> None:
    with answering(data) as port, pytest.raises(Failure, match=why) as caught:
        Client(Base.parse(f"http://127.0.0.1:{port}"), 0.05 if data is None else 10).ask("GET", "/", None, "id")
    assert not isinstance(caught.value, Unreachable)


def test_https_with_a_ca_file_and_insecure(certificate: tuple[Path, Path]) -> None:
    for context in (trust(str(certificate[0]), False), trust(None, True)):
        with answering(b"HTTP/1.1 204 No Content\r\n\r\n", server_tls(certificate)) as port:
            client = Client(Base.parse(f"https://127.0.0.1:{port}"), 10, context)
            assert client.ask("GET", "/", None, "id").status == 204


def test_an_untrusted_certificate_says_what_to_do(certificate: tuple[Path, Path]) -> None:
    with answering(b"", server_tls(certificate)) as port, pytest.raises(Unreachable, match=r"--ca-file.*--insecure"):
        Client(Base.parse(f"https://127.0.0.1:{port}"), 10, trust(None, False)).ask("GET", "/", None, "id")


def test_https_to_a_plain_server_is_named() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(Unreachable, match="http:// address"):
        Client(Base.parse(f"https://127.0.0.1:{port}"), 10, trust(None, True)).ask("GET", "/", None, "id")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://h", ("http://h", False, "h", 80, "")),
        ("https://h/", ("https://h", True, "h", 443, "")),
        ("http://[::1]:9001/a/b/", ("http://[::1]:9001/a/b", False, "::1", 9001, "/a/b")),
    ],
)
def test_a_url_is_taken_apart(url: str, base: tuple[object, ...]) -> None:
    found = Base.parse(url)
    assert (found.url, found.tls, found.host, found.port, found.path) == base


@pytest.mark.parametrize(
    "url",
    ["", "h:9001", "ftp://h", "http://", "http://u:p@h", "http://h?x", "http://h#x", "http://h:99999", "http://h/a b"],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Base.parse(url)
