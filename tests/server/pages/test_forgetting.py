"""A browser is told to forget a passkey only when no realm of the server with its RP ID knows it; without a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from passkeycore.engine.passkeys.service import AsyncPasskeyService
from passkeycore.server.pages import sign_in_url
from passkeycore.server.portal.sessions import REALM
from passkeycore.server.tenancy.tenants import Tenant
from passkeycore.testing import SoftwareAuthenticator, VirtualClient

from .kit import Hasty, Pages, pages_kit


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """The bank has the RP ID of the shop, of the pages and of the portal."""
    with pages_kit(tmp_path, replace={'hostname = "bank.localhost"': 'hostname = "localhost"'}) as kit:
        yield kit


def refusal(pages: Pages, client: VirtualClient) -> set[str]:
    """What the page to sign in to the shop is told of the client's passkey."""
    script = pages.script(pages.http.get(sign_in_url(pages.server, pages.kit.tenant())))
    answer = script.refused("/passkey/finish", client.get(script("/passkey/start")))
    assert answer["code"] == "no_credential"
    return set(answer)


def registered(pages: Pages, passkeys: AsyncPasskeyService) -> VirtualClient:
    client = VirtualClient(SoftwareAuthenticator("phone"), pages.server.origin)
    start = pages.kit.run(
        passkeys.start_registration(user_id="ada", user_name="ada", binding="secret", extra_origin=pages.server.origin)
    )
    pages.kit.run(passkeys.finish_registration(client.create(start.to_dict()), user_id="ada", binding="secret"))
    return client


def test_what_nobody_knows_is_forgotten(pages: Pages) -> None:
    client = pages.new_passkey()
    assert pages.kit.run(pages.kit.tenant().passkeys.remove_all_passkeys("ada"))
    assert refusal(pages, client) == {"code", "message", "signal"}


def test_what_another_tenant_knows_stays(pages: Pages) -> None:
    client = registered(pages, pages.kit.tenant("bank").passkeys)
    assert refusal(pages, client) == {"code", "message"}


def test_what_a_tenant_may_know_that_cannot_be_asked_stays(pages: Pages) -> None:
    client = registered(pages, pages.kit.tenant("bank").passkeys)
    kit = pages.kit

    class Unserved(Hasty):
        async def by_id(self, tenant_id: str) -> Tenant | None:
            if tenant_id == "bank":
                raise HTTPException(503, "The tenant is not served.")
            return await kit.tenants.by_id(tenant_id)

    assert refusal(Pages(kit, tenants=Unserved(kit)), client) == {"code", "message"}


def test_what_opens_the_portal_stays(pages: Pages) -> None:
    rp, storage = pages.kit.tenant().passkeys.context.rp, pages.kit.storage
    operators = AsyncPasskeyService(
        rp, storage.repository, ceremonies=storage.ceremonies, realm=REALM, now=pages.kit.clock
    )
    client = registered(pages, operators)
    assert refusal(pages, client) == {"code", "message"}
