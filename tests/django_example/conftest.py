"""Django wants its settings before any model is imported."""

from .site import bring_up

bring_up()
