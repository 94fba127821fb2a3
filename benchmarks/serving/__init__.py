"""The server under load: sign-ins with a passkey, prepared beforehand and replayed over HTTP by ``wrk``.

`prepared` fills databases and signs, `floor` is the bare route beside ours, `replay` runs servers and ``wrk``, `run`
has the three benchmarks: throughput beside the bare route, many connections at once, memory after many requests.
"""
