"""`VirtualClient`: what stands between server and authenticator, a browser or a native app on a telephone.

It takes the options a server sends and returns the response the page's script would post, both in their
JSON forms.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from hashlib import sha256
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from passkeycore.testing.authenticator import AuthenticatorError, SoftwareAuthenticator
from passkeycore.testing.credential import NewCredential, SoftwareCredential
from passkeycore.testing.encoding import CborValue, JsonObject, b64url_encode, cbor, client_data_json
from passkeycore.testing.extensions import (
    authentication_inputs,
    authentication_results,
    registration_inputs,
    registration_results,
)
from passkeycore.testing.options import (
    ClientError,
    CreationOptions,
    RequestOptions,
    read_creation_options,
    read_request_options,
)
from passkeycore.testing.statements import none
from passkeycore.testing.tamper import UNCHANGED, Tamper

Options: TypeAlias = Mapping[str, object] | str | bytes
Platform: TypeAlias = Literal["browser", "ios", "android"]

ANDROID_ORIGIN: Final = "android:apk-key-hash:" + b64url_encode(sha256(b"passkeycore test app").digest())
"""The origin of the kit's Android app: the hash of `passkeycore test app`, not of a signing certificate."""
ANDROID_PACKAGE: Final = "org.example.passkeycore"
"""The package name of the kit's Android app."""

_ZERO_AAGUID: Final = UUID(int=0)
_REFUSALS: Final = {
    "CTAP2_ERR_CREDENTIAL_EXCLUDED": ("InvalidStateError", "the authenticator has an excluded credential"),
    "CTAP2_ERR_NO_CREDENTIALS": ("NotAllowedError", "the authenticator has no credential for this"),
    "CTAP2_ERR_UNSUPPORTED_ALGORITHM": ("NotSupportedError", "no algorithm of pubKeyCredParams is supported"),
    "CTAP2_ERR_UNSUPPORTED_OPTION": ("NotAllowedError", "the authenticator cannot do what is required"),
}


