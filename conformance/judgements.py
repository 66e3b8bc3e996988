"""What was found of Debian's Orthanc, check by check, by looking at each exchange once.

``conformance.judged`` writes conformance/orthanc.md of these lines and of a run, and fails if the
checks that fail are others than those judged here.
"""

DEVIATION = "deviation"  # the clause says otherwise
ADVICE = "advice"  # allowed, or at the edge of what the standard says: no breach

_STATUS = "what cannot be had is 406 by 8.7.8.1; 400 is for requests that are wrong"
_SPLIT = "the whole header is refused for one range; 8.7.7 has such ranges ignored"
_REPORT = "there is a report, and no Content-Type that says what it is (10.5.3)"
_ITEMS = "sequences have a Value beside their Items, for which PS3.19 A.1 has no room"
_IGNORED = "the parameter is ignored without the Warning that its clause demands"
_SEQUENCE = "the path is ignored: everything is found (Table 10.6.1-5 requires the key)"

ORTHANC: dict[str, tuple[str, str]] = {
    "capabilities.wadl": (DEVIATION, "OPTIONS is not answered; 8.9 requires it of every service"),
    "capabilities.json-form": (DEVIATION, "as capabilities.wadl"),
    "capabilities.described": (DEVIATION, "as capabilities.wadl"),
    "store.no-empty-sequences": (
        DEVIATION,
        "an empty Failed SOP Sequence with every answer; it is 1C, only where something failed",
    ),
    "store.into-another-study": (DEVIATION, _REPORT),
    "store.failure-items": (DEVIATION, _REPORT),
    "store.some-refused": (
        DEVIATION,
        "409, though one instance was stored and is told so; 409 is where none was",
    ),
    "store.broken-neighbour": (
        DEVIATION,
        "400, though one instance was stored and is told so; 400 is where none was",
    ),
    "store.other-failures": (
        DEVIATION,
        "400 and no word of the part that could not be read, which Other Failures Sequence is for",
    ),
    "store.no-end": (DEVIATION, "a message that breaks off is 200, with nothing stored"),
    "store.spellings-of-multipart": (
        DEVIATION,
        "blanks behind a delimiter are refused; RFC 2046 5.1.1 has receivers bear them",
    ),
    "store.without-uids": (
        DEVIATION,
        "200 with empty sequences: the instance without its UID is neither stored nor refused",
    ),
    "store.no-parts": (DEVIATION, "an empty message is 200, which is for what was stored"),
    "store.part-without-type": (
        ADVICE,
        "a part without a type is passed over in silence; to refuse it would be better",
    ),
    "store.file-meta-wins": (
        DEVIATION,
        "parts whose Content-Type has a transfer-syntax are passed over, and the answer is 200",
    ),
    "store.location": (DEVIATION, "there is no Location of what was made (Table 10.5.3-2)"),
    "store.report-in-xml": (DEVIATION, _ITEMS),
    "posted.in-json": (DEVIATION, "415; Table 10.5.4-1 has the form as the default of stores"),
    "posted.in-xml": (DEVIATION, "415; Table 10.5.4-1 has the form as required"),
    "search.no-results-wanted": (
        DEVIATION,
        "limit=0 is no limit; by the formula of 8.3.4.4 there are no results",
    ),
    "search.series-attributes": (
        DEVIATION,
        "Request Attributes Sequence is missing, which is known (Table 10.6.3-4)",
    ),
    "search.levels-below": (
        DEVIATION,
        "studies come with a modality that includefield names; 10.6.3.3 has it left out",
    ),
    "search.nothing-found": (DEVIATION, "200 with an empty array; 10.6.3 has 204"),
    "search.remaining": (DEVIATION, "pages are cut without the Warning that 8.3.4.4 demands"),
    "search.as-xml": (DEVIATION, "JSON for who accepts XML alone, which Table 8.7.3-4 requires"),
    "search.not-acceptable": (DEVIATION, "JSON for who does not accept it"),
    "search.head": (DEVIATION, "404; RFC 9110 9.1 has HEAD of all servers"),
    "http.head": (DEVIATION, "as search.head"),
    "matching.required-keys-of-studies": (
        DEVIATION,
        "names with ^ as %5E are not found: values are not percent-decoded (RFC 3986)",
    ),
    "matching.names": (DEVIATION, "as matching.required-keys-of-studies, with %5E and UTF-8"),
    "matching.encoded-values": (DEVIATION, "as matching.required-keys-of-studies, with %2B"),
    "matching.required-keys-of-series": (DEVIATION, _SEQUENCE),
    "matching.wildcards-of-required-keys": (DEVIATION, _SEQUENCE),
    "matching.sequences": (DEVIATION, _SEQUENCE),
    "matching.character-set-is-no-key": (
        ADVICE,
        "it is matched; PS3.4 has it as a description of the keys",
    ),
    "matching.wildcards-case": (DEVIATION, "found in the other case; only names may be (PS3.4)"),
    "matching.combined-date-time": (
        DEVIATION,
        "dates and times are matched apart; 8.3.4.1 has them as one interval",
    ),
    "matching.numbers": (DEVIATION, "02 does not find 2: text is compared (PS3.4 C.2.2.2.1)"),
    "matching.fuzzy": (DEVIATION, _IGNORED),
    "matching.empty-value": (DEVIATION, _IGNORED),
    "matching.multiple-values": (DEVIATION, _IGNORED),
    "matching.bad-values": (DEVIATION, "limit=-1 is a fault, 500; a value that is none is 400"),
    "retrieve.partly-acceptable": (DEVIATION, "500; nothing acceptable for some is no fault"),
    "retrieve.series-of-two-studies": (
        DEVIATION,
        "the second study is stored with 200, and then its series is not there",
    ),
    "retrieve.named-syntax": (
        DEVIATION,
        "parts do not tell that they are RLE; no parameter means Explicit VR Little Endian",
    ),
    "retrieve.foreign-syntax": (DEVIATION, "500 for a transfer syntax that it cannot make: 406"),
    "retrieve.content-location": (
        DEVIATION,
        "parts of instances have no Content-Location, which the grammar of 8.6.1.2.1 has in each",
    ),
    "retrieve.no-single-part-of-a-study": (DEVIATION, _STATUS),
    "retrieve.as-octets": (DEVIATION, "400; Table 10.4.4-1 has the type as required"),
    "retrieve.not-a-uid": (DEVIATION, "a UID of %00 is a search for all studies, with 200"),
    "metadata.empty-values": (DEVIATION, "an item without attributes is left out (F.2.5)"),
    "metadata.every-attribute": (DEVIATION, "attributes of VR SV and UV are missing"),
    "metadata.values": (
        DEVIATION,
        "LT is split at a backslash, which is text there (PS3.5 6.2)",
    ),
    "metadata.told-character-set": (
        ADVICE,
        "tells ISO_IR 100, as it was stored, of text in UTF-8: readers decode it twice",
    ),
    "metadata.as-xml": (DEVIATION, _ITEMS),
    "metadata.not-acceptable": (DEVIATION, _STATUS),
    "metadata.backslash-of-ir-13": (
        DEVIATION,
        "5CH is shown as a yen sign, and does not part the values (PS3.5 6.1.2.3)",
    ),
    "metadata.invalid-numbers": (DEVIATION, "an empty array as Value, for which F.2.5 has none"),
    "frames.no-single-part-of-several": (DEVIATION, _STATUS),
    "frames.spellings-of-accept": (DEVIATION, _SPLIT),
    "frames.beyond-the-end": (DEVIATION, "500 for a frame of a report, which has none"),
    "frames.single-bits": (DEVIATION, "frames of single bits are 400 (8.7.3.3.1)"),
    "frames.made-in-other-types": (
        DEVIATION,
        "500 for the types of compressed frames that it cannot make; what cannot be had is 406",
    ),
    "frames.frames-of-video": (DEVIATION, "500; what cannot be had is 406"),
    "rendered.media-types": (DEVIATION, "no GIF, which Table 8.7.4-1 requires"),
    "rendered.not-acceptable": (DEVIATION, _STATUS),
    "rendered.window": (
        DEVIATION,
        "linear-exact is half the range too dark: without the + 0.5 that PS3.3 once left out",
    ),
    "rendered.bad-window": (DEVIATION, "a width of 0 is taken"),
    "rendered.bad-viewport": (DEVIATION, "a width of 0 ends the connection without an answer"),
    "rendered.annotation": (DEVIATION, _IGNORED),
    "rendered.bad-annotation": (DEVIATION, "a parameter without a value is 400 by 8.3.5.1.1"),
    "rendered.frames": (DEVIATION, "several frames are 400: there are no pictures in multipart"),
    "rendered.all-frames": (DEVIATION, "as rendered.frames"),
    "rendered.several-instances": (DEVIATION, "as rendered.frames, of studies and series"),
    "rendered.text": (DEVIATION, "reports are 400; Table 8.7.4-1 has text/html as the default"),
    "rendered.own-window": (
        ADVICE,
        "the grey levels are stretched; that the image's window counts, PS3.18 implies at most",
    ),
    "rendered.voi-lut": (ADVICE, "as rendered.own-window, of a VOI LUT"),
    "rendered.functional-groups": (ADVICE, "as rendered.own-window, of frames"),
    "rendered.signed-values": (ADVICE, "bits above High Bit are taken for values"),
    "rendered.modality-lut": (DEVIATION, "the Modality LUT is not applied (PS3.3 C.11.1)"),
    "rendered.region-without-size": (
        ADVICE,
        "refused: the grammar of 8.3.5.1.3 has all four values, its words have them left out",
    ),
    "rendered.colours": (DEVIATION, "YBR_FULL without compression is not rendered"),
    "negotiation.accept-parameter": (DEVIATION, "ignored for /rendered (8.3.3.1 requires it)"),
    "negotiation.accept-parameter-unsupported": (DEVIATION, _SPLIT),
    "negotiation.accept-parameter-syntax": (DEVIATION, "ignored for instances"),
    "negotiation.invalid-ranges": (DEVIATION, _SPLIT),
    "negotiation.weights": (DEVIATION, "the first range wins, whatever its weight"),
    "negotiation.wildcard-of-a-type": (DEVIATION, "image/* is 400; 8.7.7 has it as any picture"),
    "negotiation.browsers": (ADVICE, "refused for its first range, as negotiation.invalid-ranges"),
    "http.caching": (ADVICE, "no Vary and no Cache-Control: private"),
    "http.coded-body": (
        DEVIATION,
        "a body in gzip is not decoded, nothing is stored, and it is 200",
    ),
}
