from __future__ import annotations

import json

import pytest

from app.errors import MethodNotAllowed
from app.web.health import Check, Health


class Answer:
    """Calls a probe as the server does."""

    def __init__(
        self, checks: dict[str, Check], method: str = "GET", query: str = "", accept: str | None = None
    ) -> None:
        environ = {"REQUEST_METHOD": method, "QUERY_STRING": query}
        if accept is not None:
            environ["HTTP_ACCEPT"] = accept
        self.body = b"".join(Health(checks)(environ, self._start))

    def _start(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status = status
        self.headers = dict(headers)


def well() -> str:
    return ""


def ill() -> str:
    return "slot 3 is silent"


CHECKS: dict[str, Check] = {"one": well, "two": ill, "three": lambda: "draining"}


@pytest.mark.parametrize(
    ("checks", "status", "body"),
    [
        ({}, "200 OK", b"ok"),
        ({"one": well}, "200 OK", b"ok"),
        (CHECKS, "503 Service Unavailable", b"slot 3 is silent; draining"),
    ],
)
def test_a_probe_says_ok_or_what_is_wrong(checks: dict[str, Check], status: str, body: bytes) -> None:
    answer = Answer(checks)
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }


@pytest.mark.parametrize("query", ["verbose", "a=1&verbose"])
def test_a_verbose_probe_lists_every_check(query: str) -> None:
    lines = Answer(CHECKS, query=query).body.decode().splitlines()
    assert lines == ["[+] one: ok", "[-] two: slot 3 is silent", "[-] three: draining", "slot 3 is silent; draining"]


@pytest.mark.parametrize("query", ["verbosely", "x=verbose", ""])
def test_any_other_query_is_not_verbose(query: str) -> None:
    assert Answer({"one": well}, query=query).body == b"ok"


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("", {"status": "slot 3 is silent; draining"}),
        (
            "verbose",
            {
                "status": "slot 3 is silent; draining",
                "checks": {"one": "ok", "two": "slot 3 is silent", "three": "draining"},
            },
        ),
    ],
)
def test_a_probe_answers_json_to_who_asks_for_it(query: str, document: object) -> None:
    answer = Answer(CHECKS, query=query, accept="text/html, application/json;q=0.9")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.body) == document


def test_a_healthy_probe_in_json() -> None:
    assert json.loads(Answer({"one": well}, accept="application/json").body) == {"status": "ok"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused_without_a_check(method: str) -> None:
    def never() -> str:
        raise AssertionError("a check ran")

    with pytest.raises(MethodNotAllowed) as refused:
        Answer({"one": never}, method)
    assert refused.value.headers == (("Allow", "GET, HEAD"),)


def test_a_head_request_tells_the_same() -> None:
    assert Answer(CHECKS, "HEAD").headers == Answer(CHECKS, "GET").headers


@pytest.mark.parametrize(
    ("query", "accept", "body"),
    [
        ("", "", "ok"),
        ("verbose", "", "[!] two: slot 3 is silent\n[+] three: ok\n[+] one: ok\nok"),
        ("", "application/json", '{"status": "ok"}'),
        (
            "verbose",
            "application/json",
            '{"status": "ok", "checks": {"two": "warning: slot 3 is silent", "three": "ok", "one": "ok"}}',
        ),
    ],
)
def test_a_warning_is_told_and_keeps_nobody_from_serving(query: str, accept: str, body: str) -> None:
    sent: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": query, "HTTP_ACCEPT": accept}
    health = Health({"one": well}, {"two": ill, "three": well})
    assert b"".join(health(environ, lambda status, _: sent.append(status))) == body.encode()
    assert sent == ["200 OK"]
