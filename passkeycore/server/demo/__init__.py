"""What ``passkeycore demo`` serves: a page on localhost where passkeys are made, used, renamed and removed.

`app` has its routes, `http` and `sessions` what they need to be safe, `static` the page.
"""

from .app import ACCOUNT_ROUTES, WEBAUTHN_ROUTES, demo_app

__all__ = ["ACCOUNT_ROUTES", "WEBAUTHN_ROUTES", "demo_app"]
