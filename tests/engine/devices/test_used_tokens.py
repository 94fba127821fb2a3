"""A token enrols one device, once: what was removed does not come back with it."""

from passkeycore.testing import SoftwareDevice

from ..kit import Colour, refused
from .kit import DOMAIN, device_engine


def test_a_removed_device_is_not_brought_back_by_the_token_that_enrolled_it(colour: Colour) -> None:
    """Neither the same key, by the very request that somebody has seen, nor another one."""
    devices = device_engine(colour)
    token = devices.start_enrolment("ada", user_name="Ada").token
    asked = {"method": "push", "name": "Phone", "platform": "ios"}
    phone, other = (SoftwareDevice(seed, domain=DOMAIN, method="push") for seed in ("phone", "another"))
    device = devices.enrol_device(token, public_key=phone.public_key, signature=phone.enrol(token), **asked)
    devices.remove_device("ada", device.authenticator_id)
    for one in (phone, other):
        with refused("credential_exists", devices):
            devices.enrol_device(token, public_key=one.public_key, signature=one.enrol(token), **asked)
    assert devices.list_devices("ada") == ()
