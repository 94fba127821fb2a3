"""A Django application that keeps passkeys through Django's ORM: an example to copy, and the measure of the protocols.

The example is `models` and `passkeys`, for passkeys alone; where they are wanted, `devices` and `actions`; and
`repository`, which puts them together. `settings` and `urls` are the smallest site around them.
"""
