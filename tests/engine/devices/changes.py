"""Changes to a valid flow, for the tables of attacks: one thing each.

What belongs here: what is changed. What becomes of it is in the tables.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from passkeycore.engine.records import User
from passkeycore.testing import SoftwareDevice, SoftwareKey

from ..kit import NOW, Colour, Json, refused
from .kit import (
    ADAS,
    STRANGER,
    Stage,
    answer,
    counted,
    device_of,
    enrol,
    put_challenge,
    put_device,
    secrets_of,
    staged,
)

Change: TypeAlias = Callable[[Stage], object]


class Attack(NamedTuple):
    """What is changed in which flow, and what it ends in."""

    flow: str
    name: str
    code: str
    change: Change
    counts: bool = False
    """It is an attempt at the challenge, which is all that changes."""


def name_of(attack: Attack) -> str:
    """For reports."""
    return f"{attack.flow}: {attack.name}"


def check_attack(colour: Colour, attack: Attack) -> None:
    """Holds only when the attack ends in its code, changes nothing stored, and its error tells no secret."""
    stage = staged(colour, attack.flow)
    attack.change(stage)
    secrets = secrets_of(stage)
    if attack.counts:
        with counted(stage.devices, stage.positional[0]), refused(attack.code) as caught:
            stage.act()
    else:
        with refused(attack.code, stage.devices) as caught:
            stage.act()
    told = repr(caught.value) + str(caught.value) + str(caught.value.to_dict())
    assert [secret for secret in secrets if secret in told] == []


def signer(device: SoftwareDevice) -> Change:
    """Another device does it."""
    return lambda stage: setattr(stage, "signer", device)


def says(**members: Any) -> Change:
    """The device signs another message."""
    return lambda stage: stage.says.update(members)


def asks(**members: Any) -> Change:
    """The call has other arguments, and the signature stays."""
    return lambda stage: stage.asks.update(members)


def instead_of_signature(value: bytes | None) -> Change:
    """These bytes instead of the signature."""
    return lambda stage: stage.given.update(signature=value)


def later(**by: float) -> Change:
    """Time passes."""
    return lambda stage: stage.devices.clock.move(**by)


def signed_as(**members: Any) -> Change:
    """The device has another domain, or another method."""
    return lambda stage: stage.sign_with(**members)


def signs(verb: str, *first: Any, **message: Any) -> Change:
    """The device signs something else, which is good elsewhere."""

    def change(stage: Stage) -> None:
        stage.given["signature"] = getattr(stage.signer, verb)(*(first or (stage.start.challenge_id,)), **message)

    return change


def also(*changes: Change) -> Change:
    """All of these."""

    def change(stage: Stage) -> None:
        for each in changes:
            each(stage)

    return change


def challenge(value: Any) -> Change:
    """This id instead of the challenge's."""
    return lambda stage: stage.positional.__setitem__(0, value)


def another_challenge(asked: Json) -> Change:
    """Another challenge, which is open as well; the device signs for it."""

    def change(stage: Stage) -> None:
        stage.start = stage.devices.start_challenge(**asked)
        stage.positional[0] = stage.says["first"] = stage.start.challenge_id

    return change


def signed_for_another_challenge(asked: Json) -> Change:
    """The signature is for another challenge, which is open as well."""
    return lambda stage: stage.says.update(first=stage.devices.start_challenge(**asked).challenge_id)


def sent_to_another_domain(stage: Stage) -> None:
    """Another server over the same storage."""
    stage.devices = stage.another(domain="elsewhere.example")


def in_another_realm(stage: Stage) -> None:
    """The service of another tenant, where ada has the same devices, over the same storage."""
    stage.devices = stage.another(realm="elsewhere")
    for device in ADAS:
        enrol(stage.devices, device)


def device_removed(stage: Stage) -> None:
    """Meanwhile."""
    stage.devices.remove_device("ada", device_of(stage.devices, stage.signer).authenticator_id)


def device_expired(stage: Stage) -> None:
    """Just now."""
    put_device(stage.devices, stage.signer, expires_at=NOW)


def device_enrolled_anew(stage: Stage) -> None:
    """The same key is another device now."""
    device_removed(stage)
    enrol(stage.devices, stage.signer)


def user_disabled(stage: Stage) -> None:
    """Meanwhile."""
    stage.devices.memory.set_user_disabled("", "ada", NOW, None)


