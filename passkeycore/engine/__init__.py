"""Level 2: ceremonies with storage. What happens in which order, over any repository, in both colours.

`passkeys`, `devices` and `actions` have the flows and the services over them, `webhooks` what delivers events;
`repository` is what an embedder writes, `records` what is stored.
"""

from .actions.challenges import MetChallenge
from .actions.records import Action, ActionFilter, ActionPage
from .actions.service import ActionService, AsyncActionService
from .actions.tracking import ClientInfo, TrackedAction
from .devices.answers import AnsweredDeviceChallenge, PendingDeviceChallenge
from .devices.app_attest import AppAttestation
from .devices.authenticators import Authenticator
from .devices.challenges import DeviceApproval, StartedDeviceChallenge
from .devices.enrolment import DeviceEnrolment
from .devices.records import DeviceChallenge, DeviceCredential
from .devices.service import AsyncDeviceService, DeviceService
from .passkeys.authentication import Authentication, StartedAuthentication
from .passkeys.ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from .passkeys.registration import Registration, StartedRegistration
from .passkeys.service import AsyncPasskeyService, PasskeyService
from .records import Account, Ceremony, Event, EventCount, EventFilter, EventPage, EventType, Passkey, User

__all__ = [
    "Account",
    "Action",
    "ActionFilter",
    "ActionPage",
    "ActionService",
    "AnsweredDeviceChallenge",
    "AppAttestation",
    "AsyncActionService",
    "AsyncDeviceService",
    "AsyncPasskeyService",
    "AsyncStatelessCeremonies",
    "Authentication",
    "Authenticator",
    "Ceremony",
    "ClientInfo",
    "DeviceApproval",
    "DeviceChallenge",
    "DeviceCredential",
    "DeviceEnrolment",
    "DeviceService",
    "Event",
    "EventCount",
    "EventFilter",
    "EventPage",
    "EventType",
    "MetChallenge",
    "Passkey",
    "PasskeyService",
    "PendingDeviceChallenge",
    "Registration",
    "StartedAuthentication",
    "StartedDeviceChallenge",
    "StartedRegistration",
    "StatelessCeremonies",
    "TrackedAction",
    "User",
]
