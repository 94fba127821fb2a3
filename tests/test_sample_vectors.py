"""``vectors/attestation.jsonl`` is what its generator makes, and what its cases say becomes of them."""

from passkeycore.webauthn.attestation import FORMATS
from tests import samples
from tests.command import command


def test_the_file_is_the_generators_output() -> None:
    assert samples.PATH.read_text() == samples.jsonl()


def test_every_format_is_there_and_every_case_turns_out_as_it_says() -> None:
    run = command("verify", samples.PATH, "--json")
    assert (run.code, run.err) == (0, "")
    registered = [verdict for verdict in run.objects if verdict["ok"] and verdict["ceremony"] == "registration"]
    assert {verdict["attestation_format"] for verdict in registered} == FORMATS.keys()
    assert len({verdict["name"] for verdict in run.objects}) == len(samples.SAMPLES) + 1
