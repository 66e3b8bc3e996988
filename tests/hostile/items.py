"""The list of hostile inputs, and where each of them is tested: the audit as data.

`ITEMS` has what each item says and, by sub-case, the tests that hold the server to it: a function
as ``file::test``, or with the key of a table as ``file::TABLE[key]``, of the folder ``tests``.
`NOT_YET` has the items, or sub-cases, of what this server does not have, with the reason.
"""

from typing import NamedTuple


class Item(NamedTuple):
    """One item of the list: what it says, and its tests by sub-case."""

    says: str
    tests: dict[str, str]


FILES, IDENTITY, PIXELS = (f"hostile/test_{name}.py" for name in ("files", "identity", "pixels"))
UPLOADS, REQUESTS, FAULTS = (
    f"hostile/test_{name}.py" for name in ("uploads", "requests", "faults")
)
IMPORT = "archive/test_importing.py"
KILLS = "faults/test_kills.py::test_nothing_acknowledged_is_lost_by_kill_9"
AWAY = "faults/test_database_away.py::test_stores_go_on_once_postgres_is_back"


def cases(file: str, table: str, number: int, *names: str) -> dict[str, str]:
    """Sub-cases that are keys of a table, behind the number of their item."""
    return {name: f"{file}::{table}[{number} {name}]" for name in names}


def keys(file: str, table: str, *names: str) -> dict[str, str]:
    """Sub-cases that are keys of a table."""
    return {name: f"{file}::{table}[{name}]" for name in names}


def streams(spoil: str) -> str:
    """A sub-case of item 32, tested with every codec."""
    return f"{PIXELS}::SPOILS[{spoil}]"


