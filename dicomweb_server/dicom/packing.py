"""How texts lie in columns: deflated (RFC 1951), so that a study of a list takes 0.2 kB."""

from zlib_ng import zlib_ng

_PLAIN, _DEFLATED_1 = 0, 1  # the first byte of a packed document

# What documents are likely to contain; the likeliest last. Part of the format: what was packed
# with it can be read with nothing else, so that it may never change. Another one would get a
# number of its own.
_DICTIONARY_1 = (
    b'"00081140":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.'
    b'"00180050":{"vr":"DS","Value":[1.0]}\n"00201041":{"vr":"DS","Value":[-'
    b'"00280004":{"vr":"CS","Value":["RGB"]}\n"00280004":{"vr":"CS","Value":["MONOCHROME1"]}\n'
    b'"00280008":{"vr":"IS","Value":[1'
    b'"00280030":{"vr":"DS","Value":[0.'
    b'"00282110":{"vr":"CS","Value":["00"]}\n'
    b'"00280301":{"vr":"CS","Value":["NO"]}\n'
    b'"00080022":{"vr":"DA","Value":["20"]}\n"0008002A":{"vr":"DT","Value":["20'
    b'"00200012":{"vr":"IS","Value":[1]}\n'
    b'"00080008":{"vr":"CS","Value":["DERIVED","SECONDARY","ORIGINAL","PRIMARY","AXIAL"]}\n'
    b'"00080012":{"vr":"DA","Value":["20"]}\n"00080013":{"vr":"TM","Value":["1'
    b'"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.'
    b'"00080018":{"vr":"UI","Value":["1.2.840.'
    b'"00080023":{"vr":"DA","Value":["20"]}\n"00080032":{"vr":"TM","Value":["1'
    b'"]}\n"00080033":{"vr":"TM","Value":["1'
    b'"00200013":{"vr":"IS","Value":[1]}\n'
    b'"00200032":{"vr":"DS","Value":[-1'
    b'"00200037":{"vr":"DS","Value":[1.0,0.0,0.0,0.0,1.0,0.0]}\n'
    b'"00280002":{"vr":"US","Value":[1]}\n"00280004":{"vr":"CS","Value":["MONOCHROME2"]}\n'
    b'"00280010":{"vr":"US","Value":[512]}\n"00280011":{"vr":"US","Value":[512]}\n'
    b'"00280100":{"vr":"US","Value":[16]}\n"00280101":{"vr":"US","Value":[12]}\n'
    b'"00280103":{"vr":"US","Value":[0]}'
    b'"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["'
    b'"]},"00401001":{"vr":"SH","Value":["'
    b'"00400244":{"vr":"DA","Value":["20"]}\n"00400245":{"vr":"TM","Value":["1'
    b'"]}\n"00400253":{"vr":"SH","Value":["'
    b'"]}\n"00400254":{"vr":"LO","Value":["'
    b'"00080021":{"vr":"DA","Value":["20"]}\n"00080031":{"vr":"TM","Value":["1'
    b'"]}\n"00080060":{"vr":"CS","Value":["MG"]}\n"00080060":{"vr":"CS","Value":["SR"]}\n'
    b'"00080060":{"vr":"CS","Value":["US"]}\n"00080060":{"vr":"CS","Value":["DX"]}\n'
    b'"00080060":{"vr":"CS","Value":["CR"]}\n"00080060":{"vr":"CS","Value":["MR"]}\n'
    b'"00080060":{"vr":"CS","Value":["CT"]}\n'
    b'"00080070":{"vr":"LO","Value":["GE MEDICAL SYSTEMS"]}\n'
    b'"00080070":{"vr":"LO","Value":["SIEMENS"]}\n'
    b'"00080080":{"vr":"LO","Value":["'
    b'"]}\n"00081010":{"vr":"SH","Value":["'
    b'"]}\n"0008103E":{"vr":"LO","Value":["'
    b'"]}\n"00081090":{"vr":"LO","Value":["'
    b'"]}\n"00180015":{"vr":"CS","Value":["HEAD","ABDOMEN","CHEST"]}\n'
    b'"00181020":{"vr":"LO","Value":["'
    b'"]}\n"00181030":{"vr":"LO","Value":["'
    b'"]}\n"00185100":{"vr":"CS","Value":["HFS"]}\n'
    b'"0020000E":{"vr":"UI","Value":["1.2.840.'
    b'"]}\n"00200011":{"vr":"IS","Value":[1]}\n"00200052":{"vr":"UI","Value":["1.2.840.'
    b'"00080020":{"vr":"DA","Value":["20"]}\n"00080030":{"vr":"TM","Value":["1'
    b'"]}\n"00080050":{"vr":"SH"}\n"00080050":{"vr":"SH","Value":["'
    b'"]}\n"00080090":{"vr":"PN"}\n"00080090":{"vr":"PN","Value":[{"Alphabetic":"DR^'
    b'"}]}\n"00081030":{"vr":"LO","Value":["'
    b'"]}\n"00100010":{"vr":"PN","Value":[{"Alphabetic":"'
    b'"}]}\n"00100020":{"vr":"LO","Value":["'
    b'"]}\n"00100021":{"vr":"LO","Value":["'
    b'"]}\n"00100030":{"vr":"DA","Value":["19'
    b'"]}\n"00100040":{"vr":"CS","Value":["F"]}\n"00100040":{"vr":"CS","Value":["M"]}\n'
    b'"00101010":{"vr":"AS","Value":["0'
    b'Y"]}\n"00101030":{"vr":"DS","Value":[7'
    b'"0020000D":{"vr":"UI","Value":["2.25.'
    b'"0020000D":{"vr":"UI","Value":["1.3.6.1.4.1.'
    b'"0020000D":{"vr":"UI","Value":["1.2.840.'
    b'"]}\n"00200010":{"vr":"SH","Value":["'
)


def pack_document(document: bytes) -> bytes:
    """One ``dicom.search_document`` as it is kept."""
    deflate = zlib_ng.compressobj(6, zlib_ng.DEFLATED, -15, zdict=_DICTIONARY_1)
    packed = deflate.compress(document) + deflate.flush()
    if len(packed) >= len(document):
        return bytes([_PLAIN]) + document
    return bytes([_DEFLATED_1]) + packed


def unpack_document(packed: bytes, most: int = 0) -> bytes:
    """The document of `pack_document`, or its first `most` bytes if that is not 0."""
    if packed[0] == _PLAIN:
        return packed[1 : most + 1] if most else packed[1:]
    assert packed[0] == _DEFLATED_1
    return zlib_ng.decompressobj(-15, zdict=_DICTIONARY_1).decompress(packed[1:], most)


def pack_metadata(metadata: bytes) -> bytes:
    """Deflate one DICOM JSON object as it is kept.

    Raw deflate (RFC 1951) up to a full flush and not ended, so that several can be joined to one
    stream; any zlib reads it with ``decompressobj(-15)``. On the header of a CT, level 2 of
    zlib-ng takes 0.1 ms for 3.8 kB, level 6 of zlib 0.3 ms for 3.5 kB.
    """
    deflate = zlib_ng.compressobj(2, zlib_ng.DEFLATED, -15)
    return deflate.compress(metadata) + deflate.flush(zlib_ng.Z_FULL_FLUSH)


def unpack_metadata(packed: bytes, most: int = 0) -> bytes:
    """The DICOM JSON object of `pack_metadata`, or its first `most` bytes if that is not 0."""
    return zlib_ng.decompressobj(-15).decompress(packed, most)
