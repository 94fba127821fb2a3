"""Random histories of users, passkeys, devices, actions and tokens, played on two storages at once beside a model.

`model` is the oracle: plain values that know what has to be accepted, and why anything else is refused. `twins` has the
two storages. `play` plays a step on both and asks the model; `passkeys`, `devices` and `actions` are the steps;
`rules`, `intruders` and `races` choose them, and `machine` has all of it. CI plays a few histories, always the same;
``python -m tests.soak machine`` as many as you like.
"""
