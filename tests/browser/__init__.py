"""The engine against a real browser: Chromium with virtual authenticators, driven over its DevTools protocol.

``python -m tests.browser.capture`` keeps such ceremonies in ``vectors/chromium.jsonl``.
"""
