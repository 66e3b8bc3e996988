"""The commands: ``dicomweb-server serve`` and others, or ``python -m dicomweb_server …``.

What goes wrong on the way up is told in a sentence on standard error, with status 1.
"""

import contextlib
import functools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from dicomweb_server import __version__
from dicomweb_server.commands.amounts import parse_rate, parse_time
from dicomweb_server.commands.serving import CannotServeError, run
from dicomweb_server.config import Settings
from dicomweb_server.index.embedded import EmbeddedPostgresError
from dicomweb_server.index.migrate import SchemaMismatchError

OlderThan = Annotated[
    timedelta, typer.Option(parser=parse_time, help="As in 30d, 24h or 90m.", metavar="TIME")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed.")]
Tokens = Annotated[list[str] | None, typer.Argument(help="As `quarantine list` shows them.")]
AttributePath = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="Keywords or tags, as InstitutionName or 00101002.PatientID."
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Instead of DATA_DIR.")]

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


_group = functools.partial(typer.Typer, no_args_is_help=True, pretty_exceptions_enable=False)
quarantine = _group(help="Files that were refused and kept aside (QUARANTINE).")
institution = _group(help="Who shares the archive.")
attribute = _group(help="Attributes that searches find by an index, beyond those that always are.")
cli.add_typer(quarantine, name="quarantine")
cli.add_typer(institution, name="institution")
cli.add_typer(attribute, name="attribute")


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


@cli.command("rebuild-index")
def rebuild_index(
    go_on: Annotated[
        bool, typer.Option("--continue", help="Add what is missing to an index that is not empty.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Fill an empty database from the stored files alone."""
    from dicomweb_server.commands.rebuilding import run_rebuild

    with plain_failures():
        raise typer.Exit(run_rebuild(read_settings(data_dir=data_dir), go_on))


@cli.command()
def sweep(
    older_than: OlderThan = "24h",  # type: ignore[assignment]  # parsed like what is typed
    dry_run: DryRun = False,
    data_dir: DataDir = None,
) -> None:
    """Remove files that belong to no instance, as uploads that broke off leave them behind."""
    from dicomweb_server.commands.sweeping import run_sweep

    with plain_failures():
        raise typer.Exit(run_sweep(read_settings(data_dir=data_dir), older_than, dry_run))


@cli.command()
def purge(
    older_than: OlderThan = "30d",  # type: ignore[assignment]
    quarantined: Annotated[
        bool, typer.Option("--quarantine", help="Files in quarantine too.")
    ] = False,
    dry_run: DryRun = False,
    data_dir: DataDir = None,
) -> None:
    """Remove versions of instances that newer ones replaced long ago."""
    from dicomweb_server.commands.sweeping import run_purge

    with plain_failures():
        settings = read_settings(data_dir=data_dir)
        raise typer.Exit(run_purge(settings, older_than, quarantined, dry_run))


@quarantine.command("list")
def quarantine_list(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show what is in quarantine, with the reason; the oldest first."""
    from dicomweb_server.commands.quarantine import run_list

    with plain_failures():
        raise typer.Exit(run_list(read_settings(data_dir=data_dir), as_json))


@quarantine.command("release")
def quarantine_release(
    tokens: Tokens = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is there.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Store files again; those that are refused again stay, and the reason is told."""
    from dicomweb_server.commands.quarantine import run_release

    with plain_failures():
        settings = read_settings(data_dir=data_dir)
        raise typer.Exit(run_release(settings, tokens or [], everything))


@quarantine.command("drop")
def quarantine_drop(
    tokens: Annotated[list[str], typer.Argument(help="As `quarantine list` shows them.")],
    data_dir: DataDir = None,
) -> None:
    """Remove files from quarantine for good."""
    from dicomweb_server.commands.quarantine import run_drop

    with plain_failures():
        raise typer.Exit(run_drop(read_settings(data_dir=data_dir), tokens))


@institution.command("list")
def institution_list(data_dir: DataDir = None) -> None:
    """Show code, title, policy for duplicates, and how much is stored."""
    from dicomweb_server.commands.institutions import run_list

    with plain_failures():
        raise typer.Exit(run_list(read_settings(data_dir=data_dir)))


@institution.command("policy")
def institution_policy(
    code: Annotated[str, typer.Argument(help="As `institution list` shows it.")],
    policy: Annotated[Literal["refuse", "replace"], typer.Argument()],
    data_dir: DataDir = None,
) -> None:
    """Set what becomes of an instance that comes again with another data set."""
    from dicomweb_server.commands.institutions import run_policy

    with plain_failures():
        raise typer.Exit(run_policy(read_settings(data_dir=data_dir), code, policy))


@attribute.command("index")
def attribute_index(path: AttributePath, data_dir: DataDir = None) -> None:
    """Have an attribute indexed, beside a running server or without one.

    What is stored from now on is indexed at once. A run that is interrupted goes on where it was
    when it is started again; searches use the index when it is complete.
    """
    from dicomweb_server.commands.attributes import run_index

    with plain_failures():
        raise typer.Exit(run_index(read_settings(data_dir=data_dir), path))


@attribute.command("list")
def attribute_list(data_dir: DataDir = None) -> None:
    """Show the attributes that were indexed so, and whether searches use them."""
    from dicomweb_server.commands.attributes import run_list

    with plain_failures():
        raise typer.Exit(run_list(read_settings(data_dir=data_dir)))


@attribute.command("drop")
def attribute_drop(path: AttributePath, data_dir: DataDir = None) -> None:
    """Have an attribute indexed no more; searches for it read what is stored, as before."""
    from dicomweb_server.commands.attributes import run_drop

    with plain_failures():
        raise typer.Exit(run_drop(read_settings(data_dir=data_dir), path))


@contextlib.contextmanager
def plain_failures() -> Iterator[None]:
    """Tell what the operator can mend in a sentence, not in a traceback; the status is 1."""
    try:
        yield
    except (CannotServeError, EmbeddedPostgresError, SchemaMismatchError) as failure:
        typer.echo(f"\n{failure}", err=True)
        raise typer.Exit(1) from None
    except PermissionError as error:
        what = error.filename or "Something of the archive"
        typer.echo(f"\n{what}: {error.strerror}.\nRun it as the server's user.", err=True)
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
