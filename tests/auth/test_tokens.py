from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.auth import tokens
from app.auth.credentials import Refused
from app.auth.jwk import KeySet, parse_keys
from app.auth.tokens import MOST, Rules, Tokens
from app.conf.auth import ALGORITHMS
from app.errors import Unavailable
from tests.auth.conftest import AUDIENCE, ISSUER, Issuer, compact

RULES = Rules(ISSUER, AUDIENCE, frozenset(ALGORITHMS), 30, "sub")
ALL = ("rsa", "p256", "p384", "p521", "ed25519")


class In(NamedTuple):
    """Of a claim: so many seconds from when the token is made."""

    seconds: float


@dataclass
class Story:
    """Tokens with keys and a clock of its own."""

    issuer: Issuer
    rules: Rules = RULES
    kids: tuple[str, ...] = ALL
    now: float = field(default_factory=time.time)
    renewals: int = 0
    tokens: Tokens = field(init=False)

    def __post_init__(self) -> None:
        self.keys: KeySet | None = parse_keys(self.issuer.jwks(*self.kids))
        self.newer: KeySet | None = self.keys
        self.tokens = Tokens("here", self, self.rules, lambda: self.now)

    def current(self) -> KeySet | None:
        return self.keys

    def renewed(self) -> KeySet:
        self.renewals += 1
        if self.newer is None:
            raise Unavailable("none")
        self.keys = self.newer
        return self.newer

    def ask(self, token: str) -> str:
        """The caller, or why not."""
        try:
            return self.tokens.caller(token.encode("latin-1"), "10.0.0.9")
        except Refused as refused:
            return f"! {refused}"

    def claims(self, kid: str = "rsa", alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        now = {name: time.time() + value.seconds for name, value in claims.items() if isinstance(value, In)}
        return self.ask(self.issuer.token(kid, alg, header, **{**claims, **now}))


@pytest.fixture
def story(issuer: Issuer) -> Story:
    return Story(issuer)


@pytest.mark.parametrize(
    ("kid", "alg"),
    [
        *(("rsa", alg) for alg in ALGORITHMS if alg[1] == "S" and alg[0] in "RP"),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("p521", "ES512"),
        ("ed25519", "EdDSA"),
    ],
)
def test_a_valid_token_of_each_algorithm_names_its_caller(story: Story, kid: str, alg: str) -> None:
    assert story.claims(kid, alg) == "vid"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["other", AUDIENCE]},
        {"aud": [AUDIENCE]},
        {"nbf": In(20), "iat": In(20)},
        {"exp": In(-20)},
        {"iat": None},
        {"exp": 10**400},
        {"exp": 2e9 + 0.5},
        {"scope": "x", "extra": {"deep": [1]}},
    ],
)
def test_what_is_valid_too(story: Story, claims: dict[str, Any]) -> None:
    assert [story.claims(**claims), story.claims(**claims)] == ["vid"] * 2


LACKS = "! The token lacks one of the claims exp, iss and aud."


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": In(-40)}, "! The token has expired."),
        ({"exp": 0}, "! The token has expired."),
        ({"exp": -1e300}, "! The token has expired."),
        ({"exp": None}, LACKS),
        ({"exp": "soon"}, "! The token is not valid."),
        ({"exp": float("nan")}, "! The token is not valid."),
        ({"exp": float("inf")}, "! The token is not valid."),
        ({"exp": [1]}, "! The token is not valid."),
        ({"nbf": In(60)}, "! The token is not valid yet."),
        ({"iat": In(60)}, "! The token is not valid yet."),
        ({"nbf": "x"}, "! The token is not valid."),
        ({"iss": ISSUER + "/"}, "! The token is of another issuer."),
        ({"iss": None}, LACKS),
        ({"aud": "Multicloud"}, "! The token is for another audience."),
        ({"aud": ["multi", "cloud"]}, "! The token is for another audience."),
        ({"aud": []}, LACKS),
        ({"aud": {"multicloud": 1}}, "! The token is for another audience."),
        ({"aud": None}, LACKS),
        ({"sub": None}, "! The token's claim sub is no name."),
        ({"sub": ""}, "! The token's claim sub is no name."),
        ({"sub": "a\nb"}, "! The token's claim sub is no name."),
        ({"sub": "x" * 256}, "! The token's claim sub is no name."),
        ({"sub": 7}, "! The token is not valid."),
        ({"jti": 7}, "! The token is not valid."),
    ],
)
def test_a_claim_that_is_not_right(story: Story, claims: dict[str, Any], why: str) -> None:
    assert story.claims(**claims) == why


