"""`Devices`: trusted devices and the challenges that they are to answer, in the tables of `models`."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped,no-any-return"
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.transaction import atomic, set_rollback

from passkeycore.engine.devices.records import DeviceChallenge, DeviceCredential
from passkeycore.engine.records import Event, User
from passkeycore.engine.repository import Addition

from . import models
from .models import columns, replace
from .passkeys import GRACE, Passkeys, owner_is, remove_in_steps, users


class Devices(Passkeys):
    """A `passkeycore.engine.devices.repository.DeviceRepository`.

    Devices join the request's transaction, as passkeys do. Challenges do not, as ceremonies do not: after a rollback
    a challenge is still answered, and only the device does not remember when it did so.
    """

    def __init__(self, ceremonies: str = "ceremonies") -> None:
        super().__init__(ceremonies)
        self._challenges = models.DeviceChallenge.objects.using(ceremonies)

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        try:
            with atomic():
                user = users(device.realm, device.user_id).select_for_update().first()  # as in `add_passkey`
                if user is None:
                    return "user_not_found"
                if user.disabled_at is not None:
                    return "user_disabled"
                if user.device_set.count() >= limit:
                    return "limit_reached"
                user.device_set.create(**columns(models.Device, device))
                return "added"
        except IntegrityError:
            return "credential_exists"

    def find_device(self, realm: str, method: str, public_key: bytes, /) -> tuple[DeviceCredential, User] | None:
        rows = models.Device.objects.select_related("user")
        row = rows.filter(realm=realm, method=method, public_key=public_key).first()
        return row and (row.to_record(), row.user.to_record())

    def list_devices(self, realm: str, user_id: str, /) -> tuple[DeviceCredential, ...]:
        rows = models.Device.objects.filter(realm=realm, user__user_id=user_id).order_by("created_at", "pk")
        return tuple(row.to_record() for row in rows)

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        return replace(_as_named(device), device)

    def remove_device(self, realm: str, user_id: str, authenticator_id: str, event: Event | None, /) -> bool:
        rows = models.Device.objects.filter(realm=realm, user__user_id=user_id, authenticator_id=authenticator_id)
        return rows.delete()[0] == 1

    def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        values = columns(models.DeviceChallenge, challenge)
        names = {name: values.pop(name) for name in ("realm", "challenge_id")}
        return self._challenges.get_or_create(**names, defaults=values)[1]

    def find_device_challenge(self, realm: str, challenge_id: str, /) -> DeviceChallenge | None:
        row = self._challenges.filter(realm=realm, challenge_id=challenge_id).first()
        return row and row.to_record()

    def pending_device_challenges(
        self, realm: str, user_id: str, now: datetime, limit: int, /
    ) -> tuple[DeviceChallenge, ...]:
        theirs = self._challenges.filter(realm=realm, user_id=user_id)
        rows = theirs.filter(state__in=("pending", "claimed"), expires_at__gt=now).order_by("-created_at", "-pk")
        return tuple(row.to_record() for row in rows[:limit])

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        if device is None:
            return self._replace_challenge(challenge)
        # The device first: it is locked until its transaction ends, so that nobody removes it before the answer counts.
        with atomic():
            enabled = _as_named(device).filter(owner_is(disabled_at=None))
            done = replace(enabled, device) and self._replace_challenge(challenge)
            set_rollback(not done)
        return done

    def remove_expired(self, now: datetime, /) -> int:
        return super().remove_expired(now) + remove_in_steps(self._challenges.filter(expires_at__lt=now - GRACE))

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        with atomic():
            removed = super().remove_user(realm, user_id, event)  # and with it, by their foreign key, the devices
            return self._challenges.filter(realm=realm, user_id=user_id).delete()[0] > 0 or removed

    def _replace_challenge(self, challenge: DeviceChallenge) -> bool:
        with atomic(using=self._alias, durable=True):  # as in `take_ceremony`
            rows = self._challenges.filter(realm=challenge.realm, challenge_id=challenge.challenge_id)
            return replace(rows, challenge)


def _as_named(device: DeviceCredential) -> Any:
    names = ("realm", "authenticator_id", "method", "public_key")
    rows = models.Device.objects.filter(owner_is(user_id=device.user_id))  # the id may be another device's by now
    return rows.filter(**{name: getattr(device, name) for name in names})
