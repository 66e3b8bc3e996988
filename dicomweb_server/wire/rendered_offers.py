"""What renderings can be had as (PS3.18 Table 8.7.4-1): the offers that an Accept chooses from."""

from functools import lru_cache

from dicomweb_server.dicom.viewing import RENDERED_TYPES
from dicomweb_server.wire.media_types import Offer


@lru_cache
def rendered_offers(frames: int) -> tuple[Offer, ...]:
    """Of as many `frames` as the path names, 0 for none: a picture by itself unless there are
    several (NEG-03), and pictures in parts.

    A wildcard means what viewers expect of it: one picture, if one can stand for all that is
    asked for (3.3.6 [D]). It is the first type that is not barred (NEG-08).
    """
    single = [Offer(kind, multipart=False, default=True) for kind in RENDERED_TYPES]
    parts = [Offer(kind, multipart=True, default=True) for kind in RENDERED_TYPES]
    return tuple(parts) if frames > 1 else (*single, *parts)
