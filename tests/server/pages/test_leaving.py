"""Where pages may lead: where a tenant has registered, read as browsers read it, with the token at its place."""

import pytest

from passkeycore.server.pages.leaving import is_app_scheme, with_token
from passkeycore.server.redirects import may_redirect

REGISTERED = ("https://shop.example.com", "http://localhost:3000", "com.example.shop:", "authsignal:")

GOOD = (
    "https://shop.example.com",
    "https://shop.example.com/",
    "https://shop.example.com/back?order=17#top",
    "HTTPS://SHOP.example.com/back",
    "http://localhost:3000/back",
    "com.example.shop:/back",
    "com.example.shop://back?order=17",
)
FOREIGN = (
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://shop.example.com/1",
    "about:blank",
    "https://evil.example",
    "https://shop.example.com.evil.example/",
    "https://evil.example/https://shop.example.com",
    "https://shop.example.com@evil.example/",
    "https://evil.example\\@shop.example.com/",
    "https://shop.example.com\\.evil.example/",
    "https://shop.example.com:444/",
    "http://shop.example.com/",
    "https:/shop.example.com",
    "https:shop.example.com",
    "https:///evil.example",
    "//shop.example.com/",
    "/back",
    "",
    "https://",
    "https://[shop.example.com",
    "https://shop.example.com/\x00",
    "https://shop.example.com/\r\nSet-Cookie: a=b",
    "https://shop.example.com/ümlaut",
    "https://shop.example.com/" + "a" * 2_048,
    "com.example.shops:/back",
    "com.example:/back",
)


@pytest.mark.parametrize("url", GOOD)
def test_what_is_registered_may_be_led_to(url: str) -> None:
    assert may_redirect(REGISTERED, url)


@pytest.mark.parametrize("url", FOREIGN)
def test_nothing_else_may(url: str) -> None:
    assert not may_redirect(REGISTERED, url)


@pytest.mark.parametrize(
    ("scheme", "good"),
    [
        ("authsignal", True),
        ("com.example.shop", True),
        ("https", False),
        ("javascript", False),
        ("", False),
        ("authsignal:", False),
        ("authsignal://evil?x=", False),
        ("com.example.other", False),
    ],
)
def test_an_app_is_known_by_a_registered_scheme_alone(scheme: str, good: bool) -> None:
    assert is_app_scheme(REGISTERED, scheme) is good


@pytest.mark.parametrize(
    ("url", "result"),
    [
        ("https://a.example", "https://a.example?token=T"),
        ("https://a.example/b", "https://a.example/b?token=T"),
        ("https://a.example/b?", "https://a.example/b?token=T"),
        ("https://a.example/b?c=d", "https://a.example/b?c=d&token=T"),
        ("https://a.example/b?c=d&", "https://a.example/b?c=d&token=T"),
        ("https://a.example/b?c=%20d#e?f", "https://a.example/b?c=%20d&token=T#e?f"),
        ("https://a.example/b#c", "https://a.example/b?token=T#c"),
        ("app:/b", "app:/b?token=T"),
    ],
)
def test_the_token_follows_the_query_that_is_there(url: str, result: str) -> None:
    assert with_token(url, "T") == result
