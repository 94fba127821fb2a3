"""The test kit on its own: its keys, its byte formats and `Tamper`. The engine has no part in it."""

import ast
import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

import passkeycore.testing
from passkeycore.testing import (
    ALGORITHMS,
    AT,
    ED,
    TEST_AAGUID,
    UP,
    UV,
    EncodedCbor,
    SoftwareAuthenticator,
    SoftwareKey,
    Tamper,
    VirtualClient,
    attestation_object,
    attested_credential_data,
    authenticator_data,
    b64url_decode,
    b64url_encode,
    cbor,
    cbor_map,
    client_data_json,
    derive,
)
from tests.kit import (
    P256,
    Json,
    Parsed,
    check,
    check_assertion,
    creation_options,
    dumps,
    loads,
    member,
    public_key,
    registered,
    request_options,
)

REPEATING = [a for a, name in ALGORITHMS.items() if not name.startswith(("PS", "ML-DSA"))]
RS256, ED25519 = -257, -8


class TestKit:
    def test_it_imports_nothing_of_passkeycore_but_itself(self) -> None:
        for file in Path(passkeycore.testing.__path__[0]).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    modules = [node.module or "."]
                for module in modules:
                    assert not module.startswith(("passkeycore", ".")) or module.startswith("passkeycore.testing"), (
                        f"{file.name} imports {module}"
                    )

    def test_every_public_name_exists(self) -> None:
        exported = passkeycore.testing.__all__
        assert all(hasattr(passkeycore.testing, name) for name in exported)
        assert len(set(exported)) == len(exported)


class TestKeys:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_signatures_verify_under_the_cose_key(self, algorithm: int) -> None:
        key = SoftwareKey.derive("seed", algorithm)
        signature = key.sign(b"message")
        rebuilt, label = public_key(key.cose())
        assert label == key.algorithm == algorithm
        check(rebuilt, algorithm, signature, b"message")
        with pytest.raises(InvalidSignature):
            check(rebuilt, algorithm, signature, b"massage")

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_same_seed_same_key(self, algorithm: int) -> None:
        first, again, other, next_one = (
            SoftwareKey.derive(seed, algorithm, index=index)
            for seed, index in (("seed", 0), (b"seed", 0), ("other", 0), ("seed", 1))
        )
        assert first.cose() == again.cose()
        assert next_one.cose() != first.cose()
        if ALGORITHMS[algorithm][:2] not in ("RS", "PS"):  # these share a few moduli
            assert other.cose() != first.cose()

    @pytest.mark.parametrize("algorithm", REPEATING)
    def test_signatures_repeat(self, algorithm: int) -> None:
        key = SoftwareKey.derive("seed", algorithm)
        assert key.sign(b"message") == key.sign(b"message")

    def test_consecutive_rsa_keys_differ_and_have_2048_bits(self) -> None:
        moduli = {SoftwareKey.derive("seed", RS256, index=index).cose_map()[-1] for index in range(15)}
        assert len(moduli) == 15
        assert all(isinstance(n, bytes) and len(n) == 256 and n[0] & 0x80 for n in moduli)

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_cose_is_canonical_and_spki_is_the_same_key(self, algorithm: int) -> None:
        key = SoftwareKey.derive("seed", algorithm)
        assert key.cose() == dumps(key.cose_map())
        assert serialization.load_der_public_key(key.spki()) == key.public_key

    def test_uses_are_separated(self) -> None:
        drawn = {derive("s", "a"), derive("s", "b"), derive("s", "a", index=1), derive("t", "a")}
        assert len(drawn) == 4
        assert derive("s", "a", length=0) == b""

    def test_a_mislabelled_key_keeps_its_own_shape(self) -> None:
        key = SoftwareKey.derive("seed", -35).with_algorithm(P256)
        assert key.cose_map()[3] == P256
        assert key.cose_map()[-1] == 2
        assert isinstance(key.public_key, ec.EllipticCurvePublicKey)
        key.public_key.verify(key.sign(b"m"), b"m", ec.ECDSA(hashes.SHA256()))
        with pytest.raises(ValueError, match="no hash"):
            key.with_algorithm(ED25519).sign(b"m")

    def test_an_unknown_algorithm_is_refused(self) -> None:
        with pytest.raises(ValueError, match="-999"):
            SoftwareKey.derive("seed", -999)


CBOR_KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=30)
CBOR_VALUES = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CBOR_KEYS, inner, max_size=4),
    max_leaves=12,
)


