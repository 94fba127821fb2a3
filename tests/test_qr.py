"""QR codes: the picture shows the modules of the text's code and nothing else, for pages under any policy."""

import re
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
import segno

from passkeycore import Code, ConfigurationError, DecodeError
from passkeycore.qr import LONGEST, qr_svg, qr_terminal

CHALLENGE = "k3JvQ0tB" * 5 + "abc"  # as long as the id of a challenge
TEXTS = ["a", "0123456789", "HTTPS", CHALLENGE, "https://example.com/#" + CHALLENGE, "zwölf €", "x" * LONGEST]
SVG = "{http://www.w3.org/2000/svg}"
BLOCKS = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}

Matrix = list[list[int]]


def expected(text: str, border: int) -> Matrix:
    code = segno.make_qr(text.encode(), error="m", mode="byte", boost_error=False)
    return [list(row) for row in code.matrix_iter(border=border)]


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def drawn(svg: str) -> Matrix:
    """The modules that the last path of the picture covers, in the picture's own units."""
    root = parsed(svg)
    left, top, width, height = map(int, root.attrib["viewBox"].split())
    assert (left, top, width) == (0, 0, height)
    modules = [[0] * width for _ in range(height)]
    path = root.findall(f"{SVG}path")[-1].attrib["d"]
    pieces = re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path)
    assert "".join(f"M{x} {y}h{go}v1h-{back}z" for x, y, go, back in pieces) == path
    for x, y, go, back in pieces:
        assert go == back
        for column in range(int(x), int(x) + int(go)):
            assert not modules[int(y)][column]
            modules[int(y)][column] = 1
    return modules


@pytest.mark.parametrize("text", TEXTS)
def test_the_picture_shows_the_modules_with_a_quiet_zone_of_four(text: str) -> None:
    assert drawn(qr_svg(text)) == expected(text, border=4)


@pytest.mark.parametrize("text", TEXTS)
def test_a_terminal_shows_the_modules_light_on_dark(text: str) -> None:
    lines = qr_terminal(text).split("\n")
    assert lines.pop() == ""
    halves = [[BLOCKS[character] for character in line] for line in lines]
    modules = [[pair[half] for pair in line] for line in halves for half in (0, 1)]
    right = expected(text, border=4)
    assert modules[: len(right)] == right
    assert all(set(row) == {1} for row in modules[len(right) :])
    assert len(modules) - len(right) < 2


def test_error_correction_is_of_level_m() -> None:
    """Read from the code itself: the two bits before the mask's, in ISO/IEC 18004, section 7.9."""
    for text in TEXTS:
        row = expected(text, border=0)[8]
        assert (row[0] ^ 1, row[1] ^ 0) == (0, 0)
        assert drawn(qr_svg(text))[12][4:6] == row[:2]


def test_the_picture_refers_to_nothing_and_has_no_styles_or_scripts() -> None:
    svg = qr_svg(CHALLENGE, title="Scan me")
    root = parsed(svg)
    assert [element.tag for element in root.iter()] == [f"{SVG}svg", f"{SVG}title", f"{SVG}path", f"{SVG}path"]
    allowed = {"role", "aria-label", "width", "height", "viewBox", "shape-rendering", "fill", "d"}
    assert {name for element in root.iter() for name in element.attrib} == allowed
    assert "url(" not in svg
    assert svg.count("http") == 1  # the namespace
    assert [path.attrib["fill"] for path in root.findall(f"{SVG}path")] == ["#fff", "#000"]


def test_the_title_stands_for_the_picture_and_the_text_does_not() -> None:
    title = '<b>Tom & "Jerry"\'s</b>'
    svg = qr_svg(CHALLENGE, title=title)
    root = parsed(svg)
    assert (root.attrib["role"], root.attrib["aria-label"], root.findtext(f"{SVG}title")) == ("img", title, title)
    assert "<b>" not in svg
    assert CHALLENGE not in svg


@pytest.mark.parametrize("scale", [1, 4, 32])
def test_scale_is_the_width_of_a_module(scale: int) -> None:
    root = parsed(qr_svg(CHALLENGE, scale=scale))
    assert root.attrib["width"] == root.attrib["height"] == str(scale * len(expected(CHALLENGE, border=4)))


@pytest.mark.parametrize("scale", [0, -1, 33, 10**9])
def test_a_scale_that_no_page_has_room_for_is_refused(scale: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        qr_svg(CHALLENGE, scale=scale)
    assert caught.value.path == "scale"


@pytest.mark.parametrize("make", [qr_svg, qr_terminal])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.NAME_INVALID),
        ("\ud800", Code.NAME_INVALID),
        ("x" * (LONGEST + 1), Code.TOO_LARGE),
        ("€" * (LONGEST // 3 + 1), Code.TOO_LARGE),
    ],
    ids=["empty", "surrogate", "long", "long in UTF-8"],
)
def test_texts_are_bounded(make: Callable[[str], str], text: str, code: Code) -> None:
    with pytest.raises(DecodeError) as caught:
        make(text)
    assert (caught.value.code, caught.value.path) == (code, "text")


def test_without_segno_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    for make in (qr_svg, qr_terminal):
        with pytest.raises(ConfigurationError, match=r'"server" or "cli"'):
            make(CHALLENGE)


def test_segno_is_loaded_only_by_those_who_draw() -> None:
    script = "import sys, passkeycore.qr; print('segno' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
