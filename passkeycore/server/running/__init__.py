"""Processes of ``passkeycore serve``.

`process` is one of them, `workers` starts several over one socket, and `protocol` has the bounds of their connections.
"""
