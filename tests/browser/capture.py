"""``python -m tests.browser.capture`` writes ``vectors/chromium.jsonl``: the ceremonies of `cases`, from Chromium.

What belongs here: running each case once and writing down what was asked and what came. Nothing is judged.
"""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from passkeycore import CredentialDescriptor, RelyingParty
from passkeycore.testing import b64url_decode, b64url_encode
from passkeycore.testing.vectors import write_vectors

from .cases import CASES, Case
from .ceremonies import Party, foreign_credential
from .chromium import U2F_KEY, Chromium, Tab, UnavailableError, launch
from .sites import COM, NET, serve

Json = dict[str, Any]
TARGET: Final = Path(__file__).parents[2] / "vectors" / "chromium.jsonl"
_ALLOW: Final = "publickey-credentials-create *; publickey-credentials-get *"
_APPID: Final = COM + "/app-id.json"


def capture(chromium: Chromium) -> list[Json]:
    """Every case as a vector."""
    vectors: list[Json] = []
    for case in CASES:
        try:
            vectors.append(_capture(case, chromium))
        except Exception as error:
            error.add_note(f"while capturing {case.name}")
            raise
    return [*vectors, _appid(chromium)]


def _capture(case: Case, chromium: Chromium) -> Json:
    with _page(case, chromium) as (page, ours, rp):
        device = page.plug(case.traits)  # its id is of no use before there is a credential
        if case.before is not None:
            case.before(device, b"")
        party = Party(rp, ours)
        vector: Json = {
            "name": f"chromium/{case.name}",
            "source": _source(case, chromium),
            "rp": {"id": rp.id, "origins": [*rp.origins, *rp.related_origins], "top_origins": list(rp.top_origins)},
            "registration": _registration(case, party),
        }
        if vector["registration"]["expect"]["ok"]:
            credential_id = b64url_decode(vector["registration"]["response"]["id"])
            if case.write_blob is not None:
                blob = {"largeBlob": {"write": b64url_encode(case.write_blob)}}
                party.get(allow=[CredentialDescriptor(id=credential_id)], extensions=blob)
            if case.between is not None:
                case.between(device, credential_id)
            vector["authentication"] = _authentication(case, party, credential_id)
        vector["rp"] |= case.rp
        return vector | ({"requires": list(case.requires)} if case.requires else {})


@contextmanager
def _page(case: Case, chromium: Chromium) -> Generator[tuple[Tab, Tab, RelyingParty]]:
    """The page that the authenticator belongs to, the page or frame of the Relying Party, and the Relying Party."""
    sites = chromium.sites
    if case.page == "related":
        with chromium.tab(NET) as tab:
            yield tab, tab, RelyingParty(id="example.com", origins=[COM], related_origins=[NET])
    elif case.page == "frame":
        rp = RelyingParty(id="localhost", origins=[sites.localhost], top_origins=[sites.embedder])
        with chromium.tab(sites.embedder) as tab:
            yield tab, tab.embed(sites.localhost, _ALLOW), rp
    else:
        with chromium.tab(sites.localhost) as tab:
            yield tab, tab, RelyingParty(id="localhost", origins=[sites.localhost])


def _registration(case: Case, party: Party) -> Json:
    start = party.rp.registration_options(user_handle=b"\x00\x01user handle", user_name="ada", **case.register)
    response = party.tab.create(start.to_dict())
    options = start.options
    vector: Json = {
        "challenge": b64url_encode(options.challenge),
        "response": _without_secrets(response),
        "algorithms": list(options.algorithms),
        "user_verification": options.user_verification,
        "attestation": options.attestation,
        "extensions": options.extensions.to_dict(),
        "time": _now(),
        "expect": {"ok": True},
    }
    if case.anchored:
        attestation = party.rp.parse_registration(response).attestation_object
        statement: Any = attestation.statement
        (leaf,) = statement["x5c"]
        vector["trust_anchors"] = [b64url_encode(leaf)]
    return vector | dict(case.registration)


def _authentication(case: Case, party: Party, credential_id: bytes) -> Json:
    allow = [CredentialDescriptor(id=credential_id)] if case.allow else []
    start = party.rp.authentication_options(allow=allow, **case.authenticate)
    vector: Json = {
        "challenge": b64url_encode(start.options.challenge),
        "response": _without_secrets(party.tab.get(start.to_dict())),
        "user_verification": start.options.user_verification,
        "extensions": start.options.extensions.to_dict(),
        "time": _now(),
        "expect": {"ok": True},
    }
    if case.allow:
        vector["allow_credentials"] = [b64url_encode(credential_id)]
    return vector | dict(case.authentication)


def _appid(chromium: Chromium) -> Json:
    """A credential that U2F registered long ago, and which the AppID extension still finds."""
    record, private_key = foreign_credential("example.com")
    case = Case("u2f.appid", U2F_KEY, authenticate={"extensions": {"appid": _APPID}}, allow=True)
    with chromium.tab(COM) as tab:
        party = Party(RelyingParty(id="example.com", origins=[COM]), tab)
        tab.plug(case.traits).insert(
            record.credential_id,
            isResidentCredential=False,
            rpId=_APPID,
            privateKey=private_key,
            signCount=1,
        )
        authentication = _authentication(case, party, record.credential_id)
    authentication["credential"] = {
        "id": b64url_encode(record.credential_id),
        "public_key": b64url_encode(record.public_key),
        "sign_count": 1,
        "backup_eligible": None,
        "user_handle": None,
    }
    return {
        "name": f"chromium/{case.name}",
        "source": _source(case, chromium) + "; the credential was added under the AppID",
        "rp": {"id": "example.com", "origins": [COM]},
        "authentication": authentication,
    }


def _source(case: Case, chromium: Chromium) -> str:
    traits = ", ".join(f"{name} {json.dumps(value)}" for name, value in case.traits.items())
    note = f"; {case.note}" if case.note else ""
    return f"Chromium {chromium.version}, virtual authenticator with {traits}{note}"


def _without_secrets(text: str) -> Json:
    """The response, without what the pseudo-random function gave the page: that never goes to a server."""
    response: Json = json.loads(text)
    response["clientExtensionResults"].get("prf", {}).pop("results", None)
    return response


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    """Writes the file anew."""
    try:
        with serve() as sites, launch(sites) as chromium:
            count = write_vectors(TARGET, capture(chromium))
    except UnavailableError as error:
        sys.exit(str(error))
    print(f"{count} cases in {TARGET.name}")


if __name__ == "__main__":
    main()
