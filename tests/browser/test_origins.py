"""Where a response may come from: related origins and frames, as Chromium reports them."""

from typing import Any

import msgspec
import pytest

from passkeycore import Code, RelyingParty, VerificationError

from .ceremonies import Party
from .chromium import PLATFORM, Chromium, RefusalError
from .sites import COM, NET

ALLOW = "publickey-credentials-create *; publickey-credentials-get *"


def framed(chromium: Chromium, **trusted: Any) -> RelyingParty:
    return RelyingParty(id="localhost", origins=[chromium.sites.localhost], **trusted)


def test_a_related_origin(chromium: Chromium) -> None:
    rp = RelyingParty(id="example.com", origins=[COM], related_origins=[NET])
    with chromium.tab(NET) as tab:
        party = Party(rp, tab)
        tab.plug(PLATFORM)
        record = party.enrol()
        asserted = party.get()
        response = rp.parse_authentication(asserted.response)
        assert response.client_data.origin == NET
        rp.verify_authentication(response, asserted.state, record)
        unrelated = msgspec.structs.replace(asserted.state, origins=(COM,))
        with pytest.raises(VerificationError) as refused:
            rp.verify_authentication(response, unrelated, record)
        assert refused.value.code is Code.ORIGIN_NOT_ALLOWED


def test_an_origin_that_is_not_related(chromium: Chromium) -> None:
    party_of_net = RelyingParty(id="example.net", origins=[NET])
    with chromium.tab(chromium.sites.localhost) as tab, pytest.raises(RefusalError, match="SecurityError"):
        Party(party_of_net, tab).create()


def test_a_frame_in_a_page_of_another_site(chromium: Chromium) -> None:
    embedder = chromium.sites.embedder
    with chromium.tab(embedder) as tab:
        tab.plug(PLATFORM)
        party = Party(framed(chromium, top_origins=[embedder]), tab.embed(chromium.sites.localhost, ALLOW))
        created = party.create()
        client_data = party.rp.parse_registration(created.response).client_data
        assert (client_data.cross_origin, client_data.top_origin) == (True, embedder)
        record = party.rp.verify_registration(created.response, created.state).credential
        party.authenticate(record)

        for trusted, code in (
            ({}, Code.CROSS_ORIGIN_NOT_ALLOWED),
            ({"top_origins": ["https://example.org"]}, Code.TOP_ORIGIN_NOT_ALLOWED),
        ):
            distrusting = Party(framed(chromium, **trusted), party.tab)
            with pytest.raises(VerificationError) as refused:
                distrusting.register(user_handle=b"another")
            assert refused.value.code is code
            with pytest.raises(VerificationError) as refused:
                distrusting.authenticate(record, allow=[record])  # or the browser picks one
            assert refused.value.code is code


def test_a_frame_in_a_page_of_our_own(chromium: Chromium, party: Party) -> None:
    party.tab.plug(PLATFORM)
    inside = Party(party.rp, party.tab.embed(chromium.sites.localhost, ""))
    record = inside.enrol()
    party.authenticate(record)
    inside.authenticate(record)


def test_a_frame_that_is_not_permitted(chromium: Chromium) -> None:
    with chromium.tab(chromium.sites.embedder) as tab:
        tab.plug(PLATFORM)
        inside = Party(framed(chromium), tab.embed(chromium.sites.localhost, ""))
        for ceremony in (inside.create, inside.get):
            with pytest.raises(RefusalError, match="NotAllowedError"):
                ceremony()
