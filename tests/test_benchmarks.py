"""The benchmarks run, and what they time verifies. Nothing here looks at a duration."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.exceptions import InvalidSignature

from benchmarks import actions, devices, engine, measure, repositories, scale
from benchmarks.__main__ import DEFAULT, main
from benchmarks.cases import (
    ALGORITHMS,
    AttestationName,
    authentication_cases,
    forget_keys,
    registration_cases,
    remember_keys,
)
from benchmarks.measure import Call, Contender, Series, estimate, interleave, overhead, ratio
from benchmarks.peers import NAMES, Peer, installed
from benchmarks.report import table, verdict
from benchmarks.sign_ins import make_sign_ins, store
from benchmarks.trail import count_tests
from passkeycore import RegistrationOutcome, SignatureError, VerifiedAuthentication
from passkeycore.engine.actions.records import ActionFilter
from passkeycore.engine.passkeys.authentication import Authentication
from passkeycore.repositories.sql import SQLRepository
from passkeycore.webauthn.cose import ES256, PublicKey
from tests.ceremony import NOW

ATTESTATIONS: Sequence[AttestationName] = get_args(AttestationName)
SECTIONS = (
    *("authentication", "registration", "attestation", "metadata", "imports", "threads", "trail"),
    *("engine", "repositories", "rules", "actions", "devices"),
)


@pytest.fixture(params=NAMES)
def peer(request: pytest.FixtureRequest) -> Peer:
    name: str = request.param
    peers = installed([name])
    if not peers:
        pytest.skip(f"{name} is not installed")
    return peers[name]


class TestCases:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_ours_and_the_floor_verify(self, algorithm: int) -> None:
        for case in authentication_cases(algorithm, 2):
            outcome = case.ours()()
            assert isinstance(outcome, VerifiedAuthentication)
            assert outcome.credential.sign_count == 1
            case.floor()()
            case.load_and_floor()()

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_the_floor_checks_the_signature(self, algorithm: int) -> None:
        case, other = authentication_cases(algorithm, 2)
        for call in (other.floor(), other.load_and_floor()):
            verify: Any = call
            arguments = [case.signature if part == other.signature else part for part in verify.args]
            assert arguments != list(verify.args)
            with pytest.raises(InvalidSignature):
                verify.func(*arguments)

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_peers_verify(self, algorithm: int, peer: Peer) -> None:
        if not peer.supports(algorithm):
            pytest.skip(f"no {ALGORITHMS[algorithm]}")
        for case in authentication_cases(algorithm, 2):
            assert peer.authentication(case)() is not None

    @pytest.mark.parametrize("attestation", ATTESTATIONS)
    def test_registrations_verify(self, attestation: AttestationName) -> None:
        for case in registration_cases(attestation, 2):
            outcome = case.ours()()
            assert isinstance(outcome, RegistrationOutcome)
            assert outcome.credential.public_key == case.cose_key
            assert outcome.attestation.format == attestation.split()[0]
            assert bool(outcome.attestation.trust_path) == attestation.endswith("x5c")

    @pytest.mark.parametrize("attestation", ATTESTATIONS)
    def test_peers_register(self, attestation: AttestationName, peer: Peer) -> None:
        for case in registration_cases(attestation, 2):
            assert peer.registration(case)() is not None

    def test_keys_are_new_after_forgetting_and_known_after_remembering(self) -> None:
        cases = authentication_cases(ES256, 3)
        assert len({case.cose_key for case in cases}) == 3
        before = [PublicKey.parse(case.cose_key) for case in cases]
        remember_keys(cases)
        assert all(PublicKey.parse(case.cose_key) is old for case, old in zip(cases, before, strict=True))
        forget_keys()
        assert all(PublicKey.parse(case.cose_key) is not old for case, old in zip(cases, before, strict=True))

    def test_a_verification_has_tests_of_the_trail(self) -> None:
        tests, passes = count_tests(authentication_cases(ES256, 1)[0])
        assert tests > 10
        assert passes > 1


class TestSignIns:
    def test_level_1_and_the_floor_verify(self) -> None:
        one, other = make_sign_ins(2)
        assert isinstance(one.level_1()(), VerifiedAuthentication)
        one.floor()()
        check: Any = one.floor()
        with pytest.raises(InvalidSignature):
            check.func(other.signature, *check.args[1:])

    def test_every_batch_of_the_engine_signs_everybody_in(self) -> None:
        sign_ins = make_sign_ins(3)
        for prepare in (engine.synchronous(sign_ins), asyncio.run(engine.asynchronous(sign_ins))):
            for _ in range(2):
                done = [call() for call in prepare()]
                assert [one.user_id for one in done if isinstance(one, Authentication)] == [
                    "user 0",
                    "user 1",
                    "user 2",
                ]

    def test_the_floor_sends_what_a_sign_in_of_ours_sends(self, tmp_path: Path) -> None:
        """Of each user their own five statements, in their order; test_statements says that five are right."""
        url, sign_ins = f"sqlite:///{tmp_path / 'passkeys.db'}", make_sign_ins(3)
        repository = SQLRepository(url, create=True)
        store(repository, sign_ins)
        statements = repositories.recorded(url, sign_ins, None)
        repository.close()
        for one in sign_ins:
            sent = statements[one.user_id]
            assert [statement.split()[0] for statement, _ in sent] == ["SELECT", "INSERT", "DELETE", "SELECT", "UPDATE"]
            assert [one.challenge in parameters for _, parameters in sent] == [False, True, True, False, False]
            assert one.user_id in sent[0][1]

    def test_the_floor_leaves_what_a_sign_in_of_ours_leaves(self, tmp_path: Path) -> None:
        sign_ins = make_sign_ins(2)
        with repositories.sqlite_place(sign_ins, tmp_path) as place:
            ours, floor = ([work(one) for one in sign_ins] for work in (place.sign_in, place.floor[0]))
            assert len(ours) == len(floor) == 2
            repository = SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}")
            for one in sign_ins:
                account = repository.find_account("", one.user_id)
                assert account is not None
                assert account.passkeys[0].last_used_at is not None
                assert repository.take_ceremony("", one.challenge) is None
            repository.close()

    def test_everybody_in_a_filled_database_can_sign_in(self, tmp_path: Path) -> None:
        size = 30
        sign_ins = make_sign_ins(5, users=1)
        with scale.sqlite_filled(size, sign_ins, tmp_path) as filled:
            seen = Counter[str]()
            for _ in range(10):
                for call in filled.prepare["finish"]():
                    done = call()
                    assert isinstance(done, Authentication)
                    seen[done.user_id] += 1
        assert sum(seen.values()) == 50
        assert len(seen) > 10, "others than the one who registered"


class TestDevices:
    def test_the_floor_the_verifier_and_the_flow_judge_the_same_answers(self) -> None:
        """A signature of another answer is refused by all three."""
        answers = devices.make_answers(2)
        mixed = [one._replace(signature=other.signature) for one, other in zip(answers, answers[::-1], strict=True)]
        for made in (devices.pure, devices.flow, lambda given: [one.floor() for one in given]):
            for call in made(answers):
                call()
            for call in made(mixed):
                with pytest.raises((SignatureError, InvalidSignature)):
                    call()


class TestActions:
    def test_the_floor_sends_what_a_call_of_ours_sends(self, tmp_path: Path) -> None:
        """It reads account and devices and inserts an action, then reads an action and the account; each time anew."""
        url = f"sqlite:///{tmp_path / 'actions.db'}"
        other = f"sqlite:///{tmp_path / 'other.db'}"
        SQLRepository(other, create=True).close()
        sent = [statement.split()[0] for statement, _ in actions.recorded(other)]
        assert sent == ["SELECT", "SELECT", "INSERT", "SELECT", "SELECT"]
        with actions.sqlite_place(tmp_path) as place:
            assert place.floor is not None
            repository = SQLRepository(url)
            tracked = [len(repository.list_actions("", ActionFilter(), NOW, None, 100).actions)]
            for call in (place.ours, place.floor, place.floor):
                call()
                tracked.append(len(repository.list_actions("", ActionFilter(), NOW, None, 100).actions))
            repository.close()
        assert [after - before for before, after in pairwise(tracked)] == [1, 1, 1]


class TestMeasure:
    def test_every_round_runs_every_contender_in_a_changing_order(self) -> None:
        log: list[str] = []

        def noting(name: str) -> Call:
            return lambda: log.append(name)

        contenders = [
            Contender("a", lambda: [noting("a")] * 3, lead_in=1),
            Contender("b", lambda: [noting("b")] * 2),
        ]
        series = interleave(contenders, 20, lambda: log.append("|"))
        rounds = "".join(log).split("|")[1:]
        assert set(rounds) == {"aaabb", "bbaaa"}
        assert {name: len(one.samples) for name, one in series.items()} == {"a": 40, "b": 40}
        assert len(rounds) > 20, "the first rounds are thrown away"

    def test_statistics(self) -> None:
        floor, ours = Series([1000, 1000, 3000, 1000, 1000]), Series([2000, 2000, 2000, 9000, 2000])
        assert (floor.median_us, ours.median_us) == (1.0, 2.0)
        assert ratio(ours, floor) == (2.0, 2 / 3, 9.0)
        assert overhead(ours, floor, floor).value == 1.0
        assert estimate(float, ours) == (2.0, 2.0, 9.0)
        assert ours.quartiles_us == (2.0, 5.5)

    def test_report(self) -> None:
        assert table(("a", "bb"), [("ccc", "d")]) == "a    bb\n---  --\nccc   d"
        assert [verdict(0.1, 0.12), verdict(0.1, 2.5, at_least=True), verdict(0.1, None)] == [
            "0.12 reached",
            "2.5 missed",
            "-",
        ]


class TestCommand:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the figures would be is nobody's business here, so none need be good ones."""
        monkeypatch.setattr(measure, "_WARM_UP", 0)
        monkeypatch.setattr(repositories, "_EACH", 2)

    @pytest.mark.parametrize("section", SECTIONS)
    def test_each_section_reports(self, section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        written = tmp_path / "figures.json"
        assert main([section, "--rounds", "2", "--json", str(written)]) == 0
        assert f"== {section}, 2 rounds ==" in capsys.readouterr().out
        figures = json.loads(written.read_text())
        assert figures["rounds"] == 2
        assert figures["versions"]["cryptography"]
        assert set(figures["sections"]) == {section}
        for one in figures["sections"][section]["series"].values():
            assert 0 < one["lower_quartile_us"] <= one["median_us"] <= one["upper_quartile_us"]

    def test_scale_reports_and_runs_only_when_it_is_named(self) -> None:
        assert {*DEFAULT} == {*SECTIONS}
        section = scale.run(2, {}, sizes=(30, 60))
        assert section.data["sizes"] == [30, 60]
        assert {name.split()[0] for name in section.data["sign_ins"]} == {"SQLite", "PostgreSQL"}

    def test_a_peer_that_is_not_installed_is_said_to_be_so(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for package in ("webauthn", "fido2"):
            monkeypatch.setitem(sys.modules, package, None)
        assert installed() == {}
        assert main(["authentication", "registration", "--rounds", "1"]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("ES256 ", "none "))]
        assert [line.count("not installed") for line in lines[:1] + lines[-1:]] == [2, 2]

    @pytest.mark.parametrize("arguments", [["nonsense"], ["--rounds", "-1"], ["--rounds", "0"], ["--rounds", "x"]])
    def test_misuse(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        assert exit.value.code == 2