def user_removed(stage: Stage) -> None:
    """Meanwhile."""
    stage.devices.memory.remove_user("", "ada", None)


def user_made_anew(stage: Stage) -> None:
    """Somebody else got the removed user's id."""
    user_removed(stage)
    stage.devices.memory.get_or_create_user(
        User(user_id="ada", user_handle=b"another handle", name="ada", created_at=NOW)
    )


def cancelled(stage: Stage) -> None:
    """By the waiting side."""
    begun = stage.start.challenge
    binding = None if begun.binding is None else "session"
    stage.devices.cancel_challenge(begun.challenge_id, purpose=begun.purpose, user_id=begun.user_id, binding=binding)


def no_attempt_left(stage: Stage) -> None:
    """The last attempt was taken, and nobody has written yet that it failed."""
    put_challenge(stage.devices, stage.start.challenge_id, attempts_left=0)


def done_before(stage: Stage) -> None:
    """It succeeded before."""
    stage.act()


def rejected_before(stage: Stage) -> None:
    """By the same device."""
    answer(stage.devices, stage.signer, stage.start, "reject")


def in_a_service_that_is(**settings: Any) -> Change:
    """Another service with these settings over the same storage, as after a new release."""
    return lambda stage: setattr(stage, "devices", stage.another(**settings))


def _point_of(device: SoftwareDevice) -> Any:
    return device.key.public_key


def _compressed(device: SoftwareDevice) -> bytes:
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    return head + bytes(_point_of(device).public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


def _pem(device: SoftwareDevice) -> bytes:
    return bytes(_point_of(device).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _spki_on(curve: ec.EllipticCurve) -> bytes:
    key = ec.derive_private_key(7, curve).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


_MALFORMED: Final = "public_key_malformed"
_KEYS: Final[dict[str, tuple[str, Callable[[SoftwareDevice], Any]]]] = {
    "a wrong curve": (_MALFORMED, lambda _: _spki_on(ec.SECP384R1())),
    "a wrong curve of the same length": (_MALFORMED, lambda _: _spki_on(ec.SECP256K1())),
    "RSA": (_MALFORMED, lambda _: SoftwareKey.derive("rsa", -257).spki()),
    "a compressed point": (_MALFORMED, _compressed),
    "a bare point": (_MALFORMED, lambda device: device.public_key[-65:]),
    "PEM": (_MALFORMED, _pem),
    "a byte after it": (_MALFORMED, lambda device: device.public_key + b"\0"),
    "nothing": (_MALFORMED, lambda _: b""),
    "longer than any": (_MALFORMED, lambda _: bytes(1025)),
    "a text": (_MALFORMED, lambda device: device.public_key.hex()),
    "none": (_MALFORMED, lambda _: None),
    "off the curve": (
        "public_key_invalid",
        lambda device: device.public_key[:-1] + bytes([device.public_key[-1] ^ 1]),
    ),
}
_SIGNATURES: Final[dict[str, tuple[str, Any]]] = {
    "empty": ("signature_invalid", b""),
    "raw instead of DER": ("signature_invalid", bytes(range(64))),
    "longer than any": ("signature_invalid", bytes(73)),
    "another key's": ("signature_invalid", STRANGER.sign(b"x")),
    "as long as any input": ("signature_invalid", bytes(1024)),
    "longer than any input": ("too_large", bytes(1025)),
    "a text": ("too_large", "MEUCIQ"),
}


def _with_key(make: Callable[[SoftwareDevice], Any]) -> Change:
    return lambda stage: stage.given.update(public_key=make(stage.signer))


def wrong_form(flow: str, *, counts: bool = False) -> list[Attack]:
    """Attacks on how a device names itself and signs, whatever it signs."""
    return [
        *(Attack(flow, f"key: {name}", code, _with_key(make)) for name, (code, make) in _KEYS.items()),
        *(
            Attack(
                flow,
                f"signature: {name}",
                code,
                instead_of_signature(value),
                counts=counts and code == "signature_invalid",
            )
            for name, (code, value) in _SIGNATURES.items()
        ),
        Attack(flow, "signed for another domain", "signature_invalid", signed_as(domain="else.example"), counts),
        Attack(flow, "sent to another domain", "signature_invalid", sent_to_another_domain, counts),
    ]
