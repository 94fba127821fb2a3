"""The well-known files as they follow from what operators of tenants save, also where several share an RP ID."""

import json
from pathlib import Path

import pytest

from passkeycore.engine.tenancy.records import Overrides
from tests.server.kit import TenantKit

from .kit import Operator, portal_kit

PAGE = "/tenants/shop/settings"
FINGERPRINT = ":".join(["AB"] * 32)


def test_tenants_of_one_rp_id_share_its_files(tmp_path: Path) -> None:
    """Apps and related origins of each are in them, also what was changed meanwhile."""
    bank = (
        'rp_id = "example.com"\nios_apps = ["ABCDE12345.com.example.bank"]\nrelated_origins = ["https://bank.example"]'
    )
    with portal_kit(tmp_path, bank_more=bank) as (kit, app):
        operator = Operator(kit, app)
        operator.sign_in()
        app_of_shop = f"com.example.shop\r\n{FINGERPRINT}"
        form = {**operator.fields(PAGE), "rp_id": "example.com", "ios_apps": "ABCDE12345.com.example.shop"}
        changed = {**form, "android_apps": app_of_shop, "related_origins": "https://shop.example"}
        assert operator.send(PAGE, changed).status_code == 303
        for host in ("example.com", "behind.a.proxy.example"):
            apple = operator.http.get("/.well-known/apple-app-site-association", headers={"Host": host})
            assert apple.json()["webcredentials"]["apps"] == [
                *("ABCDE12345.com.example.shop", "ABCDE12345.com.example.bank"),
            ]
            related = operator.http.get("/.well-known/webauthn", headers={"Host": host}).json()
            assert related == {"origins": ["https://shop.example", "https://bank.example"]}
        both = {"android_apps": [{"package_name": "com.example.shop", "sha256_fingerprints": ["CD" * 32]}]}
        kit.run(kit.tenants.change("bank", both, revision=0))
        links = operator.http.get("/.well-known/assetlinks.json", headers={"Host": "example.com"}).json()
        assert [link["target"]["package_name"] for link in links] == ["com.example.shop"]
        assert len(links[0]["target"]["sha256_cert_fingerprints"]) == 2
        # Two who save at the same moment do not see each other; the file has what goes, and no error.
        for tenant, names in (("shop", "abcde"), ("bank", "fghij")):
            values = {"rp_id": "example.com", "related_origins": [f"https://{name}.example" for name in names]}
            kit.run(
                kit.storage.repository.replace_overrides(
                    Overrides(values=json.dumps(values).encode(), updated_at=kit.clock.time, revision=2, realm=tenant),
                    None,
                )
            )
        related = operator.http.get("/.well-known/webauthn", headers={"Host": "example.com"})
        assert related.json() == {"origins": [f"https://{name}.example" for name in "abcde"]}


@pytest.mark.parametrize("host", ["shop.example.com", "shop.example.com.", "SHOP.example.com.:443"])
def test_a_host_has_the_files_of_its_rp_id_however_it_is_written(operator: Operator, host: str) -> None:
    """Among tenants of several; a name may end with the dot of the root."""
    operator.send(PAGE, {**operator.fields(PAGE), "ios_apps": "ABCDE12345.com.example.shop"})
    answer = operator.http.get("/.well-known/apple-app-site-association", headers={"Host": host})
    assert answer.json()["webcredentials"]["apps"] == ["ABCDE12345.com.example.shop"]


@pytest.mark.parametrize("host", ["", "[", "[::1]:80", "other.example", ".", "..", "x" * 5000])
def test_a_host_of_nobody_has_no_files(operator: Operator, kit: TenantKit, host: str) -> None:
    operator.send(PAGE, {**operator.fields(PAGE), "ios_apps": "ABCDE12345.com.example.shop"})
    answer = operator.http.get("/.well-known/apple-app-site-association", headers={"Host": host})
    assert answer.status_code == 404


def test_files_of_a_tenant_that_is_not_served_are_not_missing(operator: Operator, kit: TenantKit) -> None:
    """Those who ask would remember for days that they are."""
    overrides = Overrides(values=b"[]", updated_at=kit.clock.time, revision=1, realm="shop")
    kit.run(kit.storage.repository.replace_overrides(overrides, None))
    answer = operator.http.get("/.well-known/assetlinks.json", headers={"Host": "shop.example.com"})
    assert answer.status_code == 503
