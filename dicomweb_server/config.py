"""Every option of the server: its environment variable, its default, one line of help.

The variable's name is the field's name in capitals, without a prefix. An empty variable
counts as one not set. The README's table is made of these same lines, and a test holds
the two together.
"""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    ByteSize,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

GIB = 2**30
_ADDRESS = re.compile(
    r"https?://(?:[\w.~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/[\w.~!$&'()*+,;=:@%/-]*)?", re.ASCII
)
_MOST = 10**9  # of anything; with numbers of any length statements and timers fail
_LONGEST = 1e9  # seconds
_MOST_BYTES = 2**60  # beyond are numbers that the system's calls cannot be given
_SIZE = re.compile(r"\s*\d*\.?\d+\s*(?:\w+)?\s*")
_ORIGIN = re.compile(
    r"\*|null|[a-z][a-z0-9+.-]*://[^\s/?#@*\"'\[\]]+|https?://\[[0-9a-f:]+\](?::\d+)?", re.I
)


def _whole_size(value: object, read: ValidatorFunctionWrapHandler) -> ByteSize:
    """A number of bytes, with a unit or without. pydantic alone reads the beginning of a text,
    and so ``1,5GiB`` as a byte."""
    refusal = ValueError("should be a number of bytes, as 16GiB, 1.5 MiB or 1000")
    if isinstance(value, str) and _SIZE.fullmatch(value) is None:
        raise refusal
    try:
        size: ByteSize = read(value)
    except ValidationError:
        raise refusal from None
    if size > _MOST_BYTES:
        raise ValueError("should be 1EiB at the most")
    return size


Size = Annotated[ByteSize, WrapValidator(_whole_size)]