ITEMS: dict[int, Item] = {
    1: Item(
        "a file with no preamble or prefix",
        cases(FILES, "CASES", 1, "no preamble", "no preamble and no prefix", "no meta", "empty")
        | cases(FILES, "CASES", 1, "a preamble alone", "text"),
    ),
    2: Item(
        "preamble polyglots are never served as a program or a page",
        cases(FILES, "CASES", 2, "Windows program", "ELF program", "web page", "PDF", "ZIP file")
        | {"nosniff, attachment": f"{FILES}::test_a_polyglot_is_never_served_as_what_else_it_is"},
    ),
    3: Item(
        "truncated at every element boundary, and a byte beside it",
        {
            "elements and items": f"{FILES}::test_a_file_that_is_cut_at_any_element_or_beside_one",
            "fragments": f"{FILES}::test_a_compressed_image_that_is_cut",
        },
    ),
    4: Item(
        "file-meta group length 0, huge, negative",
        cases(FILES, "CASES", 4, "group length 0", "group length of 4 GB", "group length -1")
        | cases(FILES, "CASES", 4, "group length too long by one"),
    ),
    5: Item(
        "non-standard VR in the file meta",
        cases(FILES, "CASES", 5, "VR ZZ in the meta", "VR ZZ of 4 GB in the meta")
        | cases(FILES, "CASES", 5, "sequence in the meta", "private of 4 GB in the meta"),
    ),
    6: Item("VR ??", cases(FILES, "CASES", 6, "VR ??", "VR ?? without length", "a VR to come")),
    7: Item(
        "lengths beyond the file",
        cases(FILES, "CASES", 7, "length 0xFFFFFFFE", "longer than the file", "longer by one")
        | cases(FILES, "CASES", 7, "an item longer than its sequence"),
    ),
    8: Item(
        "undefined length of what is no sequence",
        cases(FILES, "CASES", 8, *(f"undefined length of {vr}" for vr in ("OB", "UT", "UN", "LO"))),
    ),
    9: Item(
        "sequences nested 10,000 deep",
        cases(FILES, "CASES", 9, "10,000 levels", "10,000 levels without end")
        | cases(FILES, "CASES", 9, "100,000 levels of UN"),
    ),
    10: Item(
        "a million empty items",
        cases(FILES, "CASES", 10, "a million empty items")
        | cases(FILES, "CASES", 10, "a million empty items without lengths"),
    ),
    11: Item(
        "a million private attributes",
        cases(FILES, "CASES", 11, "a million private attributes"),
    ),
    12: Item(
        "duplicate and out-of-order tags",
        cases(FILES, "CASES", 12, "twice the same", "Patient ID again at the end")
        | cases(FILES, "CASES", 12, "a UID again, another", "out of order"),
    ),
    13: Item(
        "transfer syntax and data do not agree",
        cases(FILES, "CASES", 13, "JPEG, and native", "native, and RLE", "JPEG, and RLE")
        | cases(FILES, "CASES", 13, "implicit, and explicit", "big endian, and little")
        | cases(FILES, "CASES", 13, "deflated, and not"),
    ),
    14: Item(
        "transfer syntaxes: unknown, empty, retired, big endian, Papyrus, MPEG, JPIP",
        cases(FILES, "CASES", 14, "no transfer syntax", "unknown", "no UID", "a SOP class")
        | cases(FILES, "CASES", 14, "retired", "big endian", "Papyrus", "MPEG that is none")
        | {"JPIP": f"{FILES}::test_what_a_file_refers_to_is_not_fetched"},
    ),
    15: Item(
        "a bomb in a deflated data set",
        cases(FILES, "CASES", 15, "a bomb of 10 GB", "a bomb within an element", "cut off")
        | cases(FILES, "CASES", 15, "not deflated at all"),
    ),
    16: Item(
        "values of odd length, UIDs padded with NUL",
        cases(FILES, "CASES", 16, "values of odd length", "UIDs with NUL", "a UID of odd length"),
    ),
    17: Item(
        "hostile UIDs",
        keys(IDENTITY, "UIDS", "parent folder", "slash", "backslash", "percent", "NUL within")
        | keys(IDENTITY, "UIDS", "65 characters", "letters", "digits of another script", "SQL")
        | {"leading zeros": f"{IDENTITY}::test_leading_zeros_are_kept_and_no_other_number"}
        | {
            "in files": f"{IDENTITY}::test_files_with_hostile_uids_are_refused",
            "in paths": f"{IDENTITY}::test_a_path_with_a_hostile_uid_is_refused",
            "in paths of bulk data": f"{IDENTITY}::test_a_hostile_path_of_bulk_data",
        },
    ),
    18: Item(
        "study, series and instance of one UID",
        {"stored": f"{IDENTITY}::test_one_uid_for_study_series_and_instance"},
    ),
    19: Item(
        "a SOP Instance UID again",
        {
            "other bytes, other places": f"{IDENTITY}::test_a_uid_that_is_there_already",
            "of another tenant": (
                "index/test_instances.py::test_institutions_do_not_see_each_others_uids"
            ),
        },
    ),
    20: Item(
        "one study of two patients", {"both kept": f"{IDENTITY}::test_two_patients_of_one_study"}
    ),
    21: Item(
        "hostile Patient IDs",
        keys(IDENTITY, "PATIENTS", "empty", "wildcards", "backslashes", "SQL", "HTML", "new lines")
        | {"64 MB": f"{IDENTITY}::test_a_patient_id_of_64_megabytes"},
    ),
    22: Item(
        "hostile names",
        keys(IDENTITY, "NAMES", "three groups", "mixed escapes", "escape cut off", "no UTF-8")
        | keys(IDENTITY, "NAMES", "bidirectional", "surrogates"),
    ),
    23: Item(
        "hostile dates",
        keys(IDENTITY, "VALUES", "date 00000000", "date 99991399", "range for a date")
        | {"in queries": f"{IDENTITY}::test_a_query_of_no_date_or_number_is_refused"},
    ),
    24: Item(
        "hostile numbers as text",
        keys(IDENTITY, "VALUES", "DS NaN", "DS 1e999", "DS @", "IS beyond all measure", "DS 1_000")
        | {"10 MB": f"{IDENTITY}::test_a_decimal_string_of_ten_megabytes"},
    ),
    25: Item(
        "Rows and Columns",
        cases(PIXELS, "SHAPES", 25, "Rows as UL", "Rows 0", "65535 x 65535 of a byte")
        | cases(PIXELS, "SHAPES", 25, "no Rows", "Rows of several values", "Rows as text"),
    ),
    26: Item(
        "Number of Frames",
        cases(PIXELS, "SHAPES", 26, "no frames", "-1 frames", "2^31 frames", "1_0 frames")
        | cases(PIXELS, "SHAPES", 26, "more than fragments", "fewer than fragments"),
    ),
    27: Item(
        "bits allocated and stored, High Bit",
        cases(PIXELS, "SHAPES", 27, *(f"Bits Allocated {bits}" for bits in (1, 12, 24, 33)))
        | cases(PIXELS, "SHAPES", 27, "more bits stored than allocated", "High Bit beyond")
        | cases(PIXELS, "SHAPES", 27, "High Bit below"),
    ),
    28: Item(
        "samples and planes",
        cases(PIXELS, "SHAPES", 28, "2 samples", "5 samples", "planes of a JPEG")
        | cases(PIXELS, "SHAPES", 28, "Planar Configuration 5", "no Planar Configuration"),
    ),
    29: Item(
        "palettes",
        cases(PIXELS, "TABLES", 29, "a palette of no entries", "an empty palette of 256")
        | cases(PIXELS, "TABLES", 29, "indices beyond the last", "indices below the first")
        | cases(PIXELS, "TABLES", 29, "16 bits told, 8 bits of data"),
    ),
    30: Item(
        "offset tables",
        cases(PIXELS, "TABLES", 30, "an offset beyond the end", "offsets that decrease")
        | cases(PIXELS, "TABLES", 30, "extended, huge lengths", "extended, huge offsets"),
    ),
    31: Item(
        "fragments",
        cases(PIXELS, "TABLES", 31, "fragments of no length", "no sequence delimiter")
        | cases(PIXELS, "TABLES", 31, "a fragment beyond the end", "100,000 empty fragments"),
    ),
    32: Item(
        "code streams of JPEG, JPEG-LS, JPEG 2000, HTJ2K, JPEG XL",
        {
            "forged dimensions": streams("forged to 65535 a side"),
            "dimensions beyond all": streams("forged to 2^31 a side"),
            "truncated": streams("cut in the middle"),
            "truncated near the end": streams("without its last 20 bytes"),
            "noise": streams("noise behind the header"),
            "tile-parts without end": f"{PIXELS}::TILE_PARTS[without end]",
            "tiles outside": f"{PIXELS}::TILE_PARTS[tiles that begin behind the image]",
            "each with every codec": f"{PIXELS}::test_a_hostile_code_stream",
            "wrong components": f"{PIXELS}::test_a_code_stream_with_other_components",
        },
    ),
    33: Item(
        "RLE segments",
        cases(PIXELS, "TABLES", 33, "segments that begin at themselves", "segments in a circle")
        | cases(PIXELS, "TABLES", 33, "4 billion segments", "runs without end"),
    ),
    34: Item(
        "windows and tables of values",
        cases(PIXELS, "TABLES", 34, "window width 0", "window width -1", "window width NaN")
        | cases(PIXELS, "TABLES", 34, "rescale slope 0", "shorter table of a VOILUTSequence"),
    ),
    35: Item(
        "parameters of rendering",
        {
            "refused": f"{PIXELS}::test_hostile_parameters_of_rendering",
            "the largest": f"{PIXELS}::test_the_largest_viewport",
        },
    ),
    36: Item(
        "colour profiles",
        keys(
            PIXELS, "PROFILES", "a bomb", "4 billion tags", "a curve of 4 billion entries", "8 MB"
        ),
    ),
    37: Item(
        "documents and videos with scripts or references",
        {
            "PDF and CDA": f"{PIXELS}::test_a_document_with_scripts_and_references",
            "MP4": f"{PIXELS}::test_a_video_with_references",
        },
    ),
    38: Item(
        "overlays and curves that overlap",
        {
            "overlays": f"{PIXELS}::test_hostile_overlays",
            "curves": f"{PIXELS}::test_curves_that_overlap",
        },
    ),
    39: Item(
        "how the body is framed",
        {
            "4 GB and no body": f"{UPLOADS}::test_a_length_without_a_body",
            "no length": f"{UPLOADS}::test_a_length_that_is_none",
            "slow loris": f"{UPLOADS}::test_a_slow_loris",
            "chunk extensions": f"{UPLOADS}::CHUNKS[an extension of a megabyte]",
            "chunks": f"{UPLOADS}::test_hostile_chunks",
            "length and chunks": f"{UPLOADS}::test_a_length_and_chunks",
        },
    ),
    40: Item(
        "multipart bodies",
        keys(UPLOADS, "MULTIPARTS", "no boundary", "a boundary of 300 characters")
        | keys(UPLOADS, "MULTIPARTS", "quotes in the boundary", "a regular expression")
        | keys(UPLOADS, "MULTIPARTS", "no closing delimiter", "line feeds alone")
        | keys(UPLOADS, "MULTIPARTS", "nested multipart", "part headers of 10 MB")
        | {
            "boundary within pixel data": f"{UPLOADS}::test_a_boundary_within_pixel_data",
            "a million parts": f"{UPLOADS}::test_a_million_tiny_parts",
        },
    ),
    41: Item(
        "content codings",
        keys(UPLOADS, "CODINGS", "gzip bomb of 10 GB", "gzip twice", "gzip in gzip"),
    ),
    42: Item(
        "ZIP files",
        {
            "over HTTP": f"{UPLOADS}::test_other_bodies_are_not_unpacked",
            "zip-slip": f"{IMPORT}::test_everything_dicom_is_imported_and_what_fails_is_listed",
            "encrypted, damaged": f"{IMPORT}::test_damaged_zip_files_cost_what_is_damaged_alone",
            "forged sizes, bombs, links, nested": f"{IMPORT}::test_hostile_zip_files",
        },
    ),
    43: Item(
        "bulk data from elsewhere",
        {
            "file, HTTP, missing": f"{UPLOADS}::test_bulk_data_from_elsewhere_are_not_fetched",
            "in a circle": f"{UPLOADS}::test_parts_that_refer_to_each_other",
        },
    ),
    44: Item(
        "XML",
        keys(UPLOADS, "XMLS", "external entity", "external DTD", "a billion laughs", "quadratic"),
    ),
    45: Item(
        "JSON",
        keys(UPLOADS, "JSONS", "100,000 deep", "duplicate keys", "1e400")
        | keys(UPLOADS, "JSONS", "InlineBinary that is no base64")
        | {"InlineBinary of 1 GB": f"{UPLOADS}::test_inline_binary_of_a_gigabyte"},
    ),
    46: Item("another study's", {"refused": f"{UPLOADS}::test_instances_of_another_study"}),
    47: Item("who leaves", {"and comes again": f"{UPLOADS}::test_who_leaves_and_comes_again"}),
    48: Item(
        "faults of what is beneath",
        {
            "disk full": (
                "faults/test_full_disk.py::test_a_full_disk_refuses_stores_and_takes_them_again"
            ),
            "database down": AWAY,
            "database down while reading": f"{FAULTS}::test_a_database_that_is_away",
            "S3 answers 500": f"{FAULTS}::FAULTS[500]",
            "S3 is slow": f"{FAULTS}::FAULTS[silent]",
            "S3 breaks off": f"{FAULTS}::FAULTS[cut]",
            "a damaged file": "web/test_damage.py::test_err_03_a_cut_file_never_looks_whole",
            "the clock jumps": f"{FAULTS}::test_a_clock_that_jumps",
        },
    ),
    49: Item(
        "searches for much",
        cases(REQUESTS, "QUERIES", 49, "10,000 parameters", "unknown tags", "a path of 50 tags")
        | cases(REQUESTS, "QUERIES", 49, "limit -1", "offset 10^12", "includefield 5000 times"),
    ),
    50: Item(
        "patterns",
        cases(REQUESTS, "QUERIES", 50, "stars", "a regular expression", "NUL", "LIKE", "SQL"),
    ),
    51: Item(
        "lists of frames",
        keys(REQUESTS, "FRAMES", "the same a million times", "0", "-1", "one beyond")
        | keys(REQUESTS, "FRAMES", "leading zeros"),
    ),
    52: Item(
        "Accept",
        keys(REQUESTS, "ACCEPTS", "alternatives by the thousand", "odd weights")
        | keys(REQUESTS, "ACCEPTS", "quotes that do not end"),
    ),
    53: Item(
        "Range",
        keys(REQUESTS, "RANGES", "10,000 ranges", "ranges that overlap", "backwards")
        | keys(REQUESTS, "RANGES", "a suffix beyond all"),
    ),
    54: Item(
        "hosts, paths, methods",
        {
            "Host, X-Forwarded": f"{REQUESTS}::test_a_forged_host_is_in_no_answer",
            "method override": f"{REQUESTS}::test_a_method_is_not_overridden",
        }
        | keys(REQUESTS, "TARGETS", "two slashes", "a parameter of the path", "an encoded slash"),
    ),
    55: Item(
        "conditions and caches",
        {
            "forged": f"{REQUESTS}::test_forged_conditions",
            "caches": f"{REQUESTS}::test_nothing_is_kept_for_others",
        },
    ),
    60: Item(
        "pages of strangers",
        {
            "CORS and null": f"{REQUESTS}::test_a_forged_host_is_in_no_answer",
            "strangers": "web/test_cors.py::test_strangers_are_told_nothing",
        },
    ),
    67: Item("kill -9 at any moment of a store", {"many times": KILLS}),
    68: Item(
        "two who store the same",
        {
            "at a time": f"{FAULTS}::test_two_who_store_the_same",
            "on two connections": (
                "archive/test_duplicates.py::test_of_two_posts_at_a_time_one_is_refused"
            ),
        },
    ),
    69: Item(
        "what is deleted while it is read",
        {"a study": f"{FAULTS}::test_what_is_deleted_while_it_is_retrieved"},
    ),
    70: Item(
        "clock, zone and summer time",
        {
            "the clock jumps": f"{FAULTS}::test_a_clock_that_jumps",
            "the machine's zone": f"{FAULTS}::test_the_zone_of_the_machine_changes_nothing",
        },
    ),
    71: Item(
        "the database older than the blobs, or newer",
        {
            "older": (
                "archive/test_rebuild_index.py::test_an_index_of_yesterday_is_brought_up_to_date"
            ),
            "newer": "archive/test_verify.py::test_damage_is_found_and_named",
            "newer, over HTTP": "web/test_damage.py::test_a_missing_file_is_told_plainly",
        },
    ),
}

_NO_LOGIN = "there is no login yet: one principal, and the server listens on loopback"
_NO_DIMSE = "there is no DIMSE face"

NOT_YET: dict[int, str] = {
    56: f"tokens: {_NO_LOGIN}",
    57: f"share links: {_NO_LOGIN}",
    58: f"another tenant's UID: {_NO_LOGIN}; index/test_instances.py holds institutions apart",
    59: f"a token for another study: {_NO_LOGIN}",
    **dict.fromkeys(range(61, 67), _NO_DIMSE),
}
