"""A Django application that keeps passkeys through Django's ORM: an example to copy, and the measure of the protocol.

`models` and `repository` are the example. `settings` and `urls` are the smallest site around them.
"""
