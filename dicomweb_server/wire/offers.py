"""What can be had of stored instances: the offers that an Accept chooses from (digest 1.4, 1.5).

They follow from the transfer syntaxes of what is stored, and from how much of it there is.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache

from dicomweb_server.dicom.encodable import LOSSLESS_TARGETS, LOSSY_TARGETS
from dicomweb_server.dicom.pixels import DECODABLE
from dicomweb_server.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    OCTET_STREAM,
    is_encapsulated,
    is_video,
    media_type_of,
)
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.wire.media_types import AS_STORED, Offer

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
ZIP = "application/zip"
OCTETS = OCTET_STREAM
ELE = EXPLICIT_VR_LITTLE_ENDIAN
# What images are encoded in without loss, for who names it or its media type; and with loss, where
# that is allowed, for who names the very syntax (TS-06).
ENCODED = LOSSLESS_TARGETS
_ENCODED_WITH_LOSS = (*ENCODED, *sorted(LOSSY_TARGETS))

_BARRED = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})

# JSON is never multipart, and XML always is: results are many, also where there is one (NEG-03).
METADATA = (
    Offer(DICOM_JSON, multipart=False, default=True),
    Offer(DICOM_XML, multipart=True),
)


# The files of a resource as a File-set with its DICOMDIR: no type of PS3.18 (digest 6.8), and so
# for nobody who does not name it.
FILE_SET = Offer(ZIP, multipart=False, transfer_syntaxes=(AS_STORED,), by_name=True)

# Octets of all bulk data of a resource: each value decoded, or as stored in its own type.
ALL_BULK_DATA = Offer(OCTETS, multipart=True, transfer_syntaxes=(ELE, AS_STORED), default=True)


def sent_as_stored(stored: str) -> str:
    """The transfer syntax of a file that is sent as stored: byte for byte, but for the two that
    PS3.18 §8.7.3.2 bars from the wire (TS-03)."""
    return ELE if stored in _BARRED else stored


def _frame_sent(stored: str) -> tuple[str, str]:
    """The form of a frame that is sent as stored; what has no type of its own is decoded."""
    media_type = media_type_of(stored)
    return media_type, ELE if media_type == OCTETS else stored


def made_of(stored: str) -> tuple[str, ...]:
    """The transfer syntaxes that pixel data stored as `stored` can be made into whatever they
    hold. Video cannot be made into anything."""
    return () if is_video(stored) else (ELE,)


def targets(*, lossy: bool) -> tuple[str, ...]:
    """The compressed transfer syntaxes that images are made into; `lossy`: also those that lose
    something, which only who names them gets."""
    return _ENCODED_WITH_LOSS if lossy else ENCODED


@lru_cache(maxsize=1000)
def may_be_encoded_in(stored: str, *, lossy: bool = False) -> tuple[str, ...]:
    """Those of `targets` that images stored as `stored` can be made into, if they are such as the
    syntax holds: of one image its attributes tell (``dicom.encodable``)."""
    found = targets(lossy=lossy)
    return tuple(uid for uid in found if uid != stored) if stored in DECODABLE else ()


def _lossy(encoded: Sequence[str]) -> tuple[str, ...]:
    return tuple(uid for uid in encoded if uid in LOSSY_TARGETS)


def instance_offers(
    stored: Collection[str], *, complete: bool, single: bool, encoded: Sequence[str] = ()
) -> list[Offer]:
    """Of instances: as files in Explicit VR LE, as stored, in a syntax that some are stored in,
    or `encoded` in one of these; or all their bulk data (digest 1.4); or as a File-set.

    `stored`: their transfer syntaxes, all of them if `complete`; those of a resource that is
    larger are only counted for who names one. `single`: it is an Instance resource (NEG-03).
    """
    syntaxes = [ELE, AS_STORED]
    if complete and not any(made_of(uid) for uid in stored):
        syntaxes.remove(ELE)
    if complete:
        syntaxes += sorted(set(stored) - {ELE})
    more = tuple(uid for uid in encoded if uid not in syntaxes)
    sent = {(DICOM, sent_as_stored(uid)) for uid in stored}
    offers = [
        Offer(
            DICOM,
            True,
            (*syntaxes, *more),
            default=True,
            encoded=more,
            lossy=_lossy(more),
            sent=sent.pop() if complete and len(sent) == 1 else None,
        )
    ]
    if single:
        offers.append(replace(offers[0], multipart=False, default=False))
    return [*offers, replace(ALL_BULK_DATA, default=False), FILE_SET]


def frame_offers(stored: str, *, single: bool, encoded: Sequence[str] = ()) -> list[Offer]:
    """Of frames: decoded octets, the compressed stream as stored, and those of the syntaxes that
    they can be `encoded` in.

    Video has no frames (WADO-08). Raises NotAcceptable for it.
    """
    if is_video(stored):
        raise NotAcceptable([])
    return list(_frame_offers(stored, single, tuple(encoded)))


@lru_cache(maxsize=1000)  # frames are asked for more often than anything else
def _frame_offers(stored: str, single: bool, encoded: tuple[str, ...]) -> tuple[Offer, ...]:
    kinds = {OCTETS: [*made_of(stored), AS_STORED]}
    if is_encapsulated(stored) and media_type_of(stored) != OCTETS:
        kinds[media_type_of(stored)] = [stored, AS_STORED]
    for uid in encoded:
        kinds.setdefault(media_type_of(uid), []).append(uid)
    offers = [
        Offer(
            kind,
            True,
            tuple(syntaxes),
            default=kind == OCTETS,
            encoded=encoded,
            lossy=_lossy(encoded),
            sent=_frame_sent(stored),
        )
        for kind, syntaxes in kinds.items()
    ]
    if single:
        offers += [replace(offer, multipart=False, default=False) for offer in offers]
    return tuple(offers)


def pixel_offers(stored: str, count: int, *, encoded: Sequence[str] = ()) -> list[Offer]:
    """Of one value of pixel data, of `count` frames: as of its frames, but decoded it is one
    part of all frames (TS-11). Video is one value of its own type."""
    if is_video(stored):
        kinds = [(media_type_of(stored), (stored, AS_STORED)), (OCTETS, (AS_STORED,))]
        return [
            Offer(kind, many, names, default=many and kind != OCTETS, sent=_frame_sent(stored))
            for kind, names in kinds
            for many in (True, False)
        ]
    offers = frame_offers(stored, single=count == 1, encoded=encoded)
    if count > 1:
        decoded = (ELE,) if media_type_of(stored) != OCTETS else (ELE, AS_STORED)
        offers.append(Offer(OCTETS, multipart=False, transfer_syntaxes=decoded))
    return offers


def bulk_offers(stored: str, *, pixels: bool) -> list[Offer]:
    """Of a value among all bulk data of a resource, in parts: octets, decoded or not; and in the
    compressed form that it has, if it is `pixels` of the top level."""
    if pixels and is_encapsulated(stored):
        return [offer for offer in pixel_offers(stored, 1) if offer.multipart]
    return [ALL_BULK_DATA]


def value_offers(media_type: str, transfer_syntax: str) -> list[Offer]:
    """Of any other value, which is to be had in one form alone; a code stream as octets too."""
    syntaxes = (transfer_syntax, AS_STORED)
    kinds = [media_type] if transfer_syntax == ELE else list(dict.fromkeys((media_type, OCTETS)))
    return [
        Offer(kind, multipart=many, transfer_syntaxes=syntaxes, default=many and not place)
        for place, kind in enumerate(kinds)
        for many in (True, False)
    ]
