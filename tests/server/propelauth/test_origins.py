"""``additionalAllowedOrigin``: one origin more for one ceremony, which counts where start and finish both name it."""

from typing import Final

import pytest

from tests.server.kit import ORIGINS

from .kit import World, browser

HOME: Final = ORIGINS["shop"]
PREVIEW: Final = "https://preview.shop.example.com:8443"
OTHER: Final = "https://other.shop.example.com"
NO_EXTRA: Final = None

# What the start names, what the finish names, where the page is, whether it counts.
ROWS: Final = [
    (NO_EXTRA, NO_EXTRA, HOME, True),
    (PREVIEW, PREVIEW, PREVIEW, True),
    (PREVIEW, PREVIEW, HOME, True),
    (HOME, HOME, HOME, True),
    (PREVIEW, NO_EXTRA, HOME, True),
    (NO_EXTRA, PREVIEW, HOME, True),
    (PREVIEW, OTHER, HOME, True),
    (NO_EXTRA, NO_EXTRA, PREVIEW, False),
    (PREVIEW, NO_EXTRA, PREVIEW, False),
    (NO_EXTRA, PREVIEW, PREVIEW, False),
    (PREVIEW, OTHER, PREVIEW, False),
    (PREVIEW, OTHER, OTHER, False),
    (PREVIEW, PREVIEW, OTHER, False),
    (HOME, HOME, PREVIEW, False),
]


@pytest.mark.parametrize(("at_start", "at_finish", "page", "good"), ROWS)
def test_an_origin_more_counts_where_start_and_finish_name_it(
    shop: World, at_start: str | None, at_finish: str | None, page: str, good: bool
) -> None:
    client = browser(origin=page)
    first = {} if at_start is None else {"additionalAllowedOrigin": at_start}
    second = {} if at_finish is None else {"additionalAllowedOrigin": at_finish}
    made = client.create(shop.start(**first))
    created = shop.finish(made, **second)
    assert created.good is good
    if not good:
        assert created.members["type"] == "OriginNotAllowed"
        assert shop.ids() == []
        # It was spent, also for those who would name the right origin now.
        assert shop.finish(made, additionalAllowedOrigin=page).members == {"type": "NoRegistrationChallengeFound"}
        client.origin = HOME
        assert shop.finish(client.create({**shop.start(), "excludeCredentials": []})).good
        client.origin = page
    used = client.get(shop.ask(**first))
    signed_in = shop.verify(used, **second)
    assert signed_in.good is good
    if not good:
        assert signed_in.members["type"] == "OriginNotAllowed"
        assert shop.verify(used, additionalAllowedOrigin=page).members == {"type": "NoAuthenticationChallengeFound"}


def test_each_sdk_can_name_it(each_sdk: World) -> None:
    shop, client, extra = each_sdk, browser(origin=PREVIEW), {"additionalAllowedOrigin": PREVIEW}
    assert shop.finish(client.create(shop.start(**extra)), **extra).good
    assert shop.verify(client.get(shop.ask(**extra)), **extra).good


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://shop.example.com.evil.example", "http://localhost"]
)
def test_an_origin_on_another_host_is_refused_as_browsers_would(shop: World, origin: str) -> None:
    shop.new_passkey()
    for command, data in (
        ("StartPasskeyRegistration", {"emailOrUsername": "ada"}),
        ("FinishPasskeyRegistration", {"publicKey": {}}),
        ("StartPasskeyAuthentication", {}),
        ("FinishPasskeyAuthentication", {"publicKey": {}}),
    ):
        refused = shop.run(command, userId="ada", additionalAllowedOrigin=origin, **data)
        assert refused.members["type"] == "UnexpectedError"
        assert "additionalAllowedOrigin" in refused.members["details"]


def test_what_a_finish_names_does_not_outlive_it(shop: World) -> None:
    client = browser(origin=PREVIEW)
    shop.finish(client.create(shop.start(additionalAllowedOrigin=PREVIEW)), additionalAllowedOrigin=PREVIEW)
    assert shop.verify(client.get(shop.ask())).members["type"] == "OriginNotAllowed"
