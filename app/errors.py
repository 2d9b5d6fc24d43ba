"""Every error of the broker's own: whose fault it is, and which status tells the client so.

Raised anywhere below, translated into HTTP in one place, `app.web.edge`. A message is one sentence
that names what to do; it goes to the client as it stands, so it never holds a secret.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

MASK = "***"
"""What stands for a secret wherever a value is shown."""

USERINFO = re.compile(r"^([A-Za-z]+://)?.*@")


def quoted(text: str) -> str:
    """A value as an error may quote it: its first line, and without what may be a URL's user and password."""
    line, *more = text.splitlines() or [""]
    return repr(USERINFO.sub(rf"\1{MASK}@", line)) + ("..." if more else "")


class BrokerError(Exception):
    """An error that is answered to the client as JSON; a subclass says whose fault it is."""

    status = 500
    reason = "Internal-Error"
    logged = True
    """Whether a request that ends with it has a line of its own in the log, beside its access line; not where there
    may be any number of them, and a line tells when that began."""

    def __init__(self, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers

    @property
    def status_line(self) -> str:
        """Code and standard phrase; the reason of our own is in the body."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    def body(self, request_id: str) -> bytes:
        """The JSON document of this error (contract, section 6)."""
        error = {"code": self.status, "reason": self.reason, "message": self.message, "request_id": request_id}
        return json.dumps({"error": error}).encode()

    def fields(self, body: bytes) -> list[tuple[str, str]]:
        """The header of its answer. Not for caches, which may keep a 404, 405, 414 or 501 as they see fit
        (RFC 9110, 15.1): a region that A&AI does not know may be there a second later."""
        length = str(len(body))
        common = [("Content-Type", "application/json"), ("Content-Length", length), ("Cache-Control", "no-store")]
        return [*common, *self.headers]


class ConfigurationError(BrokerError):
    """The operator's: an option, a file or the environment; the start ends with this one line."""

    reason = "Configuration-Error"


# The client's.


class BadRequest(BrokerError):
    status = 400
    reason = "Bad-Request"


class Unauthorized(BrokerError):
    """Without credentials, or with such as are not right; `challenges` say how to authenticate (RFC 9110, 11.6.1)."""

    status = 401
    reason = "Unauthorized"

    def __init__(self, message: str, challenges: tuple[str, ...]) -> None:
        super().__init__(message, tuple(("WWW-Authenticate", challenge) for challenge in challenges))


class Forbidden(BrokerError):
    """Who asks may not: it did not say who it is in the way that is asked for."""

    status = 403
    reason = "Forbidden"


class NotFound(BrokerError):
    status = 404
    reason = "Not-Found"


class RegionNotFound(NotFound):
    """The inventory answers that it has no such region."""

    reason = "Region-Not-Found"


class MethodNotAllowed(BrokerError):
    status = 405
    reason = "Method-Not-Allowed"

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message, (("Allow", ", ".join(allowed)),))


class RequestTimeout(BrokerError):
    """The client did not send its request, or the rest of it, in time."""

    status = 408
    reason = "Request-Timeout"


class ContentTooLarge(BrokerError):
    status = 413
    reason = "Content-Too-Large"


class TargetTooLong(BrokerError):
    status = 414
    reason = "URI-Too-Long"


class ExpectationFailed(BrokerError):
    status = 417
    reason = "Expectation-Failed"


class TooManyRequests(BrokerError):
    """One client takes up more than it may."""

    status = 429
    reason = "Too-Many-Requests"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, (("Retry-After", str(retry_after)),))


class HeadersTooLarge(BrokerError):
    status = 431
    reason = "Request-Header-Fields-Too-Large"


class ClientGone(BaseException):
    """The client closed its connection: nobody is left to answer, so no framework may turn this into one.

    Like `GreenletExit` no `Exception`; logged with the status 499 (nginx's), never sent.
    """

    status = 499


class NotImplementedMethod(BrokerError):
    status = 501
    reason = "Not-Implemented"


class VersionNotSupported(BrokerError):
    status = 505
    reason = "HTTP-Version-Not-Supported"


# The inventory's and the operator's data.


class RegionIncomplete(BrokerError):
    """The inventory knows the region but not what the broker must know of it."""

    status = 502
    reason = "Region-Incomplete"


class PluginUnknown(BrokerError):
    """The provider-plugin map has no plugin for a region's type, or no address for the plugin."""

    status = 502
    reason = "Plugin-Unknown"


# Those behind us: a plugin, MSB or the inventory.


class UpstreamError(BrokerError):
    """Whoever is behind us refused, or answered what is no HTTP."""

    status = 502
    reason = "Bad-Gateway"


class UpstreamRefused(UpstreamError):
    """No connection: refused, unreachable, no such name, or its certificate is not to be trusted."""

    reason = "Upstream-Refused"


class UpstreamGarbled(UpstreamError):
    """A connection, but no valid answer: closed early, or bytes that are no HTTP."""

    reason = "Upstream-Garbled"


class UpstreamTimeout(UpstreamError):
    status = 504
    reason = "Upstream-Timeout"


class InventoryError(UpstreamError):
    """The inventory failed in a way that says nothing about the region."""

    reason = "Inventory-Failed"


class InventoryTimeout(UpstreamTimeout):
    reason = "Inventory-Timeout"


class Unavailable(BrokerError):
    """The broker itself cannot serve now: overload, draining, or what it needs is not configured."""

    status = 503
    reason = "Service-Unavailable"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message, (("Retry-After", str(retry_after)),))


def out_of_memory() -> Unavailable:
    """Where the system gives the worker no more memory (`MemoryError`)."""
    return Unavailable("The broker has no memory left for this request; send it again later.")


class CircuitOpen(Unavailable):
    """A plugin has failed too often, and is left alone for a while."""

    reason = "Circuit-Open"
    logged = False


class PluginBusy(Unavailable):
    """A plugin has as many requests to answer as it may, and as many wait for it as may."""

    reason = "Plugin-Busy"
    logged = False


class InventoryUnavailable(Unavailable):
    """The inventory is known to fail, or asked as much as it may be: this region is not asked for now."""

    reason = "Inventory-Unavailable"
