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

    trust = commands.add_parser("trust", help="the bundled roots", description=_TRUST)
    about = trust.add_subparsers(metavar="WHAT", required=True)
    roots = about.add_parser("list", help="the bundled roots")
    roots.add_argument("--format", dest="formats", action="append", default=[], help="only those for this format")
    roots.add_argument("--json", action="store_true", help="one JSON object per root")
    roots.set_defaults(run=_trust_list)
    ending = about.add_parser("expiring", help="those that end soon; exit code 1 when there are any")
    ending.add_argument("--within", dest="days", type=_days, default=90, metavar="DAYS", help="such as 90d (default)")
    ending.add_argument("--json", action="store_true", help="one JSON object per root")
    ending.set_defaults(run=_trust_expiring)

    mds = commands.add_parser("mds", help="FIDO metadata: fetch, show, check", description=_MDS)
    action = mds.add_subparsers(metavar="WHAT", required=True)
    fetch = action.add_parser("fetch", help="download, verify and cache it")
    fetch.add_argument("--url", help="where it is served, https (default: FIDO's service)")
    fetch.add_argument("--to", dest="file", metavar="FILE", help="where to cache it")
    fetch.set_defaults(run=_mds_fetch)
    show = action.add_parser("show", help="what the cached metadata says about a model, or all of it in short")
    show.add_argument("aaguid", metavar="AAGUID", nargs="?", help="the model")
    show.set_defaults(run=_mds_show)
    check = action.add_parser("check", help="exit code 1 when the cached metadata is stale or not good")
    check.set_defaults(run=_mds_check)
    for reader in (show, check):
        reader.add_argument("--file", metavar="FILE", help="where it is cached")
        reader.add_argument("--json", action="store_true", help="JSON objects instead of text")
    for user in (fetch, show, check):
        user.add_argument(
            "--root",
            dest="roots",
            metavar="FILE",
            action="append",
            default=[],
            help="a certificate instead of FIDO's roots",
        )

    files = commands.add_parser("well-known", help="files for apps and related sites", description=_WELL_KNOWN)
    _add_well_known(files)

    demo = commands.add_parser("demo", help="a page to try passkeys on", description=_DEMO)
    demo.add_argument("--port", type=_port, default=8000, help="on this computer (default: 8000); 0: any free one")
    demo.add_argument("--database", metavar="FILE", help="where the passkeys are kept, a SQLite file")
    demo.set_defaults(run=_demo)

    init = commands.add_parser("init", help="write a server's configuration", description=_INIT)
    init.add_argument("path", metavar="PATH", nargs="?", default="passkeycore.toml", help="default: passkeycore.toml")
    init.set_defaults(run=_init)

    serve = commands.add_parser("serve", help="run the server", description=_SERVE)
    serve.add_argument("--config", metavar="FILE", default="passkeycore.toml", help="default: passkeycore.toml")
    serve.add_argument("--host", metavar="HOST", help="where it listens, instead of what the file says")
    serve.add_argument("--port", type=_port, help="likewise; 0: any free one")
    serve.add_argument("--workers", type=_workers, metavar="COUNT", help="how many processes, likewise")
    serve.set_defaults(run=_serve)
    return parser


def _add_well_known(files: argparse.ArgumentParser) -> None:
    action = files.add_subparsers(metavar="WHAT", required=True)
    build = action.add_parser("build", help="make them", description=_WELL_KNOWN_BUILD)
    build.add_argument("--config", metavar="FILE", help="a configuration file, instead of the options below")
    build.add_argument("--out", metavar="DIR", required=True, help="root of the site; they go into DIR/.well-known")
    build.add_argument("--rp-id", metavar="DOMAIN", help="the domain whose passkeys are used")
    build.add_argument("--enroll-url", metavar="URL", help="the page that makes a passkey")
    build.add_argument("--manage-url", metavar="URL", help="the page that lists and removes passkeys")
    for option, metavar, about in (
        ("--ios-app", "APP_ID", "such as ABCDE12345.com.example.app"),
        ("--android-app", "PACKAGE=FINGERPRINT", "with the SHA-256 fingerprint of its certificate"),
        ("--related-origin", "ORIGIN", "a site of another domain, such as https://example.org"),
    ):
        build.add_argument(option, metavar=metavar, action="append", default=[], help=f"{about}; may be repeated")
    build.set_defaults(run=_well_known_build)
    check = action.add_parser("check", help="what is wrong with them", description=_WELL_KNOWN_CHECK)
    check.add_argument("places", metavar="FILE|URL", nargs="+", help="a file, a directory, https://… or a domain")
    check.add_argument("--config", metavar="FILE", help="a configuration file that they have to agree with")
    check.add_argument("--as", dest="name", choices=_WELL_KNOWN_NAMES, help="which file it is, instead of by its name")
    check.add_argument(
        "--public-suffix",
        dest="suffixes",
        metavar="SUFFIX",
        action="append",
        default=[],
        help="of related origins, where it has more than one label, such as co.uk; may be repeated",
    )
    check.add_argument("--json", action="store_true", help="one JSON object per file")
    check.set_defaults(run=_well_known_check)


