"""`PasskeyService` and `AsyncPasskeyService`: level 2. Their methods are the flows of the other modules.

No bodies here: what a method does stands in the flow of its name.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from ...errors import ConfigurationError
from ...relying_party import RelyingParty, check_timeout
from ...webauthn.options import Preset, sole_factor
from ..records import Event
from ..repository import (
    AsyncCeremonyRepository,
    AsyncEventRepository,
    AsyncPasskeyRepository,
    AsyncSpentRepository,
    CeremonyRepository,
    PasskeyRepository,
)
from ..run import Scopes, asynchronous, awaited, flow_scopes, flow_threads, immediate, synchronous
from ..service import check_tokens, surroundings
from . import authentication, availability, management, registration, step_up
from .ceremonies import (
    AsyncStatelessCeremonies,
    Ceremonies,
    SealedCeremonies,
    StatelessCeremonies,
    StoredCeremonies,
)
from .context import Context

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ...tokens import Tokens
    from ..events import EventDispatcher

_S = TypeVar("_S", bound="_Service")
_DECOY_SECRET_BYTES: Final = 32


class _Service:
    """What both colours have.

    Attributes:
        context: The configuration, for flows.
        dispatcher: Who tells the sinks; flush and close it when the application ends. None: there are no sinks.
        flow_scopes: What repositories want around each flow, see `passkeycore.engine.run.flow_scopes`.
    """

    context: Context
    dispatcher: "EventDispatcher | None"
    flow_scopes: Scopes = ()

    def _build(
        self,
        adapt: Callable[[object, type[Any]], Any],
        rp: RelyingParty,
        repository: object,
        ceremonies: object | None,
        *,
        realm: str,
        max_passkeys_per_user: int,
        preset: Preset | None,
        timeout_ms: int | None,
        conditional_timeout_ms: int | None,
        decoy_secret: bytes | None,
        tokens: "Tokens | None",
        store_events: bool,
        sinks: Sequence[Callable[[Event], object]],
        now: Callable[[], datetime] | None,
        random: Callable[[int], bytes] | None,
    ) -> None:
        if not isinstance(max_passkeys_per_user, int) or max_passkeys_per_user < 1:
            raise ConfigurationError("a number, at least 1", path="max_passkeys_per_user")
        if not isinstance(preset, (Preset, NoneType)):
            raise ConfigurationError("what sole_factor() or second_factor() gives", path="preset")
        for path, timeout in (("timeout_ms", timeout_ms), ("conditional_timeout_ms", conditional_timeout_ms)):
            if timeout is not None:
                check_timeout(timeout, path)
        if decoy_secret is not None and (
            not isinstance(decoy_secret, bytes) or len(decoy_secret) < _DECOY_SECRET_BYTES
        ):
            raise ConfigurationError(f"at least {_DECOY_SECRET_BYTES} bytes", path="decoy_secret")
        check_tokens(tokens)
        waiting: Ceremonies
        if isinstance(ceremonies, (StatelessCeremonies, AsyncStatelessCeremonies)):
            waiting = SealedCeremonies(ceremonies.tokens, adapt(ceremonies.spent, AsyncSpentRepository))
        else:
            place = repository if ceremonies is None else ceremonies
            waiting = StoredCeremonies(adapt(place, AsyncCeremonyRepository))
        around = surroundings(
            adapt, repository, realm=realm, store_events=store_events, sinks=sinks, now=now, random=random
        )
        self.dispatcher = around.dispatcher
        self.flow_scopes = flow_scopes(repository, getattr(ceremonies, "spent", ceremonies))
        self.context = Context(
            rp=rp,
            repository=adapt(repository, AsyncPasskeyRepository),
            ceremonies=waiting,
            events=around.events,
            emit=around.emit,
            realm=around.realm,
            max_passkeys_per_user=max_passkeys_per_user,
            preset=sole_factor() if preset is None else preset,
            timeout_ms=timeout_ms,
            conditional_timeout_ms=conditional_timeout_ms,
            decoy_secret=decoy_secret,
            tokens=tokens,
            now=around.now,
            random=around.random,
        )

    def _using(self: _S, adapt: Callable[[object, type[Any]], Any], repository: object) -> _S:
        other = type(self).__new__(type(self))
        other.dispatcher = self.dispatcher
        events = None if self.context.events is None else adapt(repository, AsyncEventRepository)
        other.context = msgspec.structs.replace(
            self.context, repository=adapt(repository, AsyncPasskeyRepository), events=events
        )
        return other


class PasskeyService(_Service):
    """Passkeys over a synchronous repository: single-use challenges, ownership, limits, management and audit.

        passkeys = PasskeyService(rp, SQLRepository("sqlite:///passkeys.db", create=True))

        start = passkeys.start_registration(user_id=me.id, user_name=me.email)  # start.to_dict() to the page
        passkeys.finish_registration(body, user_id=me.id)

        start = passkeys.start_authentication(binding=session_id)
        done = passkeys.finish_authentication(body, binding=session_id)  # done.user_id has signed in

    Immutable once it is built; share one between threads. Nothing it raises on its own account is other than a
    `PasskeyError`; what the repository's driver raises passes through.

    Step-up: start an authentication with `user_id` and a `purpose`, finish it with the same, keep `step_up_token`,
    and ask `validate_step_up` where it matters.
    """

    def __init__(
        self,
        rp: RelyingParty,
        repository: PasskeyRepository,
        *,
        ceremonies: CeremonyRepository | StatelessCeremonies | None = None,
        realm: str = "",
        max_passkeys_per_user: int = 5,
        preset: Preset | None = None,
        timeout_ms: int | None = None,
        conditional_timeout_ms: int | None = None,
        decoy_secret: bytes | None = None,
        tokens: "Tokens | None" = None,
        store_events: bool = False,
        sinks: Sequence[Callable[[Event], object]] = (),
        now: Callable[[], datetime] | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """Checks and keeps the configuration.

        Args:
            rp: Level 1: RP ID, origins, policy, trust.
            repository: Users and passkeys, and ceremonies under way unless `ceremonies` keeps them.
            ceremonies: Where ceremonies wait instead, such as `RedisCeremonies`, or `StatelessCeremonies`.
            realm: The tenant. Records of other realms do not exist for this service.
            max_passkeys_per_user: At least 1.
            preset: What ceremonies demand unless they say otherwise. None: `sole_factor`, as a passkey alone signs in.
            timeout_ms, conditional_timeout_ms: How long a ceremony may take, and one with conditional mediation, in
                milliseconds. None: 5 minutes, and 30.
            decoy_secret: 32 random bytes or more, the same on every server and for good. With it, the start of an
                authentication looks the same for users who do not exist. None: it raises `CredentialNotFound`.
            tokens: Makes `Authentication.step_up_token`.
            store_events: Keep events in `repository`, which must then be an `EventRepository` too.
            sinks: Called with each event, from a thread of their own; see `passkeycore.engine.events`.
            now: The clock, aware; None: the system's.
            random: So many random bytes; None: the system's.

        Raises:
            ConfigurationError: A repository of the other colour or without a method, or a value out of range.
        """
        self._build(
            immediate,
            rp,
            repository,
            ceremonies,
            realm=realm,
            max_passkeys_per_user=max_passkeys_per_user,
            preset=preset,
            timeout_ms=timeout_ms,
            conditional_timeout_ms=conditional_timeout_ms,
            decoy_secret=decoy_secret,
            tokens=tokens,
            store_events=store_events,
            sinks=sinks,
            now=now,
            random=random,
        )

    def using(self, repository: PasskeyRepository) -> "PasskeyService":
        """The same service over another repository, such as one that joins a transaction of the caller's.

        Ceremonies stay where they are: a rollback must not revive a challenge. Sinks are told when a method is done,
        before the caller commits.
        """
        return self._using(immediate, repository)

    start_registration = synchronous(registration.start_registration)
    finish_registration = synchronous(registration.finish_registration)
    start_authentication = synchronous(authentication.start_authentication)
    finish_authentication = synchronous(authentication.finish_authentication)

    list_passkeys = synchronous(management.list_passkeys)
    find_passkey = synchronous(management.find_passkey)
    rename_passkey = synchronous(management.rename_passkey)
    remove_passkey = synchronous(management.remove_passkey)
    remove_all_passkeys = synchronous(management.remove_all_passkeys)
    confirm_user_verification = synchronous(management.confirm_user_verification)
    import_passkey = synchronous(management.import_passkey)
    get_or_create_user = synchronous(management.get_or_create_user)
    find_user = synchronous(management.find_user)
    rename_user = synchronous(management.rename_user)
    disable_user = synchronous(management.disable_user)
    enable_user = synchronous(management.enable_user)
    remove_user = synchronous(management.remove_user)
    all_accepted_credentials = synchronous(management.all_accepted_credentials)
    current_user_details = synchronous(management.current_user_details)
    validate_step_up = synchronous(step_up.validate_step_up)
    should_prompt_to_create = synchronous(availability.should_prompt_to_create)
    list_events = synchronous(management.list_events)
    count_events = synchronous(management.count_events)
    remove_expired = synchronous(management.remove_expired)


class AsyncPasskeyService(_Service):
    """`PasskeyService` over an asynchronous repository, for asyncio: the same methods, awaited.

    Over repositories that are all in the same `InThreads`, each method runs there as a whole.
    """

    flow_threads: "Executor | None" = None
    """Where it does; None: in the event loop."""

    def __init__(
        self,
        rp: RelyingParty,
        repository: AsyncPasskeyRepository,
        *,
        ceremonies: AsyncCeremonyRepository | AsyncStatelessCeremonies | None = None,
        realm: str = "",
        max_passkeys_per_user: int = 5,
        preset: Preset | None = None,
        timeout_ms: int | None = None,
        conditional_timeout_ms: int | None = None,
        decoy_secret: bytes | None = None,
        tokens: "Tokens | None" = None,
        store_events: bool = False,
        sinks: Sequence[Callable[[Event], object]] = (),
        now: Callable[[], datetime] | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """Checks and keeps the configuration; see `PasskeyService`."""
        self._build(
            awaited,
            rp,
            repository,
            ceremonies,
            realm=realm,
            max_passkeys_per_user=max_passkeys_per_user,
            preset=preset,
            timeout_ms=timeout_ms,
            conditional_timeout_ms=conditional_timeout_ms,
            decoy_secret=decoy_secret,
            tokens=tokens,
            store_events=store_events,
            sinks=sinks,
            now=now,
            random=random,
        )
        waiting = ceremonies.spent if isinstance(ceremonies, AsyncStatelessCeremonies) else ceremonies
        self.flow_threads = flow_threads(repository, waiting)

    def using(self, repository: AsyncPasskeyRepository) -> "AsyncPasskeyService":
        """The same service over another repository, such as one that joins a transaction of the caller's.

        Ceremonies stay where they are: a rollback must not revive a challenge. Sinks are told when a method is done,
        before the caller commits.
        """
        return self._using(awaited, repository)

    start_registration = asynchronous(registration.start_registration)
    finish_registration = asynchronous(registration.finish_registration)
    start_authentication = asynchronous(authentication.start_authentication)
    finish_authentication = asynchronous(authentication.finish_authentication)

    list_passkeys = asynchronous(management.list_passkeys)
    find_passkey = asynchronous(management.find_passkey)
    rename_passkey = asynchronous(management.rename_passkey)
    remove_passkey = asynchronous(management.remove_passkey)
    remove_all_passkeys = asynchronous(management.remove_all_passkeys)
    confirm_user_verification = asynchronous(management.confirm_user_verification)
    import_passkey = asynchronous(management.import_passkey)
    get_or_create_user = asynchronous(management.get_or_create_user)
    find_user = asynchronous(management.find_user)
    rename_user = asynchronous(management.rename_user)
    disable_user = asynchronous(management.disable_user)
    enable_user = asynchronous(management.enable_user)
    remove_user = asynchronous(management.remove_user)
    all_accepted_credentials = asynchronous(management.all_accepted_credentials)
    current_user_details = asynchronous(management.current_user_details)
    validate_step_up = asynchronous(step_up.validate_step_up)
    should_prompt_to_create = asynchronous(availability.should_prompt_to_create)
    list_events = asynchronous(management.list_events)
    count_events = asynchronous(management.count_events)
    remove_expired = asynchronous(management.remove_expired)
