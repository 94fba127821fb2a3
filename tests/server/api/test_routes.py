"""Every route of the table, once as it should go: the answer is exactly of the shape that the document has."""

from typing import Final

import msgspec
import pytest

from passkeycore.server.api.calls import Row
from passkeycore.server.api.rows import ROWS
from tests.server.api.examples import EXAMPLES
from tests.server.api.kit import Api, good

_OF_HOSTS: Final = {"welcome"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_route_answers_what_its_row_says(shared_api: Api, row: Row) -> None:
    members = good(EXAMPLES[row.path](shared_api, row.name))
    read = msgspec.convert(members, row.answer)
    assert msgspec.to_builtins(read).keys() == members.keys()


def test_no_two_routes_are_the_same() -> None:
    assert len({(row.method, row.path) for row in ROWS}) == len(ROWS)
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert EXAMPLES.keys() == {row.path for row in ROWS}