_VERIFY: Final = (
    "Judges every ceremony of every case. Exit code 0: all met their expectations (a case without one must "
    "verify); 1: some did not, or a line is no case; 2: misuse."
)
_INSPECT: Final = (
    "Shows what an attestation object, authenticator data, clientDataJSON, a COSE key or a whole response holds. "
    "Exit code 0: the strict parser accepts it; 1: it does not, and the reasons are shown."
)
_TRUST: Final = "Shows the roots of attestation and metadata that come with the package; nothing is trusted by default."
_MDS: Final = (
    "Keeps FIDO metadata in a file, $XDG_CACHE_HOME/passkeycore/mds.jwt or ~/.cache/passkeycore/mds.jwt unless told "
    "otherwise, and never replaces it by an older or unverified one."
)
_WELL_KNOWN: Final = (
    "The files below https://<rp id>/.well-known/ by which a domain says which apps and sites may use its passkeys."
)
_WELL_KNOWN_BUILD: Final = (
    "Makes apple-app-site-association, assetlinks.json, webauthn and passkey-endpoints, as far as there is something "
    "to say in them. Exit code 0: they are good; 1: one is not; 2: misuse."
)
_WELL_KNOWN_CHECK: Final = (
    "Lists what is wrong with files, with the file at an address, or with all four of a domain and how they are "
    "served. Exit code 0: no errors; 1: there are some; 2: misuse."
)
_WELL_KNOWN_NAMES: Final = ("apple-app-site-association", "assetlinks.json", "webauthn", "passkey-endpoints")
_DEMO: Final = (
    "Serves a page on http://localhost:8000 where passkeys are made, used, renamed and removed. They are kept in "
    "$XDG_DATA_HOME/passkeycore/demo.sqlite or ~/.local/share/passkeycore/demo.sqlite unless told otherwise."
)
_INIT: Final = (
    "Writes a commented configuration with fresh secrets, for its owner's eyes; never over a file that exists."
)
_SERVE: Final = (
    "Runs the server that a file describes, until SIGINT or SIGTERM; requests under way are answered. On standard "
    "output, one line of JSON for each request."
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


def _days(text: str) -> int:
    days = int(text.removesuffix("d"))  # argparse tells of the ValueError
    if not 0 <= days <= 36_500:
        raise argparse.ArgumentTypeError("0 to 36500 days")
    return days


def _port(text: str) -> int:
    port = int(text)  # argparse tells of the ValueError
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("0 to 65535")
    return port


def _workers(text: str) -> int:
    workers = int(text)  # argparse tells of the ValueError
    if not 1 <= workers <= 64:
        raise argparse.ArgumentTypeError("1 to 64")
    return workers


def _trust_list(arguments: argparse.Namespace) -> int:
    from . import trust

    return trust.list_roots(arguments.formats, as_json=arguments.json)


def _trust_expiring(arguments: argparse.Namespace) -> int:
    from . import trust

    return trust.list_expiring(arguments.days, as_json=arguments.json)


def _mds_fetch(arguments: argparse.Namespace) -> int:
    from . import mds

    return mds.fetch(mds.URL if arguments.url is None else arguments.url, arguments.file, arguments.roots)


def _mds_show(arguments: argparse.Namespace) -> int:
    from . import mds

    return mds.show(arguments.aaguid, arguments.file, arguments.roots, as_json=arguments.json)


def _mds_check(arguments: argparse.Namespace) -> int:
    from . import mds

    return mds.check(arguments.file, arguments.roots, as_json=arguments.json)


def _well_known_build(arguments: argparse.Namespace) -> int:
    from . import well_known

    options = well_known.BuildOptions(
        rp_id=arguments.rp_id,
        ios_apps=tuple(arguments.ios_app),
        android_apps=tuple(arguments.android_app),
        related_origins=tuple(arguments.related_origin),
        enroll_url=arguments.enroll_url,
        manage_url=arguments.manage_url,
    )
    return well_known.build(arguments.config, options, arguments.out)


def _well_known_check(arguments: argparse.Namespace) -> int:
    from . import well_known

    return well_known.check(
        arguments.places, arguments.config, arguments.name, arguments.suffixes, as_json=arguments.json
    )


def _demo(arguments: argparse.Namespace) -> int:
    from . import demo

    return demo.run(arguments.port, arguments.database)


def _init(arguments: argparse.Namespace) -> int:
    from . import serve

    return serve.init(arguments.path)


def _serve(arguments: argparse.Namespace) -> int:
    from . import serve

    return serve.serve(arguments.config, arguments.host, arguments.port, arguments.workers)
