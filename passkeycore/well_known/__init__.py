"""The files below ``/.well-known/`` by which a domain says which apps and sites may use its passkeys. Pure.

A function builds each, another one says what is wrong with one that exists:

    ==============================  ================================  ======================================
    ``/.well-known/``               to build it                       to check it
    ==============================  ================================  ======================================
    ``apple-app-site-association``  `apple_app_site_association`      `check_apple_app_site_association`
    ``assetlinks.json``             `asset_links`                     `check_asset_links`
    ``webauthn``                    `related_origins`                 `check_related_origins`
    ``passkey-endpoints``           `passkey_endpoints`               `check_passkey_endpoints`
    ==============================  ================================  ======================================

Builders return what `to_bytes` makes a file of, and refuse by a `ConfigurationError` whatever the check would call an
error. All four are served by the RP ID's own host over https, with status 200, as ``application/json`` and without a
redirect: `check_response` judges that. `passkeycore.config.well_known` makes them from a configuration.
"""

from .android import AndroidApp, asset_links, check_asset_links
from .apple import apple_app_site_association, check_apple_app_site_association
from .endpoints import check_passkey_endpoints, passkey_endpoints
from .findings import CONTENT_TYPE, Finding, Level, Problem, check_response, to_bytes
from .related import LabelCount, check_related_origins, count_labels, related_origins

__all__ = [
    "CONTENT_TYPE",
    "AndroidApp",
    "Finding",
    "LabelCount",
    "Level",
    "Problem",
    "apple_app_site_association",
    "asset_links",
    "check_apple_app_site_association",
    "check_asset_links",
    "check_passkey_endpoints",
    "check_related_origins",
    "check_response",
    "count_labels",
    "passkey_endpoints",
    "related_origins",
    "to_bytes",
]
