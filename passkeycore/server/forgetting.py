"""Whether a client may be told to forget a passkey that nobody knows here.

Browsers and devices keep passkeys by RP ID. Several realms of one server can share one, such as two tenants, or a
tenant and the operator's portal: what is unknown to one may be all that somebody has in another.
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from ..errors import PasskeyError
from ..webauthn.encoding import decode_base64url
from .portal.sessions import REALM
from .tenancy.tenants import Tenant, Tenants

if TYPE_CHECKING:
    from ..config.server import ServerSettings


async def may_forget(tenants: Tenants, settings: "ServerSettings", tenant: Tenant, credential_id: str) -> bool:
    """Whether the passkey is unknown in every realm of the server that has the tenant's RP ID.

    Args:
        tenants: All of the server's.
        settings: Which tenants there are, and where the portal is.
        tenant: To whom the passkey was shown, and who does not know it.
        credential_id: Of the passkey, in base64url.

    Raises:
        DecodeError: `base64url_invalid`: what tells of no passkey.
    """
    context = tenant.passkeys.context
    if urlsplit(settings.base_url).hostname == context.rp.id:
        operators = await context.repository.find_passkey(REALM, decode_base64url(credential_id, "id"))
        if operators is not None:
            return False
    for tenant_id in settings.tenants:
        try:
            other = await tenants.by_id(tenant_id)
        except (PasskeyError, HTTPException):  # who cannot be served now may know it all the same
            return False
        if other is None or other.passkeys.context.rp.id != context.rp.id:
            continue
        if await other.passkeys.find_passkey(credential_id) is not None:
            return False
    return True
