"""Processes of ``passkeycore serve``, and what runs in them beside requests.

`process` is one of them, `workers` starts several over one socket, `background` runs from an application's start to its
end.
"""
