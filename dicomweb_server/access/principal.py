"""Who is asking."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The person, service or device behind a request."""

    name: str


# Until access control is configured there is one principal, and the server binds to loopback.
ANONYMOUS = Principal("anonymous")
