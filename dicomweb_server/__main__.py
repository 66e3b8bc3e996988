"""The commands: ``dicomweb-server serve`` and others, or ``python -m dicomweb_server …``.

What goes wrong on the way up is told in a sentence on standard error, with status 1.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from dicomweb_server import __version__
from dicomweb_server.commands.amounts import parse_rate
from dicomweb_server.commands.serving import CannotServeError, run
from dicomweb_server.config import Settings
from dicomweb_server.index.embedded import EmbeddedPostgresError
from dicomweb_server.index.migrate import SchemaMismatchError

DataDir = Annotated[Path | None, typer.Option(help="Instead of DATA_DIR.")]

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@cli.callback(invoke_without_command=True)
def dicomweb_server(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """A DICOMweb archive: STOW-RS, QIDO-RS and WADO-RS over Postgres and plain DICOM files."""
    if version:
        typer.echo(f"dicomweb-server {__version__}")
        raise typer.Exit


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Instead of LISTEN_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of PORT.")] = None,
    workers: Annotated[int | None, typer.Option(help="Instead of WORKERS.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the server until it is stopped. Settings are environment variables (see README.md)."""
    with plain_failures():
        run(read_settings(listen_host=host, port=port, workers=workers, data_dir=data_dir))


@cli.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Folders, DICOM files and ZIP files.")],
    data_dir: DataDir = None,
) -> None:
    """Store every DICOM file below the paths, beside a running server or without one.

    What is there already is passed over; an import that was interrupted is started again.
    """
    from dicomweb_server.commands.importing import run_import  # needs what serving does not

    with plain_failures():
        raise typer.Exit(run_import(read_settings(data_dir=data_dir), paths))


@cli.command()
def verify(
    study: Annotated[str | None, typer.Option(help="Only the study with this UID.")] = None,
    rate: Annotated[
        int | None, typer.Option(parser=parse_rate, help="Bytes a second at most, as in 50MiB.")
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Do not go on where the last run stopped.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Read every stored file and compare it with the index; tell what is damaged or missing.

    A run that is interrupted goes on where it was when it is started again.
    """
    from dicomweb_server.commands.verifying import run_verify

    with plain_failures():
        raise typer.Exit(run_verify(read_settings(data_dir=data_dir), study, rate, from_start))


@contextlib.contextmanager
def plain_failures() -> Iterator[None]:
    """Tell what the operator can mend in a sentence, not in a traceback; the status is 1."""
    try:
        yield
    except (CannotServeError, EmbeddedPostgresError, SchemaMismatchError) as failure:
        typer.echo(f"\n{failure}", err=True)
        raise typer.Exit(1) from None


def read_settings(**given: object) -> Settings:
    """The settings of the environment, but for those `given` that are not None.

    Raises CannotServeError with every setting that has an impossible value.
    """
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**chosen)
    except ValidationError as refused:
        complaints = [f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in refused.errors()]
        raise CannotServeError("\n".join(complaints)) from None


def main() -> None:
    """The console script ``dicomweb-server``."""
    cli(prog_name="dicomweb-server")


if __name__ == "__main__":
    main()
