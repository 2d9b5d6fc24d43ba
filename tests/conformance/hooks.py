"""For schemathesis: what Swagger 2.0 cannot say of the broker's own bodies, and its descriptions do."""

from __future__ import annotations

from typing import Any

import schemathesis

RESOURCES = ("vCPU", "Memory", "Storage")


@schemathesis.hook
def before_load_schema(_: Any, raw_schema: dict[str, Any]) -> None:
    (body,) = raw_schema["paths"]["/check_vim_capacity"]["post"]["parameters"]
    for name in RESOURCES:
        assert body["schema"]["properties"][name] == {"description": "A number or a string"}
        body["schema"]["properties"][name] = {"type": ["number", "string"]}