class Settings(BaseSettings):
    """The server's options, read from the environment once and never changed after.

    Byte counts may be written with a unit (``16GiB``), and are 1 EiB at the most. Raises
    pydantic's ValidationError for a value that an option cannot have.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    # Not plain HOST: some shells export that one with the machine's own name in it, and an
    # archive without a login would then be open to the whole network by accident.
    listen_host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes any free one")
    data_dir: Path = Field(Path("data"), description="Folder that everything stored lies in")
    database_url: str = Field(
        "",
        repr=False,  # it may hold a password
        description="An existing Postgres 15 to 18 (`postgresql://user:password@host/name`); "
        "empty starts one of our own in the data folder",
    )
    public_url: str = Field(
        "",
        description="Address that clients see, as behind a proxy; empty is the one listened on",
    )
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="Processes that answer requests; 0 is one per core, four at the most",
    )
    cpu_workers: int = Field(
        0,
        ge=0,
        le=1024,
        description="Processes of each of them that parse and decode; 0 is one per core in all",
    )
    allow_delete: bool = Field(False, description="Whether studies may be deleted over HTTP")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of web pages that may use the server, separated by commas"
    )
    max_instance_bytes: Size = Field(
        ByteSize(16 * GIB), ge=1, description="Largest single instance that is stored"
    )
    max_request_parts: int = Field(
        100_000, ge=1, le=_MOST, description="Most parts that one store request may have"
    )
    max_concurrent_uploads: int = Field(
        32, ge=1, le=_MOST, description="Store requests that one process works on at a time"
    )
    min_free_bytes: Size = Field(
        ByteSize(GIB), ge=0, description="Free space on the disk below which nothing is stored"
    )
    quarantine: bool = Field(
        False, description="Whether files that cannot be stored are kept aside, with the reason"
    )
    quarantine_limit_bytes: Size = Field(
        ByteSize(10 * GIB), ge=0, description="Most that the quarantine holds; more is refused only"
    )
    cache_limit_bytes: Size = Field(
        ByteSize(4 * GIB),
        ge=0,
        description="Most that what is made of files takes in `data/cache`; 0 keeps nothing",
    )
    inflate_limit_bytes: Size = Field(
        ByteSize(2 * GIB), ge=1, description="Largest size that compressed content may unpack to"
    )
    pixel_limit_bytes: Size = Field(
        ByteSize(4 * GIB), ge=1, description="Largest decoded image, all that one answer needs"
    )
    max_rendered_frames: int = Field(
        5000,
        ge=1,
        le=_MOST,
        description="Most frames of a study or series that one answer shows as pictures",
    )
    max_results: int = Field(
        5000,
        ge=1,
        le=_MOST,
        description="Matches that a search returns at most, and where it names no limit",
    )
    search_timeout_seconds: float = Field(
        10, gt=0, le=600, description="Longest time that a search may take"
    )
    lossy_quality: int = Field(
        0,
        ge=0,
        le=100,
        description="Quality of JPEG for who asks for that lossy syntax by its UID, 1 to 100; "
        "0 makes none",
    )
    timezone_offset: str = Field(
        "+0000", description="Time zone of dates and times that tell none, as +0100"
    )
    body_timeout_seconds: float = Field(
        60, gt=0, le=_LONGEST, description="Longest silence in the middle of an upload"
    )
    least_upload_rate: Size = Field(
        ByteSize(1024), ge=0, description="Bytes a second that an upload has to bring on average"
    )
    worker_timeout_seconds: float = Field(
        60,
        gt=0,
        le=_LONGEST,
        description="Longest time that one file or frame may keep a process busy",
    )
    database_pool: int = Field(
        8, ge=1, le=90, description="Database connections that one process keeps"
    )
    s3_bucket: str = Field(
        "", description="Bucket that the files are kept in; empty keeps them in the data folder"
    )
    s3_endpoint_url: str = Field(
        "", description="Address of the S3 server; empty is Amazon's, or what boto3's files name"
    )
    s3_region: str = Field("", description="Region of the bucket, where the server has several")
    s3_prefix: str = Field("", description="Folder of the bucket that the keys begin with")
    s3_access_key_id: str = Field(
        "",
        description="Access key; empty looks in all places where boto3 does, as the machine's role",
    )
    s3_secret_access_key: str = Field(
        "", repr=False, validate_default=True, description="Secret of the access key"
    )
    s3_path_style: bool = Field(
        False, description="Whether the bucket stands in the path of URLs, not in the host name"
    )
    s3_encryption: Literal["", "AES256", "aws:kms"] = Field(
        "", description="How S3 is told to encrypt: AES256 or aws:kms; empty is the bucket's way"
    )
    s3_kms_key_id: str = Field("", description="Key of aws:kms; empty is the account's own")
    s3_timeout_seconds: float = Field(
        30,
        gt=0,
        le=86400,  # a socket takes 24 days at the most
        description="Longest silence of S3, after which a request is made again",
    )
    s3_connections: int = Field(
        64, ge=2, le=1000, description="Requests to S3 that one process makes at a time"
    )
    s3_local_bytes: Size = Field(
        ByteSize(4 * GIB),
        ge=0,
        description="Most that copies of files on S3 take in `data/cache`; 0 keeps none",
    )
    ohif_dir: str = Field(
        "", description="Folder that `make ohif` puts OHIF in; empty is `ohif` in the data folder"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged: debug, info, warning or error"
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        # Not resolved: a link that the operator put there is meant, also when it changes.
        return path.expanduser().absolute()

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, origins: object) -> object:
        return tuple(origins.replace(",", " ").split()) if isinstance(origins, str) else origins

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """As browsers send them; with anything more none of them would ever be met."""
        without_slash = tuple(origin.rstrip("/").lower() for origin in origins)
        if any("*" in origin and origin != "*" for origin in without_slash):
            raise ValueError("* stands alone, for every origin; those of a domain are named each")
        if not all(_ORIGIN.fullmatch(origin) for origin in without_slash):
            raise ValueError("should look like https://viewer.example, or be *")
        return without_slash

    @field_validator("public_url", "s3_endpoint_url")
    @classmethod
    def _whole_address(cls, url: str) -> str:
        if url and not _is_address(url):
            raise ValueError(
                "should look like https://pacs.example/archive, "
                "without spaces, a query or a fragment"
            )
        return url.rstrip("/")

    @field_validator("s3_prefix")
    @classmethod
    def _folder(cls, prefix: str) -> str:
        prefix = prefix.strip("/")
        return f"{prefix}/" if prefix else ""

    @field_validator("s3_secret_access_key")
    @classmethod
    def _both(cls, secret: str, info: ValidationInfo) -> str:
        if bool(secret) != bool(info.data.get("s3_access_key_id")):
            raise ValueError("should be set together with S3_ACCESS_KEY_ID")
        return secret

    @field_validator("s3_kms_key_id")
    @classmethod
    def _of_kms(cls, key: str, info: ValidationInfo) -> str:
        if key and info.data.get("s3_encryption") != "aws:kms":
            raise ValueError("is for S3_ENCRYPTION=aws:kms")
        return key

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, url: str) -> str:
        if url and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("should begin with postgresql://")
        return url

    @property
    def local_zone(self) -> int:
        """`timezone_offset` in minutes east of UTC."""
        sign = -1 if self.timezone_offset.startswith("-") else 1
        return sign * (int(self.timezone_offset[1:3]) * 60 + int(self.timezone_offset[3:]))

    @field_validator("timezone_offset")
    @classmethod
    def _an_offset(cls, text: str) -> str:
        if re.fullmatch(r"[+-](0\d|1[01])[0-5]\d|[+-]1200|\+1[23][0-5]\d|\+1400", text) is None:
            raise ValueError("should be an offset from UTC, as +0100")
        return text

    @property
    def blobs_dir(self) -> Path:
        """The stored DICOM files, as they were received."""
        return self.data_dir / "blobs"

    @property
    def postgres_dir(self) -> Path:
        """The embedded Postgres: its cluster, password and log. Unused with DATABASE_URL."""
        return self.data_dir / "postgres"

    @property
    def tmp_dir(self) -> Path:
        """Uploads under way; on the file system of ``blobs_dir``, so that a rename moves them."""
        return self.data_dir / "tmp"

    @property
    def quarantine_dir(self) -> Path:
        """Files that could not be stored, each with a note of the reason."""
        return self.data_dir / "quarantine"

    @property
    def cache_dir(self) -> Path:
        """What can be made again; may be deleted at any time."""
        return self.data_dir / "cache"

    @property
    def ohif_folder(self) -> Path:
        """The viewer OHIF, if it was installed: its pages as they are served."""
        if not self.ohif_dir:
            return self.data_dir / "ohif"
        return Path(self.ohif_dir).expanduser().absolute()

    @property
    def base_url(self) -> str:
        """Scheme, host and port of every URL in an answer, without a closing slash (BLK-01)."""
        return self.public_url or f"http://{_reachable(self.listen_host)}:{self.port}"

    @property
    def dicomweb_url(self) -> str:
        """The base URI of the DICOMweb services (PS3.18 §8.2)."""
        return f"{self.base_url}/dicomweb"

    def environment(self) -> dict[str, str]:
        """The variables from which another process reads exactly these settings."""
        return {name.upper(): _text(getattr(self, name)) for name in type(self).model_fields}


def _is_address(url: str) -> bool:
    """Whether paths can be put behind `url`, and all of it stand in a header."""
    if _ADDRESS.fullmatch(url) is None:
        return False
    try:
        _ = urlsplit(url).port
    except ValueError:  # beyond 65535; or no address of IPv6 in the brackets
        return False
    return True


def _reachable(host: str) -> str:
    """`host` as it stands in a URL; for "every address" the one that this machine can use."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (a comparison)
    return f"[{host}]" if ":" in host else host


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool | int):  # a ByteSize prints itself rounded to a unit
        return str(int(value))
    return str(value)
