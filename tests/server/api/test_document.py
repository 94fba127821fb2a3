"""The OpenAPI document: valid, whole, and of what is served alone."""

import json
from typing import Any

from jsonschema_rs import validator_for
from schemathesis import openapi
from schemathesis.core.result import Ok

from passkeycore.errors import Code
from passkeycore.server.api import openapi_document
from passkeycore.server.api.refusals import EdgeCode, Error
from passkeycore.server.api.rows import ROWS
from tests.server.api.examples import EXAMPLES
from tests.server.api.kit import Api


def references(value: Any) -> set[str]:
    """Every ``$ref`` within."""
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(member) for member in value.values()))
    if isinstance(value, list):
        return set[str]().union(*map(references, value))
    return set()


def test_it_has_every_route_and_no_other() -> None:
    paths = openapi_document()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {(row.method, row.path) for row in ROWS}


def test_it_says_what_each_route_reads_answers_and_asks_of_its_caller() -> None:
    document = openapi_document()
    for row in ROWS:
        operation = document["paths"][row.path][row.method.lower()]
        assert operation["summary"].endswith(".")
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert answer == f"#/components/schemas/{row.answer.__name__}"
        assert ("requestBody" in operation) == (row.asked is not None)
        schemes = set(operation["security"][0])
        assert schemes <= document["components"]["securitySchemes"].keys()
        assert bool(schemes) == (row.caller not in ("anyone", "device") and row.path != "/session")


def test_what_it_refers_to_is_there_and_whatever_is_there_is_referred_to() -> None:
    document = openapi_document()
    components = {
        f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in document["components"][kind]
    }
    assert references(document) == components


def test_every_code_of_an_error_is_listed() -> None:
    schema = openapi_document()["components"]["schemas"]["ErrorMembers"]["properties"]["code"]
    assert schema["enum"] == [*(code.value for code in Code), *(code.value for code in EdgeCode)]
    assert not {code.value for code in Code} & {code.value for code in EdgeCode}


def test_every_schema_is_one_and_every_operation_can_be_read() -> None:
    document = openapi_document()
    schema = openapi.from_dict(document)
    results = list(schema.get_all_operations())
    assert all(isinstance(result, Ok) for result in results)
    assert len(results) == len(ROWS)
    for members in document["components"]["schemas"].values():
        validator_for(members | {"components": document["components"]})  # which raises for what is none


def test_it_is_json_and_the_same_every_time() -> None:
    assert json.loads(json.dumps(openapi_document())) == openapi_document()


def test_a_server_serves_the_document_of_what_it_serves(shared_api: Api) -> None:
    served = shared_api.send("GET", "/openapi.json")
    assert served.headers["content-type"] == "application/json"
    assert served.json() == openapi_document([row for row in ROWS if row.caller != "user"])


def test_a_host_serves_the_document_of_what_it_serves(shared_api: Api) -> None:
    served = shared_api.host_browser().get("/openapi.json").json()
    assert served == openapi_document([row for row in ROWS if row.caller != "server"])
    assert "server" not in served["components"]["securitySchemes"]


def test_errors_are_as_it_says(shared_api: Api) -> None:
    document = openapi_document()
    schema = {"$ref": f"#/components/schemas/{Error.__name__}", "components": document["components"]}
    validator = validator_for(schema)
    validator.validate(shared_api.send("GET", "/nothing").json())
    validator.validate(shared_api.send("POST", "/server/users/get", {}, token="no key").json())
    assert not validator.is_valid({"error": {"code": "made_up", "message": "…"}})


def test_answers_are_as_it_says(shared_api: Api) -> None:
    document = openapi_document()
    for row in ROWS:
        answer = EXAMPLES[row.path](shared_api, f"{row.name} document")
        if row.path in ("/sign-in/passkey/finish", "/sign-in/qr/poll") and "welcome" in answer.json():
            continue  # the host's own
        schema = {"$ref": f"#/components/schemas/{row.answer.__name__}", "components": document["components"]}
        validator_for(schema).validate(answer.json())
