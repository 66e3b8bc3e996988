"""The client of boto3 that the settings ask for."""

from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from dicomweb_server.config import Settings

ATTEMPTS = 3  # of a request that is not answered, or answered with 5xx
_CONNECT_SECONDS = 5.0


def connect_seconds(settings: Settings) -> float:
    """How long it may take until a connection is open."""
    return min(settings.s3_timeout_seconds, _CONNECT_SECONDS)


def new_client(settings: Settings) -> tuple[Any, Any]:
    """A client, and botocore's session behind it, which has the credentials."""
    session = botocore.session.get_session()
    client = boto3.session.Session(
        aws_access_key_id=settings.s3_access_key_id or None,
        aws_secret_access_key=settings.s3_secret_access_key or None,
        region_name=settings.s3_region or None,
        botocore_session=session,
    ).client(
        "s3",
        endpoint_url=settings.s3_endpoint_url or None,
        config=Config(
            connect_timeout=connect_seconds(settings),
            read_timeout=settings.s3_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=settings.s3_connections,
            s3={"addressing_style": "path" if settings.s3_path_style else "auto"},
            # Servers other than Amazon's do not know the newer ones, or check them wrongly.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return client, session


def encryption_of(settings: Settings) -> dict[str, str]:
    if not settings.s3_encryption:
        return {}
    key = {"SSEKMSKeyId": settings.s3_kms_key_id} if settings.s3_kms_key_id else {}
    return {"ServerSideEncryption": settings.s3_encryption, **key}
