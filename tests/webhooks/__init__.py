"""Webhooks: what is signed and what is refused, when is tried again, how it is sent, and what workers deliver.

test_signing.py   sign_webhook and verify_webhook, the negative table, and other people's library
test_schedule.py  backoff, jitter and Retry-After
test_delivery.py  one pass: what each answer of an endpoint leads to; the body
test_sending.py   real HTTP and HTTPS: what hangs, drips, redirects or is not trusted
test_workers.py   workers of both colours on real repositories: order, restarts, many at once
test_killed.py    a process that is killed between sending and settling
kit.py            events, endpoints, clocks; receiver.py: the server that webhooks arrive at
"""