UNKNOWN = "! The token names no key and algorithm that are known here."
INVALID = "! The token is not valid."
TYPE = "! The token is of another type than JWT."


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
def test_types_of_tokens_that_are_for_us(story: Story, typ: str | None) -> None:
    assert story.ask(story.issuer.sign("rsa", "RS256", {"kid": "rsa", "typ": typ}, {})) == "vid"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"typ": "logout+jwt"}, TYPE),
        ({"typ": "JWE"}, TYPE),
        ({"kid": "none-such"}, UNKNOWN),
        ({"kid": "../../../../etc/passwd"}, UNKNOWN),
        ({"kid": "x' UNION SELECT 'k"}, UNKNOWN),
        ({"kid": ""}, UNKNOWN),
        ({"kid": "p256"}, UNKNOWN),
        ({"crit": ["exp"], "exp": 1}, INVALID),
        ({"crit": ["b64"], "b64": True}, INVALID),
    ],
)
def test_a_header_that_is_not_right(story: Story, header: dict[str, Any], why: str) -> None:
    assert story.claims(header=header) == why


@pytest.mark.parametrize("link", ["jku", "x5u", "jwk", "x5c", "x5t"])
def test_where_a_token_says_its_key_is_is_not_looked_at(story: Story, issuer: Issuer, link: str) -> None:
    """Signed by a key of its own, which it brings along; a look would ask a port where nobody listens."""
    forger = Issuer()
    value: object = {"jwk": forger.jwk("rsa"), "x5c": ["AAAA"]}.get(link, "http://127.0.0.1:1/keys")
    assert story.ask(forger.token("rsa", "RS256", {link: value})) == "! The token's signature is not right."
    assert story.ask(issuer.token("rsa", "RS256", {link: value})) == "vid"


def test_a_public_key_is_no_shared_secret(story: Story, issuer: Issuer) -> None:
    """RFC 8725, 2.1: HS256 with each text of the public key as its secret, and without a signature."""
    public = issuer.keys["rsa"].public_key()
    secrets = [
        public.public_bytes(Encoding.PEM, kind) for kind in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
    ]
    secrets += [secret.strip() for secret in secrets] + [
        issuer.jwks("rsa"),
        json.dumps(issuer.jwk("rsa")).encode(),
        b"",
    ]
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "vid", "exp": int(time.time()) + 600}
    for alg in ("HS256", "none", "None", "", "nOnE", "hs256", "ES256K", None, 7, ["RS256"]):
        header = {"alg": alg, "kid": "rsa", "typ": "JWT"}
        for secret in secrets:
            signed = compact(header, claims, b"").rstrip(".")
            signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            assert story.ask(compact(header, claims, signature)) == UNKNOWN
        assert story.ask(compact(header, claims, b"")).startswith("! The token is no signed JWT")


def test_an_algorithm_that_is_not_allowed(issuer: Issuer) -> None:
    story = Story(issuer, RULES._replace(algorithms=frozenset(("ES256",))))
    assert [story.claims(), story.claims("p256", "ES256")] == [UNKNOWN, "vid"]


def test_a_changed_token_is_not_right(story: Story, issuer: Issuer) -> None:
    head, payload, signature = issuer.token().split(".")
    other = issuer.token(sub="root").split(".")
    bad = "! The token's signature is not right."
    assert story.ask(f"{head}.{other[1]}.{signature}") == bad
    assert story.ask(f"{head}.{payload}.{other[2]}") == bad
    flipped = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    assert story.ask(f"{head}.{payload}.{flipped}") == bad
    assert story.ask(f"{head}.{payload}.{signature}") == "vid"


def test_a_token_that_is_too_long_is_not_looked_at(story: Story, issuer: Issuer) -> None:
    assert story.claims(pad="x" * 9_000) == "vid"
    assert story.claims(pad="x" * 16_000) == "! The token is no signed JWT of at most 16384 bytes."


