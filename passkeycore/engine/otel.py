"""The sink that counts events with OpenTelemetry. Needs the extra ``otel``."""

from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from .events import EventSink
from .records import Event

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider


def otel_sink(meter_provider: "MeterProvider | None" = None) -> EventSink:
    """A sink that adds each event to the counter ``passkeycore.events``.

    Its attributes: ``passkeycore.event.type``; ``error.type``, the code, only where something failed; and
    ``passkeycore.realm``, except in the realm ``""``. Users and credentials are no attributes: each would be a time
    series of its own.

    Args:
        meter_provider: Whose meter counts; None is the one that is set for the process.

    Raises:
        ConfigurationError: The extra ``otel`` is not installed.
    """
    try:
        from opentelemetry.metrics import get_meter
    except ImportError:
        raise ConfigurationError('OpenTelemetry needs the extra "otel": passkeycore[otel]') from None
    counter = get_meter("passkeycore", meter_provider=meter_provider).create_counter(
        "passkeycore.events", unit="{event}", description="What happened to passkeys, users and ceremonies."
    )

    def sink(event: Event) -> None:
        attributes = {"passkeycore.event.type": event.type.value}
        if event.code is not None:
            attributes["error.type"] = event.code.value
        if event.realm:
            attributes["passkeycore.realm"] = event.realm
        counter.add(1, attributes)

    return sink
