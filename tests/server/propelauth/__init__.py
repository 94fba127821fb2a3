"""The dialect at ``/run-command``: as its SDKs speak it, and as somebody does who means no good.

test_commands.py     the seven commands and Ping, from a whole life of a user's passkeys; limits, expiry
test_unions.py       every error that a command's union has, as each SDK reads it
test_members.py      exactly the documented members, for the strictest client; null for what is absent
test_keys.py         who may run what
test_requests.py     whatever else arrives
test_origins.py      one origin more
test_browser.py      both SDKs and a browser's library, in Chromium
backends.py          who sends commands: the test itself, the Python SDK, the Node SDK (driver.mjs)
kit.py               users of the shop, and what is expected of answers
"""
