"""The kit itself: both tenants sign somebody in, and a server answers on its port."""

from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.server.kit import API_KEYS, BASE_URL, INTEGRATION_KEYS, free_port, tenant_kit


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(request.base_url))


APP = Starlette(routes=[Route("/", hello)])


def test_both_tenants_register_and_sign_in(tmp_path: Path) -> None:
    with tenant_kit(tmp_path) as kit:
        for tenant_id in ("shop", "bank"):
            tenant, browser = kit.tenant(tenant_id), kit.virtual_client(tenant_id)
            start = kit.run(tenant.passkeys.start_registration(user_id="ada", user_name="Ada", binding="b"))
            kit.run(tenant.passkeys.finish_registration(browser.create(start.to_dict()), user_id="ada", binding="b"))
            asked = kit.run(tenant.passkeys.start_authentication(binding="b"))
            done = kit.run(tenant.passkeys.finish_authentication(browser.get(asked.to_dict()), binding="b"))
            assert done.user_id == "ada"


def test_keys_of_the_file_open_their_tenant_for_their_kind(tmp_path: Path) -> None:
    with tenant_kit(tmp_path) as kit:
        for tenant_id in ("shop", "bank"):
            for kind, key in (("api", API_KEYS[tenant_id]), ("integration", INTEGRATION_KEYS[tenant_id])):
                holder = kit.run(kit.tenants.by_key(key, kind))
                assert holder is not None
                assert holder.tenant.tenant_id == tenant_id


def test_a_client_and_a_server_reach_the_application(tmp_path: Path) -> None:
    with tenant_kit(tmp_path) as kit:
        assert kit.client(APP).get("/").text == f"{BASE_URL}/"
        with kit.live(APP) as url:
            assert httpx.get(url).text == f"{url}/"


def test_a_port_of_localhost_can_be_chosen_before(tmp_path: Path) -> None:
    port = free_port()
    with tenant_kit(tmp_path, port=port) as kit, kit.live(APP, port) as url:
        assert url == kit.settings.base_url == kit.tenant("shop").settings.config.origins[0]
        assert kit.tenant("bank").settings.config.rp_id == "bank.localhost"