class VirtualClient:
    """A client with one authenticator and an obliging user, who always consents.

    A browser takes an RP ID that is its origin's host or a parent domain of two labels or more (it knows no
    public suffix list), over https, or http on localhost. Apps take any RP ID, as if their association
    files allowed it. AppIDs are not checked against the origin.
    """

    def __init__(
        self,
        authenticator: SoftwareAuthenticator,
        origin: str | None = None,
        *,
        platform: Platform = "browser",
        cross_origin: bool = False,
        top_origin: str | None = None,
        related_origins: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Makes a client.

        Args:
            authenticator: Who makes and uses credentials.
            origin: What the client data says. None means `https://example.org` for a browser,
                `ANDROID_ORIGIN` for Android and `https://<RP ID>` for iOS.
            platform: Which client data to write: Android leaves `crossOrigin` out and adds
                `androidPackageName`.
            cross_origin: Whether the page is in a frame of another origin.
            top_origin: The embedding page's origin, which needs `cross_origin`; None leaves `topOrigin` out.
            related_origins: RP ID to further origins that may use it, as its well-known document would list
                them.

        Raises:
            ValueError: `top_origin` without `cross_origin`; use `Tamper.client_data` to send such client
                data.
        """
        if top_origin is not None and not cross_origin:
            raise ValueError("top_origin needs cross_origin")
        self.authenticator = authenticator
        self.origin = origin
        self.platform: Platform = platform
        self.cross_origin = cross_origin
        self.top_origin = top_origin
        self.related_origins = related_origins or {}

    def create(self, options: Options, *, mediation: str | None = None, tamper: Tamper = UNCHANGED) -> JsonObject:
        """Registers: what `navigator.credentials.create()` and `toJSON()` give.

        Args:
            options: PublicKeyCredentialCreationOptionsJSON, an object or its text.
            mediation: `conditional` makes a passkey without asking, so with UP and UV clear; None and other
                values ask the user.
            tamper: What to change on the way.

        Returns:
            RegistrationResponseJSON, with the optional members.

        Raises:
            ClientError: The client or the authenticator refuses; `InvalidStateError` if an excluded
                credential is present.

        Spec: #sctn-createCredential
        """
        asked = read_creation_options(options)
        rp_id = self._rp_id(asked.rp_id)
        authenticator = self.authenticator
        if asked.attachment not in (None, self._attachment()):
            raise ClientError("NotAllowedError", "the authenticator is attached differently")
        inputs = registration_inputs(asked.extensions, authenticator.extensions)
        self._refuse_excluded_app_id(asked)
        unasked = mediation == "conditional"
        client_data = self._client_data_json("webauthn.create", asked, rp_id, tamper)
        try:
            made = authenticator.make_credential(
                rp_id=rp_id,
                client_data_hash=sha256(client_data).digest(),
                user_handle=asked.user_handle,
                algorithms=asked.algorithms,
                excluded=asked.excluded,
                discoverable=unasked or self._choose(asked.resident_key, authenticator.resident_keys),
                user_present=not unasked,
                user_verified=not unasked and self._choose(asked.user_verification, authenticator.user_verification),
                extensions=inputs,
                tamper=tamper,
            )
        except AuthenticatorError as error:
            raise ClientError(*_REFUSALS[error.status]) from error
        fmt, statement = self._conveyed(asked.attestation, made)
        attestation = {"fmt": fmt, "attStmt": deepcopy(statement), "authData": made.authenticator_data}
        results = registration_results(asked.extensions, authenticator.extensions, made)
        if "appidExclude" in asked.extensions:
            results["appidExclude"] = True
        response: JsonObject = {
            "clientDataJSON": b64url_encode(client_data),
            "authenticatorData": b64url_encode(made.authenticator_data),
            "transports": sorted(set(authenticator.transports)),
            "publicKey": b64url_encode(made.credential.key.spki()),
            "publicKeyAlgorithm": made.credential.key.algorithm,
            "attestationObject": b64url_encode(tamper.attestation_object(cbor(tamper.attestation(attestation)))),
        }
        return self._credential_json(made.credential, response, results, asked, tamper)

    def get(
        self,
        options: Options,
        *,
        mediation: str | None = None,
        credential_id: bytes | None = None,
        tamper: Tamper = UNCHANGED,
    ) -> JsonObject:
        """Authenticates: what `navigator.credentials.get()` and `toJSON()` give.

        Args:
            options: PublicKeyCredentialRequestOptionsJSON, an object or its text.
            mediation: `conditional` offers discoverable credentials only; None and other values offer all.
            credential_id: The credential the user picks; None takes the first named or the newest.
            tamper: What to change on the way.

        Returns:
            AuthenticationResponseJSON; `userHandle` is there for discoverable credentials.

        Raises:
            ClientError: The client or the authenticator refuses; `NotAllowedError` if no credential fits.

        Spec: #sctn-getAssertion
        """
        asked = read_request_options(options)
        rp_id = self._rp_id(asked.rp_id)
        authenticator = self.authenticator
        user_verified = self._choose(asked.user_verification, authenticator.user_verification)
        app_id = _text_input(asked, "appid")
        found = authenticator.find(rp_id, asked.allowed, user_verified=user_verified)
        if not found and app_id is not None:
            found = authenticator.find(app_id, asked.allowed, user_verified=user_verified)
        if mediation == "conditional":
            found = [credential for credential in found if credential.discoverable]
        if credential_id is not None:
            found = [credential for credential in found if credential.credential_id == credential_id]
        if not found:
            raise ClientError(*_REFUSALS["CTAP2_ERR_NO_CREDENTIALS"])
        chosen = found[0]
        client_data = self._client_data_json("webauthn.get", asked, rp_id, tamper)
        assertion = authenticator.get_assertion(
            rp_id=chosen.rp_id,
            client_data_hash=sha256(client_data).digest(),
            allowed=[chosen.credential_id],
            user_verified=user_verified,
            extensions=authentication_inputs(asked.extensions, asked.allowed, chosen.credential_id),
            tamper=tamper,
        )
        results = authentication_results(asked.extensions, authenticator.extensions, assertion)
        if app_id is not None:
            results["appid"] = chosen.rp_id != rp_id
        response: JsonObject = {
            "clientDataJSON": b64url_encode(client_data),
            "authenticatorData": b64url_encode(assertion.authenticator_data),
            "signature": b64url_encode(assertion.signature),
        }
        if assertion.user_handle is not None:
            response["userHandle"] = b64url_encode(assertion.user_handle)
        return self._credential_json(chosen, response, results, asked, tamper)

    def client_data(self, kind: str, challenge: bytes, rp_id: str) -> JsonObject:
        """The members of the client data, in the specification's order.

        Args:
            kind: `webauthn.create` or `webauthn.get`.
            challenge: Any length.
            rp_id: The RP ID, from which an iOS app's origin follows.

        Spec: #dictionary-client-data
        """
        data: JsonObject = {
            "type": kind,
            "challenge": b64url_encode(challenge),
            "origin": self.origin_for(rp_id),
        }
        if self.platform == "android":
            data["androidPackageName"] = ANDROID_PACKAGE
            return data
        data["crossOrigin"] = self.cross_origin
        if self.top_origin is not None:
            data["topOrigin"] = self.top_origin
        return data

    def origin_for(self, rp_id: str) -> str:
        """The origin the client data names when `rp_id` is used."""
        if self.origin is not None:
            return self.origin
        return {"browser": "https://example.org", "android": ANDROID_ORIGIN, "ios": f"https://{rp_id}"}[self.platform]

    def _client_data_json(
        self, kind: str, asked: CreationOptions | RequestOptions, rp_id: str, tamper: Tamper
    ) -> bytes:
        remote = _text_input(asked, "remoteClientDataJSON")
        if remote is not None:
            return tamper.client_data_json(remote.encode())
        members = tamper.client_data(self.client_data(kind, asked.challenge, rp_id))
        return tamper.client_data_json(client_data_json(members))

    def _rp_id(self, wanted: str | None) -> str:
        if self.platform != "browser":
            if wanted is None:
                raise ClientError("SecurityError", "an app has no RP ID of its own, the options must name it")
            return wanted
        origin = self.origin_for("")
        scheme, host = urlsplit(origin).scheme, urlsplit(origin).hostname or ""
        local = host == "localhost" or host.endswith(".localhost")
        if not (scheme == "https" or (scheme == "http" and local)) or not _is_domain(host):
            raise ClientError("SecurityError", f"{origin} is no secure origin with a domain name")
        if wanted is None or wanted == host or ("." in wanted and host.endswith("." + wanted)):
            return wanted or host
        if origin in self.related_origins.get(wanted, ()):
            return wanted
        raise ClientError("SecurityError", f"the RP ID {wanted} does not suit {origin}")

    def _choose(self, requirement: str, capable: bool) -> bool:
        """What comes of `required`, `preferred` or `discouraged` with this authenticator."""
        if requirement == "required" and not capable:
            raise ClientError(*_REFUSALS["CTAP2_ERR_UNSUPPORTED_OPTION"])
        return capable and requirement != "discouraged"

    def _attachment(self) -> str:
        return "platform" if "internal" in self.authenticator.transports else "cross-platform"

    def _refuse_excluded_app_id(self, asked: CreationOptions) -> None:
        app_id = _text_input(asked, "appidExclude")
        if app_id is not None and self.authenticator.holds(app_id, asked.excluded):
            raise ClientError(*_REFUSALS["CTAP2_ERR_CREDENTIAL_EXCLUDED"])

    def _conveyed(self, conveyance: str, made: NewCredential) -> tuple[str, CborValue]:
        """The attestation after the client has honoured `conveyance`.

        Spec: #sctn-createCredential, "none": self attestation under a zero AAGUID says nothing and may pass.
        """
        anonymous = (
            made.fmt == "packed"
            and isinstance(made.statement, Mapping)
            and "x5c" not in made.statement
            and self.authenticator.aaguid == _ZERO_AAGUID
        )
        if conveyance != "none" or anonymous:
            return made.fmt, made.statement
        return "none", none()

    def _credential_json(
        self,
        credential: SoftwareCredential,
        response: JsonObject,
        results: JsonObject,
        asked: CreationOptions | RequestOptions,
        tamper: Tamper,
    ) -> JsonObject:
        if "remoteClientDataJSON" in asked.extensions:
            results["remoteClientDataJSON"] = True
        return tamper.response(
            {
                "id": b64url_encode(credential.credential_id),
                "rawId": b64url_encode(credential.credential_id),
                "response": response,
                "authenticatorAttachment": self._attachment(),
                "clientExtensionResults": tamper.client_extension_results(results),
                "type": "public-key",
            }
        )


def _text_input(asked: CreationOptions | RequestOptions, name: str) -> str | None:
    value = asked.extensions.get(name)
    if value is not None and not isinstance(value, str):
        raise ClientError("TypeError", f"{name} must be a string")
    return value


def _is_domain(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return bool(host)
    return False
