"""Realms: two services over one repository that have nothing in common but the repository."""

from collections.abc import Callable
from typing import Any

import pytest

from passkeycore.testing import VirtualClient

from .kit import ADA, Colour, Engine, browser, engine, refused


@pytest.fixture
def device() -> VirtualClient:
    return browser()


@pytest.fixture
def tenants(colour: Colour, device: VirtualClient) -> tuple[Engine, Engine]:
    """Two realms; ada has a passkey in the first."""
    first = engine(colour, realm="a", store_events=True)
    second = engine(colour, realm="b", memory=first.memory, seed="b", store_events=True)
    first.register(client=device)
    return first, second


def test_users_and_passkeys_of_another_realm_do_not_exist(tenants: tuple[Engine, Engine]) -> None:
    first, second = tenants
    assert second.find_user("ada") is None
    assert second.list_passkeys("ada") == ()
    assert second.remove_all_passkeys("ada") == 0
    (passkey,) = first.list_passkeys("ada")
    assert passkey.realm == "a"
    second.get_or_create_user("ada", "ada")
    calls: tuple[Callable[[], object], ...] = (
        lambda: second.remove_passkey("ada", passkey.credential_id),
        lambda: second.rename_passkey("ada", passkey.credential_id, "mine"),
        lambda: second.confirm_user_verification("ada", passkey.credential_id),
        lambda: second.start_authentication(user_id="ada"),
    )
    for call in calls:
        with refused("no_credential", first):
            call()


def test_a_ceremony_of_another_realm_is_neither_found_nor_spent(
    tenants: tuple[Engine, Engine], device: VirtualClient
) -> None:
    first, second = tenants
    body = device.get(first.start_authentication().to_dict())
    with refused("challenge_unknown", first):
        second.finish_authentication(body)
    assert first.finish_authentication(body).user.realm == "a"
    start = first.start_registration(**ADA)
    body = browser("two").create(start.to_dict())
    with refused("challenge_unknown", first):
        second.finish_registration(body, user_id="ada")
    assert first.finish_registration(body, user_id="ada")


def test_a_passkey_of_another_realm_is_unknown(tenants: tuple[Engine, Engine], device: VirtualClient) -> None:
    _, second = tenants
    with refused("no_credential", second):
        second.finish_authentication(device.get(second.start_authentication().to_dict()))


def test_one_authenticator_may_be_registered_in_both(tenants: tuple[Engine, Engine]) -> None:
    first, second = tenants
    same = second.register()
    assert same.credential_id == first.list_passkeys("ada")[0].credential_id
    second.remove_user("ada")
    assert len(first.list_passkeys("ada")) == 1


def test_events_are_told_apart(tenants: tuple[Engine, Engine]) -> None:
    first, second = tenants
    assert [event.realm for event in first.list_events().events] == ["a"]
    assert second.list_events().events == ()
    assert second.count_events() == ()


def test_limits_count_each_realm(colour: Colour) -> None:
    services: list[Any] = [engine(colour, realm="a", max_passkeys_per_user=1)]
    services.append(engine(colour, realm="b", max_passkeys_per_user=1, memory=services[0].memory, seed="b"))
    for service in services:
        assert service.register()
        with refused("limit_reached"):
            service.start_registration(**ADA)
