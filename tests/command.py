"""Runs the command in this process, and the W3C cases to run it on, with ways to change them."""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cbor2

from passkeycore.cli import main
from tests.w3c import VECTORS_PATH

Json = dict[str, Any]

W3C: dict[str, Json] = {case["name"]: case for case in map(json.loads, VECTORS_PATH.read_bytes().splitlines())}
NONE, SELF, PACKED, RS256, ES512 = (
    W3C[f"w3c/{name}"] for name in ("none.ES256", "packed-self.ES256", "packed.ES256", "packed.RS256", "packed.ES512")
)


class Run:
    """What one run of the command did: its exit code, and what went to which stream."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def objects(self) -> list[Json]:
        """The JSON objects on standard output, which holds nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]


class _Stream(io.TextIOWrapper):
    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", newline="\n", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


def command(*arguments: str | Path, stdin: bytes = b"", terminal: bool = False) -> Run:
    """Runs ``passkeycore`` with these arguments, on a terminal or not."""
    out, err = _Stream(terminal=terminal), _Stream()
    with (
        patch.object(sys, "stdin", _Stream(stdin)),
        patch.object(sys, "stdout", out),
        patch.object(sys, "stderr", err),
    ):
        code = main([str(argument) for argument in arguments])
    return Run(code, out.text(), err.text())


def verify(*cases: Json | bytes, options: tuple[str, ...] = ("--json",)) -> Run:
    """Runs ``passkeycore verify - --json`` over cases, or over lines as they are."""
    lines = [case if isinstance(case, bytes) else json.dumps(case).encode() for case in cases]
    return command("verify", "-", *options, stdin=b"\n".join(lines) + b"\n")


def changed(case: Json, ceremony: str, **members: Any) -> Json:
    """`case` with other members in one ceremony; None takes one out."""
    merged = case[ceremony] | members
    return case | {ceremony: {name: value for name, value in merged.items() if value is not None}}


def alone(case: Json, ceremony: str) -> Json:
    """`case` without its other ceremony."""
    return {name: case[name] for name in ("name", "rp", ceremony)}


def with_rp(case: Json, **members: Any) -> Json:
    """`case` with other members in its Relying Party."""
    return case | {"rp": case["rp"] | members}


def part(case: Json, ceremony: str, name: str) -> bytes:
    """A binary member of a ceremony's response."""
    return unb64(case[ceremony]["response"]["response"][name])


def credential_of(case: Json) -> Json:
    """The stored credential that the registration of a W3C case gives."""
    data: bytes = cbor2.loads(part(case, "registration", "attestationObject"))["authData"]
    size = int.from_bytes(data[53:55], "big")
    return {
        "id": b64(data[55 : 55 + size]),
        "public_key": b64(data[55 + size :]),
        "sign_count": 0,
        "backup_eligible": bool(data[32] & 8),
        "user_handle": None,
    }


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """What `b64` was given."""
    return base64.urlsafe_b64decode(text + "==")
