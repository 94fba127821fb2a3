"""Passkeys over HTTP, with the extra ``server``: so far the demonstration alone.

`demo` has its routes, `http` and `sessions` what they need to be safe.
"""

from ..errors import ConfigurationError

try:
    import starlette as _starlette  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError:
    raise ConfigurationError('the server needs the extra "server": passkeycore[server]') from None
