"""Whose a request is, and where a server keeps what is theirs.

`tenants` is what a request is answered with, `live` makes it from the file and from what operators change, `changes`
tells what they have changed, `keys` are those of tenants' servers, `storage` is database and Redis.
"""
