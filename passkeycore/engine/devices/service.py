"""`DeviceService` and `AsyncDeviceService`: trusted devices at level 2. Their methods are the flows beside this module.

No bodies here: what a method does stands in the flow of its name.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ...devices import ChallengeIdVerifier, SignedVerifier
from ...errors import ConfigurationError
from ..records import Event
from ..repository import AsyncEventRepository
from ..run import Scopes, asynchronous, awaited, flow_scopes, flow_threads, immediate, synchronous
from ..service import Adapt, check_number, check_tokens, surroundings
from . import answers, authenticators, challenges, credentials, enrolment
from .context import DeviceContext
from .repository import AsyncDeviceRepository, DeviceRepository

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ...app_attest import AppAttestPolicy
    from ...tokens import Tokens
    from ..events import EventDispatcher

_S = TypeVar("_S", bound="_Service")


class _Service:
    """What both colours have.

    Attributes:
        context: The configuration, for flows.
        dispatcher: Who tells the sinks; flush and close it when the application ends. None: there are no sinks.
        flow_scopes: What repositories want around each flow, see `passkeycore.engine.run.flow_scopes`.
    """

    context: DeviceContext
    dispatcher: "EventDispatcher | None"
    flow_scopes: Scopes = ()

    def _build(
        self,
        adapt: Adapt,
        repository: object,
        *,
        domain: str,
        realm: str,
        max_devices_per_user: int,
        max_pending_per_user: int,
        max_attempts: int,
        verification_code_digits: int,
        challenge_lifetime_s: int,
        enrolment_lifetime_s: int,
        app_attest: "AppAttestPolicy | None",
        tokens: "Tokens | None",
        danger_allow_challenge_id_signatures: bool,
        store_events: bool,
        sinks: Sequence[Callable[[Event], object]],
        now: Callable[[], datetime] | None,
        random: Callable[[int], bytes] | None,
    ) -> None:
        if not isinstance(domain, str) or not domain or not domain.isprintable() or not domain.isascii():
            raise ConfigurationError("the server's domain, such as example.com", path="domain")
        for path, number, least, most in (
            ("max_devices_per_user", max_devices_per_user, 1, 1000),
            ("max_pending_per_user", max_pending_per_user, 1, 100),
            ("max_attempts", max_attempts, 1, 100),
            ("verification_code_digits", verification_code_digits, 1, 8),
            ("challenge_lifetime_s", challenge_lifetime_s, 1, 3600),
            ("enrolment_lifetime_s", enrolment_lifetime_s, 1, 86_400),
        ):
            check_number(number, path, least=least, most=most)
        check_tokens(tokens)
        if app_attest is not None:
            from ...app_attest import AppAttestPolicy  # only for those who demand it

            if not isinstance(app_attest, AppAttestPolicy):
                raise ConfigurationError("an AppAttestPolicy", path="app_attest")
        around = surroundings(
            adapt, repository, realm=realm, store_events=store_events, sinks=sinks, now=now, random=random
        )
        self.dispatcher = around.dispatcher
        self.flow_scopes = flow_scopes(repository)
        self.context = DeviceContext(
            repository=adapt(repository, AsyncDeviceRepository),
            verifier=SignedVerifier(domain),
            challenge_id_verifier=ChallengeIdVerifier() if danger_allow_challenge_id_signatures else None,
            max_devices_per_user=max_devices_per_user,
            max_pending_per_user=max_pending_per_user,
            attempts=max_attempts,
            code_digits=verification_code_digits,
            challenge_lifetime=timedelta(seconds=challenge_lifetime_s),
            enrolment_lifetime=timedelta(seconds=enrolment_lifetime_s),
            app_attest=app_attest,
            tokens=tokens,
            events=around.events,
            emit=around.emit,
            realm=around.realm,
            now=around.now,
            random=around.random,
        )

    def _using(self: _S, adapt: Adapt, repository: object) -> _S:
        other = type(self).__new__(type(self))
        other.dispatcher = self.dispatcher
        events = None if self.context.events is None else adapt(repository, AsyncEventRepository)
        other.context = msgspec.structs.replace(
            self.context, repository=adapt(repository, AsyncDeviceRepository), events=events
        )
        return other


class DeviceService(_Service):
    """Trusted devices over a synchronous repository: a key on a user's device approves or rejects what is asked.

        repository = SQLRepository("sqlite:///passkeys.db", create=True)
        devices = DeviceService(repository, domain="example.com", tokens=tokens)

        enrolment = devices.start_enrolment(me.id, user_name=me.email)  # enrolment.token to the app
        devices.enrol_device(enrolment.token, method="push", public_key=…, signature=…, name=…, platform="ios")

        start = devices.start_challenge(method="push", user_id=me.id, purpose="transfer:42", content="Pay 42 EUR")
        devices.answer_challenge(start.challenge_id, public_key=…, signature=…, decision="approve")  # the device
        approval = devices.poll_challenge(start.challenge_id, user_id=me.id, purpose="transfer:42")  # None: not yet

    Immutable once it is built; share one between threads. Nothing it raises on its own account is other than a
    `PasskeyError`; what the repository's driver raises passes through.
    """

    def __init__(
        self,
        repository: DeviceRepository,
        *,
        domain: str,
        realm: str = "",
        max_devices_per_user: int = 10,
        max_pending_per_user: int = 5,
        max_attempts: int = 3,
        verification_code_digits: int = 4,
        challenge_lifetime_s: int = 300,
        enrolment_lifetime_s: int = 600,
        app_attest: "AppAttestPolicy | None" = None,
        tokens: "Tokens | None" = None,
        danger_allow_challenge_id_signatures: bool = False,
        store_events: bool = False,
        sinks: Sequence[Callable[[Event], object]] = (),
        now: Callable[[], datetime] | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """Checks and keeps the configuration.

        Args:
            repository: Devices, their challenges, and the users who own them.
            domain: Stands in every message that devices sign: no other server's signatures are good here.
            realm: The tenant. Records of other realms do not exist for this service.
            max_devices_per_user: 1 to 1000, of all methods together.
            max_pending_per_user: How many challenges of a user's may wait for an answer, 1 to 100: a bound on how
                often somebody can make their phone ring.
            max_attempts: How many times a device may get a challenge's code or signature wrong, 1 to 100.
            verification_code_digits: 1 to 8. With four, three attempts guess one code in three thousand.
            challenge_lifetime_s, enrolment_lifetime_s: In seconds, up to an hour, and up to a day.
            app_attest: What to demand of Apple's App Attest. None: nothing, and attestations are not looked at.
            tokens: Makes enrolment tokens. None: only an `ActionService` enrols devices.
            danger_allow_challenge_id_signatures: Apps may take part that were built for another service, whose
                signatures cover the challenge's id alone; see `passkeycore.devices.ChallengeIdVerifier`.
            store_events, sinks, now, random: As in `PasskeyService`.

        Raises:
            ConfigurationError: A repository of the other colour or without a method, or a value out of range.
        """
        self._build(
            immediate,
            repository,
            domain=domain,
            realm=realm,
            max_devices_per_user=max_devices_per_user,
            max_pending_per_user=max_pending_per_user,
            max_attempts=max_attempts,
            verification_code_digits=verification_code_digits,
            challenge_lifetime_s=challenge_lifetime_s,
            enrolment_lifetime_s=enrolment_lifetime_s,
            app_attest=app_attest,
            tokens=tokens,
            danger_allow_challenge_id_signatures=danger_allow_challenge_id_signatures,
            store_events=store_events,
            sinks=sinks,
            now=now,
            random=random,
        )

    def using(self, repository: DeviceRepository) -> "DeviceService":
        """The same service over another repository, such as one that joins a transaction of the caller's."""
        return self._using(immediate, repository)

    start_enrolment = synchronous(enrolment.start_enrolment)
    enrol_device = synchronous(enrolment.enrol_device)
    find_device = synchronous(credentials.find_device)
    list_devices = synchronous(credentials.list_devices)
    update_device = synchronous(credentials.update_device)
    update_by_device = synchronous(credentials.update_by_device)
    remove_device = synchronous(credentials.remove_device)
    remove_by_device = synchronous(credentials.remove_by_device)

    check_pending = synchronous(challenges.check_pending)
    start_challenge = synchronous(challenges.start_challenge)
    poll_challenge = synchronous(challenges.poll_challenge)
    challenge_state = synchronous(challenges.challenge_state)
    cancel_challenge = synchronous(challenges.cancel_challenge)

    pending_challenge = synchronous(answers.pending_challenge)
    claim_challenge = synchronous(answers.claim_challenge)
    answer_challenge = synchronous(answers.answer_challenge)

    list_authenticators = synchronous(authenticators.list_authenticators)
    remove_authenticator = synchronous(authenticators.remove_authenticator)

    remove_expired = synchronous(credentials.remove_expired)