def test_an_extension_that_must_be_understood_is_refused(story: Story, issuer: Issuer) -> None:
    """Signed by hand: the library, which knows this one, does not write it."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "vid", "exp": now + 600}
    for header, outcome in (({}, "vid"), ({"crit": ["b64"], "b64": True}, INVALID)):
        signed = compact({"alg": "EdDSA", "kid": "ed25519", **header}, claims, b"").rstrip(".")
        assert (
            story.ask(
                compact(
                    {"alg": "EdDSA", "kid": "ed25519", **header}, claims, issuer.keys["ed25519"].sign(signed.encode())
                )
            )
            == outcome
        )


NESTED = base64.urlsafe_b64encode(b'{"a":' + b"[" * 9000).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c=", "a.b.c\xff", "a b.c.d", "....", "x" * 16384,
     "a.b." + "x" * 65536, "e30.e30.e30", "W10.e30.e30", "bnVsbA.e30.e30", f"{NESTED}.e30.e30", "_w.e30.e30"],
    ids=lambda token: token[:12] or "empty",
)  # fmt: skip
def test_what_is_no_token_is_refused(story: Story, token: str) -> None:
    assert story.ask(token).startswith("! The token ")


def test_a_signed_payload_that_is_no_object(story: Story, issuer: Issuer) -> None:
    import jwt

    for payload in (b"[]", b"no json", b"\xff", b"[" * 9000, b"1e999"):
        token = jwt.api_jws.encode(payload, issuer.keys["rsa"], "RS256", {"kid": "rsa"})
        assert story.ask(token) == INVALID


def test_whatever_a_token_does_to_the_library_is_a_refusal(
    story: Story, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OverflowError("of-the-token")

    monkeypatch.setattr(tokens.jwt, "decode", fails)
    assert story.claims() == INVALID
    assert ("OverflowError" in caplog.text, "of-the-token" in caplog.text) == (True, False)


def test_a_token_without_an_id_is_of_the_only_key_that_fits(issuer: Issuer) -> None:
    token = issuer.sign("rsa", "RS256", {"kid": None}, {})
    assert Story(issuer, kids=("rsa", "p256")).ask(token) == "vid"
    story = Story(issuer)
    story.keys = story.newer = parse_keys(
        json.dumps({"keys": [issuer.jwk("rsa"), issuer.jwk("rsa", kid="b")]}).encode()
    )
    assert story.ask(token) == UNKNOWN


def test_the_name_is_in_the_claim_that_the_operator_says(issuer: Issuer) -> None:
    story = Story(issuer, RULES._replace(name="azp"))
    assert story.claims(azp="so") == "so"
    assert story.claims() == "! The token's claim azp is no name."


def test_a_token_is_verified_once_until_it_expires(
    story: Story, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(exp=int(story.now) + 10)
    assert story.ask(token) == "vid"
    real = tokens.jwt.decode
    verified: list[str] = []
    monkeypatch.setattr(tokens.jwt, "decode", lambda token, *a, **k: verified.append(token) or real(token, *a, **k))
    story.now += 39
    assert (story.ask(token), verified) == ("vid", [])
    story.now += 2
    story.ask(token)
    assert len(verified) == 1


def test_a_key_that_is_gone_ends_what_it_has_verified(story: Story, issuer: Issuer) -> None:
    token = issuer.token()
    assert story.ask(token) == "vid"
    story.keys = story.newer = parse_keys(issuer.jwks("p256"))
    assert story.ask(token) == UNKNOWN


def test_a_new_key_is_looked_for_once_it_is_named(story: Story, issuer: Issuer) -> None:
    story.keys = parse_keys(issuer.jwks("p256"))
    assert [story.claims(), story.renewals] == ["vid", 1]
    assert [story.claims(sub="other"), story.renewals] == ["other", 1]


def test_without_any_key_nobody_is_refused_for_good(story: Story) -> None:
    story.keys = story.newer = None
    with pytest.raises(Unavailable):
        story.claims()
    story.newer = parse_keys(story.issuer.jwks())
    assert story.claims() == "vid"


def test_tokens_remembered_are_bounded(story: Story, issuer: Issuer) -> None:
    table = story.tokens._remembered
    assert story.ask(issuer.token()) == "vid"
    (entry,) = table._values.values()
    for number in range(MOST + 5):
        table.keep(b"%d" % number, entry)
    assert len(table._values) == MOST


def test_challenges(story: Story) -> None:
    """RFC 6750, 3: no error code where there were no credentials."""
    assert story.tokens.challenge("") == 'Bearer realm="here"'
    assert story.tokens.challenge("The token has expired.") == (
        'Bearer realm="here", error="invalid_token", error_description="The token has expired."'
    )
