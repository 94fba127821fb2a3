"""Trusted devices: their keys and signatures, App Attest, and the flows around them."""