class AsyncDeviceService(_Service):
    """`DeviceService` over an asynchronous repository, for asyncio: the same methods, awaited.

    Over repositories that are all in the same `InThreads`, each method runs there as a whole.
    """

    flow_threads: "Executor | None" = None
    """Where it does; None: in the event loop."""

    def __init__(
        self,
        repository: AsyncDeviceRepository,
        *,
        domain: str,
        realm: str = "",
        max_devices_per_user: int = 10,
        max_pending_per_user: int = 5,
        max_attempts: int = 3,
        verification_code_digits: int = 4,
        challenge_lifetime_s: int = 300,
        enrolment_lifetime_s: int = 600,
        app_attest: "AppAttestPolicy | None" = None,
        tokens: "Tokens | None" = None,
        danger_allow_challenge_id_signatures: bool = False,
        store_events: bool = False,
        sinks: Sequence[Callable[[Event], object]] = (),
        now: Callable[[], datetime] | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """Checks and keeps the configuration; see `DeviceService`."""
        self._build(
            awaited,
            repository,
            domain=domain,
            realm=realm,
            max_devices_per_user=max_devices_per_user,
            max_pending_per_user=max_pending_per_user,
            max_attempts=max_attempts,
            verification_code_digits=verification_code_digits,
            challenge_lifetime_s=challenge_lifetime_s,
            enrolment_lifetime_s=enrolment_lifetime_s,
            app_attest=app_attest,
            tokens=tokens,
            danger_allow_challenge_id_signatures=danger_allow_challenge_id_signatures,
            store_events=store_events,
            sinks=sinks,
            now=now,
            random=random,
        )
        self.flow_threads = flow_threads(repository)

    def using(self, repository: AsyncDeviceRepository) -> "AsyncDeviceService":
        """The same service over another repository, such as one that joins a transaction of the caller's."""
        return self._using(awaited, repository)

    start_enrolment = asynchronous(enrolment.start_enrolment)
    enrol_device = asynchronous(enrolment.enrol_device)
    find_device = asynchronous(credentials.find_device)
    list_devices = asynchronous(credentials.list_devices)
    update_device = asynchronous(credentials.update_device)
    update_by_device = asynchronous(credentials.update_by_device)
    remove_device = asynchronous(credentials.remove_device)
    remove_by_device = asynchronous(credentials.remove_by_device)

    check_pending = asynchronous(challenges.check_pending)
    start_challenge = asynchronous(challenges.start_challenge)
    poll_challenge = asynchronous(challenges.poll_challenge)
    challenge_state = asynchronous(challenges.challenge_state)
    cancel_challenge = asynchronous(challenges.cancel_challenge)

    pending_challenge = asynchronous(answers.pending_challenge)
    claim_challenge = asynchronous(answers.claim_challenge)
    answer_challenge = asynchronous(answers.answer_challenge)

    list_authenticators = asynchronous(authenticators.list_authenticators)
    remove_authenticator = asynchronous(authenticators.remove_authenticator)

    remove_expired = asynchronous(credentials.remove_expired)
