"""Where the images lie that blending presentation states lay on others, remembered for a while:
each picture by a state asks for the same ones. Losing them costs time, nothing else."""

from collections import OrderedDict
from dataclasses import dataclass

from dicomweb_server.dicom.blending import MAX_PLANES, Plane

_MOST = 2 * MAX_PLANES  # some 10 MB

# The SHA-256 of the state, the Study and Series Instance UID, and the digest of a ``Version``: what
# the series holds in the scope of who asks.
PlanesKey = tuple[bytes, str, str, bytes]


@dataclass(frozen=True, slots=True)
class PlaneOf:
    """Where frame `number`, from 1, of an image lies; `uids` are its Study, Series and SOP
    Instance UID."""

    uids: tuple[str, str, str]
    number: int
    plane: Plane


class KeptPlanes:
    """Those of the series that were looked through last."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._left = most
        self._known: OrderedDict[PlanesKey, tuple[PlaneOf, ...]] = OrderedDict()

    def get(self, key: PlanesKey) -> tuple[PlaneOf, ...] | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, key: PlanesKey, planes: tuple[PlaneOf, ...]) -> None:
        """Keep them; the oldest go. More than all that are kept are not."""
        if key in self._known or _size(planes) > self._most:
            return
        self._known[key] = planes
        self._left -= _size(planes)
        while self._left < 0:
            _, gone = self._known.popitem(last=False)
            self._left += _size(gone)


def _size(planes: tuple[PlaneOf, ...]) -> int:
    return 1 + len(planes)  # a series without any is an entry, too
