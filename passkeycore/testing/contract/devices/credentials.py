"""Rules for devices: what comes back, whose they are, how many there may be, and what may change them."""

from datetime import timedelta

import msgspec

from passkeycore.devices import DEVICE_METHODS
from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.engine.records import Account
from passkeycore.testing.contract.devices.samples import (
    changed,
    device,
    full_device,
    least_device,
    owned,
    public_key,
    successors,
)
from passkeycore.testing.contract.harness import expect, rule
from passkeycore.testing.contract.samples import NOW, TEXT, passkey, realm, user

_LATER = NOW + timedelta(days=30, microseconds=-1)
_SECOND = timedelta(seconds=1)


class DeviceRules:
    """Part of `DeviceContract`."""

    @rule
    async def test_a_device_comes_back(self, repository: AsyncDeviceRepository) -> None:
        """A device comes back equal in every member, with its owner, from each reading method."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        for make in (device, full_device, least_device):
            kept = make(owner)
            expect(await repository.add_device(kept, 5, None), "added")
            found = await repository.find_device(of, kept.method, kept.public_key)
            expect(found, (kept, owner), "the device with its owner")
            expect(await repository.list_devices(of, owner.user_id), (kept,), "the devices")
            expect(await repository.remove_device(of, owner.user_id, kept.authenticator_id, None), True)

    @rule
    async def test_an_unknown_device_is_none(self, repository: AsyncDeviceRepository) -> None:
        """A key that nobody enrolled gives None, also where another method has it; nobody has no devices."""
        of = realm()
        _, kept = await owned(repository, of)
        expect(await repository.find_device(of, kept.method, public_key()), None)
        expect(await repository.find_device(of, "in-app", kept.public_key), None, "the answer for another method")
        expect(await repository.list_devices(of, user(of).user_id), (), "the devices of nobody")

    @rule
    async def test_the_oldest_device_comes_first(self, repository: AsyncDeviceRepository) -> None:
        """Devices are listed by the time at which they were made, in whatever order they came."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        kept = [device(owner, created_at=NOW + seconds * _SECOND) for seconds in (20, 0, -3, 10)]
        for each in kept:
            await repository.add_device(each, 5, None)
        in_order = tuple(sorted(kept, key=lambda each: each.created_at))
        expect(await repository.list_devices(of, owner.user_id), in_order, "the devices")

    @rule
    async def test_devices_that_look_alike_are_different(self, repository: AsyncDeviceRepository) -> None:
        """Keys compare byte for byte over their whole length, and authenticator ids character for character."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        start, end = "Device-" + "a" * 20, public_key()[27:-2]
        ids = [start + tail for tail in ("", "b", "B", "b ", " b", "%", "_", "\xe9", "e\u0301", "b" * 37, "b" * 36)]
        tails = (b"aa", b"aA", b"a ", b"a\x00", b"\x00\x00", b"\x00a", b"a%", b"a_", b"\xff\xff", b"\xc3\xa9", b"  ")
        kept = [
            device(owner, authenticator_id=authenticator_id, public_key=public_key(end + tail))
            for authenticator_id, tail in zip(ids, tails, strict=True)
        ]
        for each in kept:
            expect(await repository.add_device(each, 20, None), "added", f"the answer to {each.authenticator_id!a}")
        for each in kept:
            found = await repository.find_device(of, each.method, each.public_key)
            expect(found, (each, owner), f"the device {each.authenticator_id!a}")
        renamed = changed(kept[0], name="renamed")
        expect(await repository.replace_device(renamed, None), True)
        expect(await repository.remove_device(of, owner.user_id, ids[1], None), True)
        for each in kept[2:]:
            found = await repository.find_device(of, each.method, each.public_key)
            expect(found, (each, owner), f"the device {each.authenticator_id!a}")

    @rule
    async def test_a_device_is_never_replaced(self, repository: AsyncDeviceRepository) -> None:
        """An authenticator id, or a key of the same method, that is there is refused, whoever comes with it."""
        of = realm()
        (owner, kept), (other, theirs) = await owned(repository, of), await owned(repository, of)
        for who in (owner, other):
            for again in (
                device(who, authenticator_id=kept.authenticator_id, name="replaced"),
                device(who, authenticator_id=kept.authenticator_id, method="in-app", name="replaced"),
                device(who, public_key=kept.public_key, name="replaced"),
                device(who, authenticator_id=kept.authenticator_id, public_key=kept.public_key, name="replaced"),
            ):
                expect(await repository.add_device(again, 5, None), "credential_exists")
                found = await repository.find_device(of, kept.method, kept.public_key)
                expect(found, (kept, owner), "the device with its owner")
        expect(await repository.list_devices(of, owner.user_id), (kept,), "the owner's devices")
        expect(await repository.list_devices(of, other.user_id), (theirs,), "the other user's devices")

    @rule
    async def test_one_key_serves_several_methods(self, repository: AsyncDeviceRepository) -> None:
        """One key under each method is one device each, of the same user or of several."""
        of, key = realm(), public_key()
        owner, other = await repository.get_or_create_user(user(of)), await repository.get_or_create_user(user(of))
        kept = [
            (device(who, method=method, public_key=key), who)
            for method, who in zip(DEVICE_METHODS, (owner, other, owner), strict=True)
        ]
        for each, _ in kept:
            expect(await repository.add_device(each, 5, None), "added", f"the answer for {each.method}")
        for each, who in kept:
            found = await repository.find_device(of, each.method, key)
            expect(found, (each, who), f"the device for {each.method}")
        expect(await repository.remove_device(of, other.user_id, kept[1][0].authenticator_id, None), True)
        expect(await repository.find_device(of, kept[1][0].method, key), None, "the device that was removed")
        expect(await repository.find_device(of, kept[2][0].method, key), kept[2], "the device for another method")

    @rule
    async def test_no_more_devices_than_the_limit(self, repository: AsyncDeviceRepository) -> None:
        """A user has at most `limit` devices, of all methods together and expired ones too; passkeys are not counted.

        What is removed makes room again, whichever it was.
        """
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        expect(await repository.add_passkey(passkey(owner), 1, None, None), "added", "the answer to a passkey")
        over = NOW - timedelta(days=1)
        kept = [device(owner, method=method, expires_at=over) for method in (*DEVICE_METHODS, "push", "in-app")]
        for number, each in enumerate(kept):
            expect(await repository.add_device(each, number, None), "limit_reached", f"the answer at {number}")
            expect(await repository.find_device(of, each.method, each.public_key), None, "the device refused")
            expect(await repository.add_device(each, 5, None), "added", f"the answer after {number}")
        for removed in (kept[2], kept[0], kept[4]):
            expect(await repository.add_device(device(owner), 5, None), "limit_reached")
            await repository.remove_device(of, owner.user_id, removed.authenticator_id, None)
            expect(await repository.add_device(device(owner), 5, None), "added", "the answer when one left")
        expect(await repository.add_device(device(owner), 6, None), "added", "the answer to a higher limit")
        expect(await repository.add_passkey(passkey(owner), 2, None, None), "added", "the answer to a second passkey")
        other = await repository.get_or_create_user(user(of))
        expect(await repository.add_device(device(other), 1, None), "added", "the answer for another user")

    @rule
    async def test_only_a_known_user_gets_a_device(self, repository: AsyncDeviceRepository) -> None:
        """Without its user, or for a disabled one, no device is stored."""
        of = realm()
        elsewhere = await repository.get_or_create_user(user(realm()))
        disabled = await repository.get_or_create_user(user(of))
        await repository.set_user_disabled(of, disabled.user_id, NOW, None)
        for refused, reason in (
            (device(user(of)), "user_not_found"),
            (device(elsewhere, realm=of), "user_not_found"),
            (device(disabled), "user_disabled"),
        ):
            expect(await repository.add_device(refused, 5, None), reason)
            found = await repository.find_device(of, refused.method, refused.public_key)
            expect(found, None, "the device that was refused")
            expect(await repository.list_devices(of, refused.user_id), (), "the devices")
        await repository.set_user_disabled(of, disabled.user_id, None, None)
        expect(await repository.add_device(device(disabled), 5, None), "added", "the answer when enabled")

    @rule
    async def test_a_device_is_changed(self, repository: AsyncDeviceRepository) -> None:
        """Everything but owner, method and key can be written over, also with None, and no other device changes."""
        of = realm()
        (owner, kept), (other, untouched) = await owned(repository, of), await owned(repository, of)
        second = device(owner, created_at=NOW + _SECOND)
        await repository.add_device(second, 5, None)
        full = full_device(owner)
        attested = full.app_attest
        for changes in (
            {"name": TEXT, "platform": TEXT, "push_token": full.push_token},
            {"user_authentication_required": True, "app_attest": attested, "last_used_at": _LATER},
            {"expires_at": _LATER + timedelta(microseconds=1), "last_used_at": NOW},
            {"push_token": None, "app_attest": None, "expires_at": None, "user_authentication_required": False},
        ):
            kept = changed(kept, **changes)
            expect(await repository.replace_device(kept, None), True)
            found = await repository.find_device(of, kept.method, kept.public_key)
            expect(found, (kept, owner), "the device with its owner")
            expect(await repository.list_devices(of, owner.user_id), (kept, second), "the devices")
        expect(await repository.list_devices(of, other.user_id), (untouched,), "another user's devices")
        await repository.set_user_disabled(of, owner.user_id, NOW, None)
        expect(await repository.replace_device(changed(kept), None), True, "the answer for a disabled user")

    @rule
    async def test_a_device_is_changed_only_as_read(self, repository: AsyncDeviceRepository) -> None:
        """Where the stored revision is not one less, or the device is gone, nothing is written and nothing revived."""
        of = realm()
        owner, kept = await owned(repository, of)
        for _ in range(2):
            kept = changed(kept)
            expect(await repository.replace_device(kept, None), True)
        for revision in (0, 1, 2, 4, 5):
            stale = msgspec.structs.replace(kept, revision=revision, name="stale")
            expect(await repository.replace_device(stale, None), False, f"the answer to revision {revision} after 2")
            found = await repository.find_device(of, kept.method, kept.public_key)
            expect(found, (kept, owner), "the device with its owner")
        elsewhere = changed(kept, realm=realm())
        expect(await repository.replace_device(elsewhere, None), False, "the answer in another realm")
        expect(await repository.replace_device(changed(device(owner)), None), False, "the answer to no device")
        expect(await repository.list_devices(of, owner.user_id), (kept,), "the devices")
        await repository.remove_device(of, owner.user_id, kept.authenticator_id, None)
        expect(await repository.replace_device(changed(kept), None), False, "the answer when it is gone")
        expect(await repository.find_device(of, kept.method, kept.public_key), None, "the device that is gone")
        expect(await repository.list_devices(of, owner.user_id), (), "the devices at the end")

    @rule
    async def test_a_device_that_took_the_id_of_another_stays(self, repository: AsyncDeviceRepository) -> None:
        """What was read of a device that is gone is not written over another one with its id."""
        of = realm()
        owner, other = await repository.get_or_create_user(user(of)), await repository.get_or_create_user(user(of))
        for gone, heir in successors(owner, other):
            await repository.add_device(gone, 5, None)
            await repository.remove_device(of, owner.user_id, gone.authenticator_id, None)
            expect(await repository.add_device(heir, 5, None), "added", "the answer to an id that is free")
            expect(await repository.replace_device(changed(gone, name="stale"), None), False)
            found = await repository.find_device(of, heir.method, heir.public_key)
            expect(found, (heir, other if heir.user_id == other.user_id else owner), "the device with its owner")
            found = await repository.find_device(of, gone.method, gone.public_key)
            same_key = (heir.method, heir.public_key) == (gone.method, gone.public_key)
            expect(found is not None, same_key, "whether the first device's key is there")
            expect(await repository.replace_device(changed(heir), None), True, "the answer to a change of the new one")

    @rule
    async def test_the_owner_removes_a_device(self, repository: AsyncDeviceRepository) -> None:
        """Removing takes one device; its key and id are free again; for somebody else's the answer is False."""
        of = realm()
        (owner, kept), (other, theirs) = await owned(repository, of), await owned(repository, of)
        second = device(owner, created_at=NOW + _SECOND)
        await repository.add_device(second, 5, None)
        for who in (other.user_id, user(of).user_id, owner.user_id.upper(), owner.user_id + " ", ""):
            expect(
                await repository.remove_device(of, who, kept.authenticator_id, None), False, f"the answer to {who!r}"
            )
            found = await repository.find_device(of, kept.method, kept.public_key)
            expect(found, (kept, owner), "the device with its owner")
        expect(await repository.remove_device(of, owner.user_id, kept.authenticator_id, None), True)
        expect(await repository.find_device(of, kept.method, kept.public_key), None, "the removed device")
        expect(await repository.list_devices(of, owner.user_id), (second,), "the devices")
        expect(await repository.list_devices(of, other.user_id), (theirs,), "the other user's devices")
        expect(await repository.remove_device(of, owner.user_id, kept.authenticator_id, None), False, "the second time")
        heir = device(other, authenticator_id=kept.authenticator_id, public_key=kept.public_key)
        expect(await repository.add_device(heir, 5, None), "added", "the answer to a key and an id that are free")

    @rule
    async def test_passkeys_and_devices_keep_apart(self, repository: AsyncDeviceRepository) -> None:
        """Removing all passkeys of a user leaves the devices, and the account lists none of these."""
        of = realm()
        owner, kept = await owned(repository, of)
        await repository.add_passkey(passkey(owner), 5, None, None)
        expect(await repository.remove_passkeys(of, owner.user_id, None), 1, "the number of passkeys")
        expect(await repository.find_account(of, owner.user_id), Account(user=owner), "the account")
        expect(await repository.list_devices(of, owner.user_id), (kept,), "the devices")

    @rule
    async def test_realms_have_their_own_devices(self, repository: AsyncDeviceRepository) -> None:
        """The same user, id and key in two realms are unrelated: what one realm does, the other keeps."""
        one = realm()
        owner, kept = await owned(repository, one)
        for of in (one.lower(), one + " ", "", realm()):
            twin = msgspec.structs.replace(owner, realm=of)
            theirs = device(twin, authenticator_id=kept.authenticator_id, public_key=kept.public_key, name="twin")
            expect(await repository.find_device(of, kept.method, kept.public_key), None, f"the device in realm {of!r}")
            expect(await repository.list_devices(of, owner.user_id), (), f"the devices in realm {of!r}")
            expect(await repository.remove_device(of, owner.user_id, kept.authenticator_id, None), False)
            await repository.get_or_create_user(twin)
            expect(await repository.replace_device(changed(theirs), None), False, "the answer before it is there")
            expect(await repository.add_device(theirs, 1, None), "added", "the answer to the same device elsewhere")
            expect(await repository.replace_device(changed(theirs), None), True)
            expect(await repository.remove_device(of, owner.user_id, kept.authenticator_id, None), True)
            expect(await repository.remove_user(of, owner.user_id, None), True)
            found = await repository.find_device(one, kept.method, kept.public_key)
            expect(found, (kept, owner), "the first device with its owner")
            expect(await repository.list_devices(one, owner.user_id), (kept,), "the first realm's devices")
