"""Crashes: a process that registers and signs in is killed in the middle, and what it left behind is judged.

`plan` has the steps, made beforehand; `child` is the process that takes them until it is killed; `harness` kills it,
reopens the database and hands both to `verdict`, which knows what may be there. `postgres` kills a server.

What a killed process cannot show: it loses nothing that the operating system has taken from it, so a database that
never waits for its disk (SQLite with ``synchronous=OFF``) passes. Only a loss of power would tell.
"""
