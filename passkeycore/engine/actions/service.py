"""`ActionService` and `AsyncActionService`: actions at level 2. Their methods are the flows beside this module.

No bodies here: what a method does stands in the flow of its name.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ...actions.rules import ActionRules
from ...errors import ConfigurationError
from ..context import EngineContext
from ..devices.context import DeviceContext
from ..devices.repository import AsyncDeviceRepository
from ..devices.service import AsyncDeviceService, DeviceService
from ..passkeys.service import AsyncPasskeyService, PasskeyService
from ..repository import AsyncEventRepository, AsyncPasskeyRepository
from ..run import Scopes, asynchronous, awaited, flow_scopes, flow_threads, immediate, synchronous
from ..service import Adapt, check_number, check_tokens
from . import challenges, enrolment, in_app, sign_in, tracking
from .context import ActionContext
from .repository import ActionRepository, ActionsOfUsers, AsyncActionRepository, AsyncActionsOfUsers

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ...tokens import Tokens

_S = TypeVar("_S", bound="_Service")


def _known_devices(adapt: Adapt, repository: object, devices: DeviceContext | None) -> AsyncDeviceRepository | None:
    """Where devices are. A service without them may still share a storage with one that has them."""
    if devices is not None:
        return devices.repository
    return adapt(repository, AsyncDeviceRepository) if hasattr(repository, "list_devices") else None


class _Service:
    """What both colours have.

    Attributes:
        context: The configuration, for flows.
        flow_scopes: What repositories want around each flow, see `passkeycore.engine.run.flow_scopes`.
    """

    context: ActionContext
    flow_scopes: Scopes = ()

    def _build(
        self,
        adapt: Adapt,
        repository: object,
        kinds: tuple[type, type],
        *,
        tokens: "Tokens",
        passkeys: PasskeyService | AsyncPasskeyService | None,
        devices: DeviceService | AsyncDeviceService | None,
        rules: ActionRules | None,
        lifetime_s: int,
        max_attempts: int,
    ) -> None:
        for path, service, kind in (("passkeys", passkeys, kinds[0]), ("devices", devices, kinds[1])):
            if service is not None and not isinstance(service, kind):
                raise ConfigurationError(f"a {kind.__name__}", path=path)
        check_tokens(tokens, needed=True)
        if rules is not None and not isinstance(rules, ActionRules):
            raise ConfigurationError("an ActionRules", path="rules")
        check_number(lifetime_s, "lifetime_s", least=1, most=86_400)
        check_number(max_attempts, "max_attempts", least=1, most=100)
        passkey_context = None if passkeys is None else passkeys.context
        device_context = None if devices is None else devices.context
        around = passkey_context or device_context
        if around is None:
            raise ConfigurationError("passkeys, or devices, or both: something has to meet challenges", path="passkeys")
        if passkey_context is not None and device_context is not None and passkey_context.realm != device_context.realm:
            raise ConfigurationError("both services have to be one tenant's", path="devices.realm")
        self.flow_scopes = flow_scopes(repository, passkeys, devices)
        self.context = ActionContext(
            repository=adapt(repository, AsyncActionRepository),
            users=around.repository,
            passkeys=passkey_context,
            devices=device_context,
            known_devices=_known_devices(adapt, repository, device_context),
            rules=rules or ActionRules(),
            tokens=tokens,
            lifetime=timedelta(seconds=lifetime_s),
            max_attempts=max_attempts,
            events=around.events,
            emit=around.emit,
            realm=around.realm,
            now=around.now,
            random=around.random,
        )

    def _using(self: _S, adapt: Adapt, repository: object) -> _S:
        context, changes = self.context, dict[str, Any]()

        def events(before: EngineContext) -> AsyncEventRepository | None:
            return None if before.events is None else adapt(repository, AsyncEventRepository)

        if context.passkeys is not None:
            users = adapt(repository, AsyncPasskeyRepository)
            changes["passkeys"] = msgspec.structs.replace(
                context.passkeys, repository=users, events=events(context.passkeys)
            )
        if context.devices is not None:
            devices = adapt(repository, AsyncDeviceRepository)
            changes["devices"] = msgspec.structs.replace(
                context.devices, repository=devices, events=events(context.devices)
            )
        other = type(self).__new__(type(self))
        other.context = msgspec.structs.replace(
            context,
            repository=adapt(repository, AsyncActionRepository),
            users=adapt(repository, AsyncPasskeyRepository),
            known_devices=None if context.known_devices is None else adapt(repository, AsyncDeviceRepository),
            events=events(context),
            **changes,
        )
        return other


class ActionService(_Service):
    """Actions over a synchronous repository: what users are about to do, and proof that they met the challenge.

        actions = ActionService(repository, tokens=tokens, passkeys=passkeys, devices=devices, rules=rules)

        tracked = actions.track(me.id, "transfer", client=ClientInfo(ip_address=…, custom={"amount": 500}))
        if tracked.state == "CHALLENGE_REQUIRED": ...  # tracked.token to the client, which meets the challenge:

        start = actions.start_passkey_challenge(token)  # start.to_dict() to the page
        met = actions.finish_passkey_challenge(token, body)  # met.token to the client

        actions.validate_challenge(token, user_id=me.id, action="transfer", consume=True)  # or it raises

    Immutable once it is built; share one between threads. Nothing it raises on its own account is other than a
    `PasskeyError`; what the repository's driver raises passes through.
    """

    def __init__(
        self,
        repository: ActionRepository,
        *,
        tokens: "Tokens",
        passkeys: PasskeyService | None = None,
        devices: DeviceService | None = None,
        rules: ActionRules | None = None,
        lifetime_s: int = 600,
        max_attempts: int = 5,
    ) -> None:
        """Checks and keeps the configuration.

        Args:
            repository: Actions.
            tokens: Makes and reads the tokens of actions.
            passkeys, devices: What meets challenges, at least one of them, of the same tenant. Clock, randomness, the
                store of events and sinks are those of the first.
            rules: Decide where an action begins. None: every action takes a challenge.
            lifetime_s: How long a challenge may take, and how long its success can be shown, in seconds, up to a day.
            max_attempts: How many times meeting a challenge may go wrong, 1 to 100.

        Raises:
            ConfigurationError: A repository or service of the other colour, or a value out of range.
        """
        self._build(
            immediate,
            repository,
            (PasskeyService, DeviceService),
            tokens=tokens,
            passkeys=passkeys,
            devices=devices,
            rules=rules,
            lifetime_s=lifetime_s,
            max_attempts=max_attempts,
        )

    def using(self, repository: ActionsOfUsers) -> "ActionService":
        """The same service over another repository, such as one that joins a transaction of the caller's.

        It has to keep all that the service looks at: actions, users and passkeys; devices and events where the service
        has them.
        """
        return self._using(immediate, repository)

    track = synchronous(tracking.track)
    validate_challenge = synchronous(tracking.validate_challenge)
    action_of_token = synchronous(tracking.action_of_token)
    read_token = synchronous(tracking.read_token)
    get_action = synchronous(tracking.get_action)
    update_action = synchronous(tracking.update_action)
    list_actions = synchronous(tracking.list_actions)
    remove_actions = synchronous(tracking.remove_actions)

    start_passkey_challenge = synchronous(challenges.start_passkey_challenge)
    finish_passkey_challenge = synchronous(challenges.finish_passkey_challenge)
    start_device_challenge = synchronous(challenges.start_device_challenge)
    answer_device_challenge = synchronous(challenges.answer_device_challenge)
    finish_device_challenge = synchronous(challenges.finish_device_challenge)
    device_challenge_state = synchronous(challenges.device_challenge_state)
    cancel_challenge = synchronous(challenges.cancel_challenge)

    start_passkey_sign_in = synchronous(sign_in.start_passkey_sign_in)
    finish_passkey_sign_in = synchronous(sign_in.finish_passkey_sign_in)
    start_device_sign_in = synchronous(sign_in.start_device_sign_in)
    finish_device_sign_in = synchronous(sign_in.finish_device_sign_in)

    start_in_app_challenge = synchronous(in_app.start_in_app_challenge)
    finish_in_app_challenge = synchronous(in_app.finish_in_app_challenge)
    in_app_challenge_action = synchronous(in_app.in_app_challenge_action)

    start_passkey_enrolment = synchronous(enrolment.start_passkey_enrolment)
    finish_passkey_enrolment = synchronous(enrolment.finish_passkey_enrolment)
    enrol_device = synchronous(enrolment.enrol_device)


class AsyncActionService(_Service):
    """`ActionService` over an asynchronous repository, for asyncio: the same methods, awaited.

    Over repositories that are all in the same `InThreads`, each method runs there as a whole.
    """

    flow_threads: "Executor | None" = None
    """Where it does; None: in the event loop."""

    def __init__(
        self,
        repository: AsyncActionRepository,
        *,
        tokens: "Tokens",
        passkeys: AsyncPasskeyService | None = None,
        devices: AsyncDeviceService | None = None,
        rules: ActionRules | None = None,
        lifetime_s: int = 600,
        max_attempts: int = 5,
    ) -> None:
        """Checks and keeps the configuration; see `ActionService`."""
        self._build(
            awaited,
            repository,
            (AsyncPasskeyService, AsyncDeviceService),
            tokens=tokens,
            passkeys=passkeys,
            devices=devices,
            rules=rules,
            lifetime_s=lifetime_s,
            max_attempts=max_attempts,
        )
        self.flow_threads = flow_threads(repository, passkeys, devices)

    def using(self, repository: AsyncActionsOfUsers) -> "AsyncActionService":
        """The same service over another repository, such as one that joins a transaction of the caller's.

        It has to keep all that the service looks at: actions, users and passkeys; devices and events where the service
        has them.
        """
        return self._using(awaited, repository)

    track = asynchronous(tracking.track)
    validate_challenge = asynchronous(tracking.validate_challenge)
    action_of_token = asynchronous(tracking.action_of_token)
    read_token = asynchronous(tracking.read_token)
    get_action = asynchronous(tracking.get_action)
    update_action = asynchronous(tracking.update_action)
    list_actions = asynchronous(tracking.list_actions)
    remove_actions = asynchronous(tracking.remove_actions)

    start_passkey_challenge = asynchronous(challenges.start_passkey_challenge)
    finish_passkey_challenge = asynchronous(challenges.finish_passkey_challenge)
    start_device_challenge = asynchronous(challenges.start_device_challenge)
    answer_device_challenge = asynchronous(challenges.answer_device_challenge)
    finish_device_challenge = asynchronous(challenges.finish_device_challenge)
    device_challenge_state = asynchronous(challenges.device_challenge_state)
    cancel_challenge = asynchronous(challenges.cancel_challenge)

    start_passkey_sign_in = asynchronous(sign_in.start_passkey_sign_in)
    finish_passkey_sign_in = asynchronous(sign_in.finish_passkey_sign_in)
    start_device_sign_in = asynchronous(sign_in.start_device_sign_in)
    finish_device_sign_in = asynchronous(sign_in.finish_device_sign_in)

    start_in_app_challenge = asynchronous(in_app.start_in_app_challenge)
    finish_in_app_challenge = asynchronous(in_app.finish_in_app_challenge)
    in_app_challenge_action = asynchronous(in_app.in_app_challenge_action)

    start_passkey_enrolment = asynchronous(enrolment.start_passkey_enrolment)
    finish_passkey_enrolment = asynchronous(enrolment.finish_passkey_enrolment)
    enrol_device = asynchronous(enrolment.enrol_device)
