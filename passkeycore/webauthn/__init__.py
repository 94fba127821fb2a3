"""WebAuthn Level 3, pure: JSON and bytes in, judged values or typed errors out. No clock, no randomness, no storage."""
