"""What the hosts have in common: their command line, one configuration file, one page, and the README's code."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from passkeycore.config import load
from passkeycore.engine import PasskeyService
from passkeycore.repositories.sql import SQLRepository
from passkeycore.tokens import Tokens
from tests.readme.blocks import execute, section
from tests.readme.yours import importable

from . import CHAPTER, SECTIONS

SECRET: Final = "the secret of an application in a test"
PURPOSE: Final = "transfer:42"
FILE: Final = "passkey_config.jsonc"
DATABASE: Final = "sqlite:///passkeys.db"

_SCRIPT: Final = section(f"{CHAPTER} / Its page", "js")[0].code
PAGE: Final = Path(__file__).with_name("page.html").read_text().replace("// the README's script", _SCRIPT)


def begin() -> int:
    """The port of the command line, in its directory, where the README's configuration file is from now on."""
    port, directory = int(sys.argv[1]), Path(sys.argv[2])
    os.chdir(directory)
    members = {
        "hostname": f"localhost:{port}",
        "name": "Shop",
        "database": DATABASE,
        "secret": SECRET,
        "android_apps": [{"package_name": "com.example.shop", "sha256_fingerprints": [":".join(["AB"] * 32)]}],
    }
    Path(FILE).write_text(json.dumps(members))
    return port


def mount(framework: str, app: object = None) -> dict[str, Any]:
    """What the README's section for this framework defines, run as it stands in an application."""
    with importable(app=app):
        return execute(SECTIONS[framework], execute(CHAPTER, {"__name__": "app"}))


def own_passkeys() -> PasskeyService:
    """The same passkeys, for the host's own functions that are not asynchronous."""
    config = load(FILE)
    return PasskeyService(config.relying_party(), SQLRepository(DATABASE), tokens=Tokens(config.secrets))
