"""What ONAP's broker of old does for a request: the answers of the seed's systems, whichever framework serves them.

As there, the plugin is asked by a new `httplib2.Http` for each request, and bodies are held whole. It does less than
that broker: A&AI is never asked, and there is no Django REST framework.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import httplib2

PREFIX = "/api/multicloud"
PLUGINS: dict[str, str] = json.loads(os.environ["BENCH_PLUGINS"])
"""By region: where `/api/multicloud` leads to."""

MAP = json.loads(Path(os.environ["BENCH_MAP"]).read_text())


def vim_types() -> list[dict[str, object]]:
    return [{"vim_type": entry["vim_type"], "versions": list(entry["versions"])} for entry in MAP.values()]


def send(vim_id: str, method: str, target: str, body: bytes, kind: str) -> tuple[int, str, bytes]:
    """The plugin's status, type of content, and body."""
    answer, content = httplib2.Http().request(
        PLUGINS[vim_id] + target.removeprefix(PREFIX), method, body=body, headers={"Content-Type": kind}
    )
    return answer.status, answer.get("content-type", "application/json"), content
