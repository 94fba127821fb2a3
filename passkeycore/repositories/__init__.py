"""Where users, passkeys, ceremonies and events are kept; a module for each kind of storage."""
