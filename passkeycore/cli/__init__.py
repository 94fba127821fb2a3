"""The command ``passkeycore``: its arguments and exit codes. What a subcommand does stands in its own module.

Only the standard library and the engine are needed; `rich`, when installed, makes a terminal's output nicer.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from .. import __version__
from ..errors import ConfigurationError
from ..webauthn.origins import android_origin

MISUSE: Final = 2  # what argparse also answers
_INTERRUPTED: Final = 130
_KINDS: Final = ("attestation-object", "authenticator-data", "client-data", "cose-key", "response")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command.

    0: everything verified, was readable, or met its expectation; 1: something did not; 2: misuse, with a
    message on standard error.

    Args:
        argv: The arguments without the program's name; None: the process's own.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")  # a terminal may not have the letters of a name
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else MISUSE
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def complain(message: str) -> int:
    """The exit code of misuse, after `message` went to standard error."""
    from .output import printable

    sys.stderr.write(f"passkeycore: {printable(message)}\n")
    return MISUSE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="passkeycore", description="Judges and explains WebAuthn.")
    parser.add_argument("--version", action="version", version=f"passkeycore {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    verify = commands.add_parser("verify", help="judge vector files", description=_VERIFY)
    verify.add_argument("files", metavar="FILE", nargs="+", help="a vector file, a directory of them, or -")
    verify.add_argument("--json", action="store_true", help="one JSON object per judged ceremony")
    verify.set_defaults(run=_verify)

    inspect = commands.add_parser("inspect", help="take a WebAuthn value apart", description=_INSPECT)
    inspect.add_argument("value", metavar="VALUE", help="base64url, base64, hexadecimal, JSON; a file; or -")
    inspect.add_argument("--json", action="store_true", help="one JSON object instead of a tree")
    inspect.add_argument("--as", dest="kind", choices=_KINDS, help="what it is, instead of a guess")
    inspect.set_defaults(run=_inspect)

    origin = commands.add_parser("origin", help="the origin of an Android app", description=_ORIGIN)
    origin.add_argument("fingerprint", metavar="FINGERPRINT", help="SHA-256, 64 hexadecimal digits")
    origin.set_defaults(run=_origin)
    return parser


_VERIFY: Final = (
    "Judges every ceremony of every case. Exit code 0: all met their expectations (a case without one must "
    "verify); 1: some did not, or a line is no case; 2: misuse."
)
_INSPECT: Final = (
    "Shows what an attestation object, authenticator data, clientDataJSON, a COSE key or a whole response holds. "
    "Exit code 0: the strict parser accepts it; 1: it does not, and the reasons are shown."
)
_ORIGIN: Final = "Prints the origin that Android gives an app, from the SHA-256 fingerprint of its certificate."


def _verify(arguments: argparse.Namespace) -> int:
    from . import verify

    return verify.run(arguments.files, as_json=arguments.json)


def _inspect(arguments: argparse.Namespace) -> int:
    from . import inspect

    return inspect.run(arguments.value, kind=arguments.kind, as_json=arguments.json)


def _origin(arguments: argparse.Namespace) -> int:
    try:
        sys.stdout.write(android_origin(arguments.fingerprint) + "\n")
    except ConfigurationError as error:
        return complain(error.message)
    return 0
