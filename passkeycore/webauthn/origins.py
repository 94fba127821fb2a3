"""Which origins are ours: checks for the names that an application configures.

At run time an origin is an opaque string and the check is equality, byte for byte (`client_data.check_client_data`).
Everything that could make two spellings of one origin differ is refused here, when the Relying Party is built.
Spec: #sctn-validating-origin, #rp-id; https://url.spec.whatwg.org/#host-parsing
"""

import re
from typing import Final

from ..errors import ConfigurationError, DecodeError
from .encoding import decode_base64url, encode_base64url

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_WEB: Final = re.compile(r"(https?)://([^/:?#@\[\]\\]+)(?::([1-9][0-9]{0,4}))?")
_OPAQUE: Final = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")
_FINGERPRINT: Final = re.compile(r"(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{64}")
_ANDROID: Final = "android:apk-key-hash:"
_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}


def android_origin(fingerprint: str) -> str:
    """The origin that Android gives an app, from the SHA-256 fingerprint of its signing certificate.

    Args:
        fingerprint: As ``apksigner`` and Play Console print it: 64 hexadecimal digits, either case, with a colon
            between every two of them or with none at all.

    Returns:
        ``android:apk-key-hash:`` and the fingerprint in base64url without padding, as the app's client data has it.

    Raises:
        ConfigurationError: Anything else, a SHA-1 fingerprint included.

    Spec: https://developer.android.com/identity/sign-in/credential-manager#verify-origin
    """
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise ConfigurationError(
            "an Android fingerprint is SHA-256 in 64 hexadecimal digits, with a colon between every two or none",
            path="fingerprint",
        )
    return _ANDROID + encode_base64url(bytes.fromhex(fingerprint.replace(":", "")))


def check_rp_id(rp_id: str) -> None:
    """Returns only when `rp_id` is a domain in the form in which browsers compare it.

    Raises:
        ConfigurationError: A scheme, port, path, upper case, non-ASCII letters, a trailing dot or an IP address.
    """
    if not _is_domain(rp_id):
        raise ConfigurationError(
            f"the RP ID {rp_id!a} is not a domain: lower case, ASCII (xn-- for other scripts), no scheme and no port",
            path="rp_id",
        )


def _is_domain(host: str) -> bool:
    # A last label of digits (or 0x…) makes the URL standard read the whole as an IPv4 address.
    last = host.rpartition(".")[2]
    return _DOMAIN.fullmatch(host) is not None and not last.isdigit() and not last.startswith("0x")


def check_origin(origin: str) -> str | None:
    """The host of a web origin, or None for the origin of a native app; returns only for the one right spelling.

    Raises:
        ConfigurationError: A web origin with a path, query, user, wildcard, default port, upper case or trailing
            dot, or with http outside localhost; a malformed ``android:apk-key-hash:``; anything else that is not
            ``scheme:rest`` in printable ASCII.
    """
    if origin.startswith(_ANDROID):
        try:
            right = len(decode_base64url(origin.removeprefix(_ANDROID), "origin")) == 32
        except DecodeError:
            right = False
        if not right:
            raise ConfigurationError(
                f"{origin!a} is not {_ANDROID} and 43 characters of base64url without padding: use android_origin()",
                path="origins",
            )
        return None
    web = _WEB.fullmatch(origin)
    if web is None:
        if origin.lower().startswith(("http:", "https:", "android:")) or not _OPAQUE.fullmatch(origin):
            raise ConfigurationError(
                f"{origin!a} is not an origin: https://host or https://host:port, without a path or a trailing slash",
                path="origins",
            )
        return None
    scheme, host, port = web.groups()
    if not _is_domain(host):
        raise ConfigurationError(
            f"the host of {origin!a} is not a domain in lower-case ASCII (xn-- for other scripts)",
            path="origins",
        )
    if port is not None and (int(port) > 65535 or port == _DEFAULT_PORTS[scheme]):
        raise ConfigurationError(
            f"{origin!a}: browsers leave out a default port and have none over 65535", path="origins"
        )
    if scheme == "http" and not (host == "localhost" or host.endswith(".localhost")):
        raise ConfigurationError(f"{origin!a}: WebAuthn works over https, except on localhost", path="origins")
    return host


def is_within(host: str, rp_id: str) -> bool:
    """Whether browsers let a page on `host` use `rp_id`: the same domain or one below it."""
    return host == rp_id or host.endswith("." + rp_id)
