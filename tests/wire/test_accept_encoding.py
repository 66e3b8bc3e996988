"""Accept-Encoding, and packing what is sent: only what the client accepts, and all of it."""

import gzip

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.wire.content_coding import CODINGS, accepted_codings, packer, zstd

BOTH, ONLY_GZIP, PLAIN, NONE = ("gzip", "identity"), ("gzip",), ("identity",), ()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, PLAIN),  # RFC 9110 §12.5.3 allows any coding; not every such client has one
        ("", PLAIN),
        ("gzip", BOTH),
        ("gzip, deflate, br", ("gzip", "br", "identity")),
        ("gzip, deflate, br, zstd", ("zstd", "gzip", "br", "identity")),  # browsers
        ("br, gzip;q=0.9", ("br", "gzip", "identity")),
        ("zstd", ("zstd", "identity")),
        ("zstd;q=0.5, gzip", ("gzip", "zstd", "identity")),
        ("zstd;q=0, *", BOTH),  # who says * may know zstd, or not
        ("zstd, *;q=0", ("zstd",)),
        ("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", BOTH),
        ("GZip", BOTH),
        ("x-gzip", BOTH),
        (" gzip ;\tq=0.5 ", BOTH),
        ("gzip;q=0.001", BOTH),  # asked for, and identity is not
        ("*", BOTH),
        ("br, *;q=0.1", ("br", "gzip", "identity")),
        ("deflate, *;q=0.1", BOTH),
        ("identity", PLAIN),
        ("br", ("br", "identity")),
        ("deflate", PLAIN),
        ("gzip;q=0", PLAIN),
        ("gzip;q=0, *", PLAIN),
        ("gzip;q=0.5, identity", ("identity", "gzip")),
        ("gzip;q=0.5, *;q=0.8", ("identity", "gzip")),
        ("gzip, identity;q=0", ONLY_GZIP),
        ("gzip, *;q=0", ONLY_GZIP),
        ("*, identity;q=0", ONLY_GZIP),
        ("*;q=0, identity", PLAIN),
        ("identity;q=0", NONE),
        ("*;q=0", NONE),
        ("br, identity;q=0.000", ("br",)),
        ("deflate, identity;q=0.000", NONE),
        # HDR-03: what cannot be read is passed over
        ("gzip;q=nan", PLAIN),
        ("gzip;q=2", PLAIN),
        ("gzip;level=9", PLAIN),
        ("gzip;q=0.1234", PLAIN),
        (",, gzip,,", BOTH),
        ("gzip br", PLAIN),
        ("br;q=0, zstd;q=0", PLAIN),
        ("gzip, gzip;q=0", PLAIN),
        ("x-gzip;q=0, gzip", PLAIN),
    ],
)
def test_what_is_accepted(header: str | None, expected: tuple[str, ...]) -> None:
    assert accepted_codings(header) == expected


def accepts(stated: dict[str, float], coding: str) -> bool:
    """RFC 9110 §12.5.3, rules 2 and 3, for a list that names nothing twice."""
    if coding in ("zstd", "br"):  # never by *
        return stated.get(coding, 0) > 0
    if coding in stated or "*" in stated:
        return stated.get(coding, stated.get("*", 0)) > 0
    return coding == "identity"


@given(
    st.dictionaries(
        st.sampled_from(["zstd", "gzip", "identity", "*", "br", "deflate"]),
        st.sampled_from([0.0, 0.001, 0.5, 0.999, 1.0]),
    )
)
def test_just_what_the_client_accepts_in_its_order(stated: dict[str, float]) -> None:
    found = accepted_codings(", ".join(f"{name};q={weight:g}" for name, weight in stated.items()))

    assert set(found) == {each for each in CODINGS if accepts(stated, each)}
    weights = [stated[each] for each in found if each in stated]
    assert weights == sorted(weights, reverse=True)


fragments = st.sampled_from(
    ["zstd", "gzip", "x-gzip", "identity", "*", "br", ";q=", ";", ",", "0", "1."]
)


@given(st.none() | st.text() | st.lists(fragments).map("".join))
def test_any_header_is_read(header: str | None) -> None:
    found = accepted_codings(header)

    assert set(found) <= set(CODINGS)
    for named in {"zstd", "br"} & {*found}:
        assert header
        assert named in header.lower()
    assert len(found) == len(set(found))
    if "gzip" in found:  # never to who does not name it
        assert header
        assert "gzip" in header.lower() or "*" in header
    if "identity" not in found:  # accepted unless it is barred
        assert header
        assert "0" in header


UNPACK = {"gzip": gzip.decompress, "zstd": zstd.decompress, "br": brotli.decompress}


@pytest.mark.parametrize("coding", UNPACK)
@given(pieces=st.lists(st.binary(max_size=300)), times=st.integers(0, 3))
def test_what_is_packed_comes_out(coding: str, pieces: list[bytes], times: int) -> None:
    packing = packer(coding)
    content = [piece * 10**times for piece in pieces]
    packed = b"".join(step for piece in content for step in packing.steps(piece))

    assert UNPACK[coding](packed + packing.finish()) == b"".join(content)


@pytest.mark.parametrize("coding", UNPACK)
def test_without_its_end_it_is_not_whole(coding: str) -> None:
    packing = packer(coding)
    packed = b"".join(packing.steps(b"content" * 1000))

    with pytest.raises((EOFError, zstd.ZstdError, brotli.error)):
        UNPACK[coding](packed)


def test_a_frame_tells_a_flipped_bit_and_asks_for_little_memory() -> None:
    packing = packer("zstd")
    content = bytes(range(256)) * 10_000
    packed = bytearray(b"".join(packing.steps(content)) + packing.finish())
    assert zstd.get_frame_info(packed).decompressed_size is None
    limit = {zstd.DecompressionParameter.window_log_max: 20}  # a megabyte
    assert zstd.decompress(packed, options=limit) == content
    packed[-1] ^= 1
    with pytest.raises(zstd.ZstdError):
        zstd.decompress(packed)
