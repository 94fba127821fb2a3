"""Users of the shop and their authenticators, over any backend."""

from typing import Any

from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from tests.server.kit import ORIGINS, TenantKit

from .backends import Answer, Backend, Json

LIMIT = 5
"""How many passkeys a user may have."""


class World:
    """The shop, its backend, and browsers on its page."""

    def __init__(self, kit: TenantKit, backend: Backend) -> None:
        self.kit = kit
        self.backend = backend

    def run(self, command: str, **data: Any) -> Answer:
        """What the backend is told."""
        return self.backend.run(command, data)

    def good(self, command: str, **data: Any) -> Json:
        """The members of an answer that has to be good."""
        answer = self.run(command, **data)
        assert answer.good, answer
        return answer.members

    def start(self, user_id: str = "ada", **more: Any) -> Any:
        """Options for a new passkey."""
        data = {"userId": user_id, "emailOrUsername": f"{user_id}@example.com", **more}
        return self.good("StartPasskeyRegistration", **data)["registrationOptions"]

    def ask(self, user_id: str = "ada", **more: Any) -> Any:
        """Options for signing in."""
        return self.good("StartPasskeyAuthentication", userId=user_id, **more)["authenticationOptions"]

    def finish(self, response: object, user_id: str = "ada", **more: Any) -> Answer:
        """What the backend is told of a new passkey."""
        return self.run("FinishPasskeyRegistration", userId=user_id, publicKey=response, **more)

    def verify(self, response: object, user_id: str = "ada", **more: Any) -> Answer:
        """What the backend is told of an attempt to sign in."""
        return self.run("FinishPasskeyAuthentication", userId=user_id, publicKey=response, **more)

    def new_passkey(self, user_id: str = "ada", *, seed: str = "phone", **more: Any) -> VirtualClient:
        """A browser with a passkey of the user's."""
        self.kit.clock.pass_(1)  # so that it is known which came first
        client = browser(seed)
        assert self.finish(client.create(self.start(user_id, **more)), user_id) == Answer(True, {})
        return client

    def ids(self, user_id: str = "ada") -> list[str]:
        """The user's passkeys."""
        listed = self.good("FetchAllPasskeysForUser", userId=user_id)["passkeys"]
        return [passkey["credentialId"] for passkey in listed]


def browser(seed: str = "phone", origin: str = ORIGINS["shop"], **traits: Any) -> VirtualClient:
    """A browser on a page of the shop's, with an authenticator of its own."""
    return VirtualClient(SoftwareAuthenticator(seed, **traits), origin)