class TestEncoding:
    @settings(deadline=None)
    @given(CBOR_VALUES)
    def test_cbor_reads_back(self, value: Any) -> None:
        assert loads(cbor(value)) == value

    @settings(deadline=None)
    @given(st.dictionaries(st.integers(-(2**64), 2**64 - 1), st.none(), max_size=30))
    def test_integer_keys_sort_by_sign_then_size(self, value: dict[int, None]) -> None:
        assert list(loads(cbor(value))) == sorted(value, key=lambda k: (k < 0, k if k >= 0 else -k))

    @settings(deadline=None)
    @given(st.dictionaries(st.text(max_size=40), st.integers(0, 300), max_size=30))
    def test_text_keys_sort_by_length_then_bytes(self, value: dict[str, int]) -> None:
        assert cbor(value) == dumps(value)

    def test_cbor_can_be_wrong_on_purpose(self) -> None:
        assert cbor_map([(3, 1), (1, 2), (1, 3)]).hex() == "a3" + "0301" + "0102" + "0103"
        assert cbor([EncodedCbor(b"\x18\x00")]) == b"\x81\x18\x00"
        with pytest.raises(TypeError, match="float"):
            cbor(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(OverflowError):
            cbor(2**64)

    @settings(deadline=None)
    @given(st.binary(max_size=50))
    def test_base64url_reads_back(self, data: bytes) -> None:
        assert b64url_decode(b64url_encode(data)) == data

    @pytest.mark.parametrize("text", ["QQ==", "QR", "A", "ab+/", "a b", "é", "AA\n"])
    def test_base64url_is_strict(self, text: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - which of several does not matter
            b64url_decode(text)

    def test_authenticator_data_layout(self) -> None:
        key = SoftwareKey.derive("seed", P256)
        attested = attested_credential_data(TEST_AAGUID, b"id", key.cose_map())
        assert attested == TEST_AAGUID.bytes + b"\x00\x02id" + key.cose()
        assert attested_credential_data(TEST_AAGUID, b"id", b"raw") == TEST_AAGUID.bytes + b"\x00\x02idraw"
        data = authenticator_data(
            rp_id="example.org",
            flags=0xC5,
            sign_count=258,
            attested=attested,
            extensions={"uvm": [[1, 2, 3]]},
        )
        rp_id_hash = hashlib.sha256(b"example.org").digest()
        head = rp_id_hash + b"\xc5" + b"\x00\x00\x01\x02"
        assert data == head + attested + dumps({"uvm": [[1, 2, 3]]})
        assert data == authenticator_data(
            rp_id_hash=rp_id_hash,
            flags=0xC5,
            sign_count=258,
            attested=attested,
            extensions=cbor({"uvm": [[1, 2, 3]]}),
        )
        for wrong in ({}, {"rp_id": "a", "rp_id_hash": b""}):
            with pytest.raises(ValueError, match="either"):
                authenticator_data(flags=0, sign_count=0, **wrong)  # type: ignore[arg-type]  # pyright: ignore

    def test_attestation_object_is_canonical(self) -> None:
        made = attestation_object("none", {}, b"data")
        assert made == dumps({"fmt": "none", "attStmt": {}, "authData": b"data"})

    def test_client_data_is_serialised_as_the_specification_says(self) -> None:
        made = client_data_json({"type": 't"\\', "challenge": "\n\x7fé", "crossOrigin": False, "extra": {"a": [1]}})
        expected = '{"type":"t\\"\\\\","challenge":"\\u000a\x7fé","crossOrigin":false,"extra":{"a":[1]}}'
        assert made.decode() == expected


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


class TestTamper:
    """Each change arrives where it should, and what is made after it fits the changed value."""

    @pytest.fixture
    def client(self) -> VirtualClient:
        return VirtualClient(SoftwareAuthenticator(attestation="packed-self", sign_count=5))

    def create(self, client: VirtualClient, tamper: Tamper, **extensions: Any) -> tuple[Json, Json, Parsed]:
        """A registration whose self attestation is checked with the authenticator's own key."""
        response = client.create(creation_options(extensions=extensions), tamper=tamper)
        attestation: Json = loads(member(response, "attestationObject"))
        credential = next(reversed(client.authenticator.credentials.values()))
        message = attestation["authData"] + hashlib.sha256(member(response, "clientDataJSON")).digest()
        check(credential.key.public_key, P256, attestation["attStmt"]["sig"], message)
        return response, attestation, Parsed(attestation["authData"])

    def get(self, client: VirtualClient, tamper: Tamper, **extensions: Any) -> tuple[Json, Parsed]:
        client.create(creation_options())
        response = client.get(request_options(extensions=extensions), tamper=tamper)
        credential = next(reversed(client.authenticator.credentials.values()))
        check_assertion(response, credential.key.public_key)
        return response, Parsed(member(response, "authenticatorData"))

    def test_client_data(self, client: VirtualClient) -> None:
        tamper = Tamper(client_data=lambda d: d | {"type": "wrong"}, client_data_json=lambda b: b + b" ")
        for response in (self.create(client, tamper)[0], self.get(client, tamper)[0]):
            raw = member(response, "clientDataJSON")
            assert raw.startswith(b'{"type":"wrong","challenge":')
            assert raw.endswith(b"} ")

    def test_authenticator_data(self, client: VirtualClient) -> None:
        tamper = Tamper(
            rp_id_hash=flip,
            sign_count=lambda count: count + 1,
            flags=lambda f: f & ~UP,
            authenticator_data=lambda d: d,
        )
        for data, flags in ((self.create(client, tamper)[2], UV | AT), (self.get(client, tamper)[1], UV)):
            assert data.rp_id_hash == flip(hashlib.sha256(b"example.org").digest())
            assert (data.sign_count, data.flags) == (6, flags)
        assert {c.sign_count for c in client.authenticator.credentials.values()} == {5}
        _, attestation, _ = self.create(client, Tamper(authenticator_data=lambda d: d + b"\xa0"))
        assert attestation["authData"].endswith(b"\xa0")

    def test_attested_credential_data(self, client: VirtualClient) -> None:
        _, _, data = self.create(
            client, Tamper(credential_id=lambda i: i + b"!", cose_key=lambda k: k | {3: -8, -2: bytes(31)})
        )
        assert data.credential_id.endswith(b"!")
        assert loads(data.cose)[-2] == bytes(31)
        _, attestation, _ = self.create(client, Tamper(cose_key=lambda k: cbor(k)))
        assert attestation["authData"].endswith(client.authenticator.credentials.popitem()[1].key.cose())
        _, attestation, data = self.create(client, Tamper(attested_credential_data=lambda _: b""))
        assert (len(attestation["authData"]), data.flags) == (37, UP | UV)
        extra = attested_credential_data(TEST_AAGUID, b"id", SoftwareKey.derive("x", P256).cose())
        _, data = self.get(client, Tamper(attested_credential_data=lambda _: extra))
        assert (data.flags & AT, data.credential_id) == (AT, b"id")

    def test_extensions(self, client: VirtualClient) -> None:
        _, _, data = self.create(client, Tamper(extensions=lambda e: e | {"credProtect": 9}), uvm=True)
        assert data.extensions == {"uvm": [[2, 4, 2]], "credProtect": 9}
        _, data = self.get(client, Tamper(extensions=lambda _: b"\x63abc"))
        assert (data.flags & ED, data.tail) == (ED, b"\x63abc")
        _, data = self.get(client, Tamper(extensions=lambda _: {}), uvm=True)
        assert (data.flags & ED, data.tail) == (0, b"")

    def test_signatures(self, client: VirtualClient) -> None:
        client.create(creation_options())
        other = SoftwareKey.derive("other", P256)
        response = client.get(request_options(), tamper=Tamper(sign=lambda _, message: other.sign(message)))
        check_assertion(response, other.public_key)

    def test_what_follows_the_signature(self, client: VirtualClient) -> None:
        response, attestation, _ = self.create(
            client,
            Tamper(
                attestation=lambda a: a | {"fmt": "new"},
                attestation_object=lambda b: b.replace(b"new", b"odd"),
                client_extension_results=lambda r: r | {"credProps": {"rk": "yes"}},
                response=lambda r: r | {"id": "other"},
            ),
            credProps=True,
        )
        assert attestation["fmt"] == "odd"
        assert response["clientExtensionResults"] == {"credProps": {"rk": "yes"}}
        assert (response["id"], response["rawId"] != "other") == ("other", True)

    def test_functions_may_change_their_dictionaries_in_place(self, client: VirtualClient) -> None:
        def spoil(attestation: Json) -> Json:
            attestation["attStmt"]["sig"] = b""
            return attestation

        before = client.create(creation_options(), tamper=Tamper(attestation=spoil))
        assert registered(before)[0]["attStmt"]["sig"] == b""
        self.create(client, Tamper())
