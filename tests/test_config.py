"""Settings: read from the environment, written down in the README."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ByteSize, ValidationError

from dicomweb_server.config import Settings

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_without_any_variable_the_server_listens_on_loopback_and_keeps_data_here(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.dicomweb_url == "http://127.0.0.1:8080/dicomweb"
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url == ""
    assert not settings.allow_delete


def test_variables_are_read(monkeypatch):
    for name, value in {
        "PORT": "8081",
        "DATA_DIR": "/srv/dicom",
        "DATABASE_URL": "postgresql://u:p@db/n",
        "CORS_ORIGINS": "https://a.example, https://b.example",
        "MAX_INSTANCE_BYTES": "2GiB",
        "ALLOW_DELETE": "true",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.port == 8081
    assert settings.blobs_dir == Path("/srv/dicom/blobs")
    assert settings.database_url == "postgresql://u:p@db/n"
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.max_instance_bytes == 2 * 2**30
    assert settings.allow_delete


def test_an_empty_variable_is_one_not_set(monkeypatch):
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("DATABASE_URL", "")
    assert Settings() == Settings(port=8080)


def test_the_machines_name_in_host_does_not_open_the_server_to_the_network(monkeypatch):
    monkeypatch.setenv("HOST", "0.0.0.0")
    assert Settings().listen_host == "127.0.0.1"


@pytest.mark.parametrize(
    ("listen_host", "public_url", "base_url"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:8080"),
        ("0.0.0.0", "", "http://127.0.0.1:8080"),
        ("::1", "", "http://[::1]:8080"),
        ("127.0.0.1", "https://pacs.example/archive/", "https://pacs.example/archive"),
    ],
)
def test_urls_have_the_address_that_clients_see(listen_host, public_url, base_url):
    assert Settings(listen_host=listen_host, public_url=public_url).base_url == base_url


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("*", ("*",)),
        ("null", ("null",)),
        ("HTTP://LocalHost:3000/", ("http://localhost:3000",)),  # browsers send no slash
        ("https://a.example http://[::1]:3000", ("https://a.example", "http://[::1]:3000")),
        ("capacitor://localhost", ("capacitor://localhost",)),  # of an app
    ],
)
def test_origins_are_as_browsers_send_them(monkeypatch, given, origins):
    monkeypatch.setenv("CORS_ORIGINS", given)

    assert Settings().cors_origins == origins


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CORS_ORIGINS", '["https://a.example"]'),
        ("CORS_ORIGINS", "https://a.example/viewer"),
        ("CORS_ORIGINS", "a.example"),
        ("CORS_ORIGINS", "https://*.example.org"),
        ("CORS_ORIGINS", "https://a.example:*"),
        ("PORT", "abc"),
        ("PORT", "65536"),
        ("WORKERS", "-1"),
        ("LOG_LEVEL", "loud"),
        *(
            (variable, url)
            for variable in ("PUBLIC_URL", "S3_ENDPOINT_URL")
            for url in (
                *("pacs.example", "https://", "https:///", "https:///path", "https://:8080"),
                *("https://pacs.example ", "https://pacs example", "https://pacs.example/a\tb"),
                *("https://pacs.example\n", "https://pacs.example?a=b", "https://pacs.example/?"),
                *("https://pacs.example/#", "https://pacs.example/a#b", "https://pacs.example:x"),
                *("https://pacs.example:65536", "https://[::1", "https://[nowhere]"),
                *("https://übersee.example", 'https://pacs.example/"', "https://<pacs>"),
            )
        ),
        ("DATABASE_URL", "mysql://db/name"),
        ("MAX_INSTANCE_BYTES", "-1"),
        ("S3_ENDPOINT_URL", "minio.example:9000"),
        *(
            (variable, "999999999999999999999999")
            for variable in (
                *("MAX_RESULTS", "MAX_RENDERED_FRAMES", "MAX_REQUEST_PARTS"),
                *("MAX_CONCURRENT_UPLOADS", "BODY_TIMEOUT_SECONDS", "WORKER_TIMEOUT_SECONDS"),
                *("S3_TIMEOUT_SECONDS", "SEARCH_TIMEOUT_SECONDS", "DATABASE_POOL"),
            )
        ),
        ("BODY_TIMEOUT_SECONDS", "inf"),
        ("WORKER_TIMEOUT_SECONDS", "nan"),
        ("S3_TIMEOUT_SECONDS", "2147484"),  # a socket cannot be told so many milliseconds
        ("S3_ENCRYPTION", "rot13"),
        ("S3_KMS_KEY_ID", "a-key-without-its-kind"),
        ("S3_SECRET_ACCESS_KEY", "a-secret-of-no-key"),
    ],
)
def test_an_impossible_value_is_refused(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [error] = refused.value.errors()
    assert error["loc"] == (variable.lower(),)


SIZES = [name for name, field in Settings.model_fields.items() if field.annotation is ByteSize]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16GiB", 16 << 30),
        ("512 MiB", 512 << 20),
        (" 1.5GiB ", 3 << 29),
        (".5KiB", 512),
        ("16gib", 16 << 30),
        ("2MB", 2_000_000),
        ("1000", 1000),
        ("4g", 4_000_000_000),
    ],
)
def test_a_size_is_a_number_and_its_unit(monkeypatch, text, size):
    monkeypatch.setenv("MIN_FREE_BYTES", text)
    assert Settings().min_free_bytes == size


@pytest.mark.parametrize(
    "text",
    [
        *("20%", "1,5GiB", "1'000GiB", "1.5.2GiB", "16GiB junk", "1.", "16 Gi B", "1 000", "GiB"),
        *("x", "16GiB\nEVIL=1", "9" * 400, "9" * 5000, "1e400", "nan", "-1", "2EiB"),
    ],
)
def test_a_text_that_is_no_size_as_a_whole_is_refused(monkeypatch, text):
    monkeypatch.setenv("MIN_FREE_BYTES", text)
    with pytest.raises(ValidationError) as refused:
        Settings()
    [error] = refused.value.errors()
    assert error["loc"] == ("min_free_bytes",)
    assert "as 16GiB" in error["msg"] or "1EiB at the most" in error["msg"]


@pytest.mark.parametrize("name", SIZES)
def test_every_size_is_read_as_a_whole(monkeypatch, name):
    assert len(SIZES) >= 8
    monkeypatch.setenv(name.upper(), "20%")
    with pytest.raises(ValidationError, match="a number of bytes, as 16GiB"):
        Settings()


@given(st.text() | st.from_regex(r"[0-9]{1,25}[.,]?[0-9]{0,3} ?([kmgtpe]i?b?)?.?"))
def test_any_text_is_a_size_within_bounds_or_refused(text):
    with contextlib.suppress(ValidationError):
        assert 0 <= Settings(min_free_bytes=text).min_free_bytes <= 2**60


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PUBLIC_URL", "https://", "should look like https://pacs.example/archive"),
        ("S3_ENDPOINT_URL", "https://a?b", "without spaces, a query or a fragment"),
        ("CORS_ORIGINS", "https://*.example.org", r"\* stands alone, for every origin"),
    ],
)
def test_what_is_expected_is_said(monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=sentence):
        Settings()


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:8080", "https://pacs.example/a-b/~c_d%20e", "http://[::1]:8080/x"),
        *("https://PACS.example", "http://10.0.0.1", "https://pacs.example/(a)/b+c;d=e,f@g"),
    ],
)
def test_an_address_is_kept_as_it_is(url):
    assert Settings(public_url=url, s3_endpoint_url=url + "/").public_url == url


@pytest.mark.parametrize(
    "name", ["max_results", "max_rendered_frames", "max_request_parts", "max_concurrent_uploads"]
)
def test_as_good_as_no_limit_can_be_set(name):
    assert getattr(Settings(**{name: 10**9}), name) == 10**9


def test_an_access_key_needs_its_secret(monkeypatch):
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "AKIA")
    with pytest.raises(ValidationError, match="together with S3_ACCESS_KEY_ID"):
        Settings()
    settings = Settings(s3_secret_access_key="hunter2")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "prefix"), [("", ""), ("/", ""), ("dicom", "dicom/"), ("/a/b/", "a/b/")]
)
def test_the_prefix_of_keys_is_a_folder(given, prefix):
    assert Settings(s3_prefix=given).s3_prefix == prefix


def test_a_refused_database_url_does_not_show_its_password(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://user:hunter2@db/name")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(Settings(database_url="postgresql://u:hunter2@db/n"))


@given(
    port=st.integers(0, 65535),
    size=st.integers(1, 2**60),
    seconds=st.floats(0.001, 1e9),
    origins=st.lists(st.from_regex(r"https://[a-z]{1,9}\.example", fullmatch=True)).map(tuple),
    delete=st.booleans(),
)
def test_another_process_reads_the_same_settings(port, size, seconds, origins, delete):
    settings = Settings(
        port=port,
        max_instance_bytes=size,
        body_timeout_seconds=seconds,
        cors_origins=origins,
        allow_delete=delete,
        data_dir="somewhere",
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in settings.environment().items():
            monkeypatch.setenv(name, value)
        assert Settings() == settings


def readme_rows():
    """The README's table of settings: variable, default, meaning."""
    return re.findall(r"^\| `([A-Z0-9_]+)` \| (.+?) \| (.+?) \|$", README.read_text(), re.M)


def test_every_setting_stands_in_the_readme_with_its_help():
    assert [(name, meaning) for name, _, meaning in readme_rows()] == [
        (name.upper(), field.description) for name, field in Settings.model_fields.items()
    ]


def test_the_defaults_in_the_readme_are_those_of_the_program(monkeypatch):
    for name, default, _ in readme_rows():
        value = getattr(Settings(), name.lower())
        if default == "empty":
            assert not value
            continue
        with monkeypatch.context() as environment:
            environment.setenv(name, default.strip("`"))
            assert getattr(Settings(), name.lower()) == value
