"""Ceremonies and the management of passkeys: every flow, once, over storage.

`registration` and `authentication` are the ceremonies, from start to finish (`steps` has what both share, `ceremonies`
where they wait in between, `decoys` what users who do not exist are shown); `step_up` proves a ceremony afterwards,
`availability` says when to offer a new passkey, `management` is everything else, and `service` binds them.
"""
