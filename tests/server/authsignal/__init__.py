"""The dialect under ``/v1``: as its SDKs speak it, and as somebody does who means no good.

test_auth.py         who may call what: every route against every credential that is not its own; errors; pages
test_backend.py      an application's server: track, validate, actions
test_users.py        users, profiles, authenticators
test_passkeys.py     passkeys, in the spelling of each client
test_devices.py      keys on devices; push; in-app
test_qr.py           QR codes, polled; test_qr_socket.py: over a WebSocket
test_webhooks.py     signatures, the webhook that a step waits for, and those that follow
test_python_sdk.py   test_node_sdk.py    the packages themselves, against a server on a port
test_native.py       what apps send, from data files in `native`, played by `player`
kit.py               clients, and checks of answers
"""
