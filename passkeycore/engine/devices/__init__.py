"""Trusted devices: every flow, once, over storage.

`credentials` enrols, changes and removes devices; `challenges` is the waiting side of a challenge, `answers` the
device's, and `steps` has what both share; `authenticators` lists passkeys and devices together, and `service` binds
them. `repository` is what an embedder writes, `records` what is stored.
"""
