"""What pages say where there is nothing to do, or something is wrong: a heading, a sentence, and what to do next."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from .views import Note

Wrong: TypeAlias = Literal[
    "invalid", "expired", "elsewhere", "address", "second-factor", "busy", "missing", "mistaken", "broken"
]


class Words(NamedTuple):
    """What a page says.

    Attributes:
        icon: Which picture: ``done``, ``wait`` or ``stop``.
        title: The heading.
        text: A sentence or two.
        leave: What stands on the button that ends the page.
    """

    icon: str
    title: str
    text: str
    leave: str = "Go back"


class Fault(NamedTuple):
    """What is wrong with an address, and the status of the answer."""

    status: int
    note: Words


_ADDRESS: Final = Words(
    "stop",
    "Passkeys do not work here",
    "Your passkeys cannot be used at the address of this page. Please contact support.",
)

NOTES: Final[Mapping[Note, Words]] = {
    "confirmed": Words(
        "done", "Already confirmed", "You have confirmed this before. There is nothing left to do.", "Continue"
    ),
    "nothing": Words("done", "You are all set", "There is nothing to confirm.", "Continue"),
    "blocked": Words(
        "stop",
        "This is not possible",
        "Your request was declined. Please contact support if you did not expect this.",
    ),
    "review": Words(
        "wait", "We are looking at this", "Your request is being checked by a person. You will hear from us."
    ),
    "refused": Words("stop", "This was declined", "Your request was checked and declined. Please contact support."),
    "failed": Words(
        "stop",
        "This was not confirmed",
        "It was declined, or it took too long, or there were too many attempts. Please go back and start again.",
    ),
    "no-method": Words(
        "stop",
        "You need another way to confirm",
        "None of your passkeys and devices can be used for this. Please contact support.",
    ),
    "address": _ADDRESS,
}

WRONG: Final[Mapping[Wrong, Fault]] = {
    "invalid": Fault(
        401,
        Words("stop", "This link does not work", "It is incomplete, or was used up. Please go back and start again."),
    ),
    "expired": Fault(
        401,
        Words(
            "wait",
            "This link has expired",
            "For your security, it works for a few minutes only. Please go back and start again.",
        ),
    ),
    "elsewhere": Fault(
        400,
        Words(
            "stop",
            "This link cannot be trusted",
            "It leads somewhere it should not. Nothing was changed, and you can close this page.",
        ),
    ),
    "address": Fault(400, _ADDRESS),
    "second-factor": Fault(
        400,
        Words(
            "stop",
            "Passkeys do not sign in here",
            "A passkey is only the second step for this service. Please go back and sign in with your password first.",
        ),
    ),
    "busy": Fault(429, Words("wait", "Too many attempts", "Please wait a minute, and then open the link again.")),
    "missing": Fault(404, Words("stop", "There is no such page", "Please go back and start again.")),
    "mistaken": Fault(
        400,
        Words("stop", "This is not possible here", "This request was not understood. Please go back and try again."),
    ),
    "broken": Fault(500, Words("stop", "Something went wrong", "It is our fault. Please try again in a minute.")),
}


def words_of(action: str) -> str:
    """An action's word as people write it: ``withdraw-funds`` is "Withdraw funds"."""
    text = action.replace("-", " ").replace("_", " ").strip()
    return text[:1].upper() + text[1:]
