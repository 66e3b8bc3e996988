"""Coverage-guided fuzzing of our parsers with atheris: ``python -m tests.fuzz [TARGET…]``.

Each target runs in a process of its own, with `dicomweb_server` instrumented, from its seeds and
from what earlier runs found to lead somewhere new (``build/fuzz/TARGET/corpus``). An input that
goes wrong is written to ``build/fuzz/TARGET``, one for each place in the code, and the run goes
on. To keep it, move it to ``tests/fuzz/kept/TARGET`` under a name that says what it does.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path
from random import Random

BUILD = Path("build/fuzz")
_MEMORY = 2048  # MB that a process may hold
_HANGS = 25  # seconds for one input, by the clock: of a machine that may be busy

_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def main() -> int:
    """Fuzz all targets or some, one after the other; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all unless named")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each target (%(default)s)")
    parser.add_argument("--list", action="store_true", help="list the targets")
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer; 0 for another each time")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("atheris is not installed; `make fuzz` makes an environment with it", file=sys.stderr)
        return 2
    if options.here:
        with atheris.instrument_imports(include=["dicomweb_server"], enable_loader_override=False):
            _fuzz(options.targets[0], options.minutes, options.seed)  # libFuzzer ends the process
    from tests.fuzz.targets import TARGETS

    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; --list names them")
    if options.list:
        print("\n".join(TARGETS))
        return 0
    return _run_all(options.targets or list(TARGETS), options.minutes, options.seed)


def _run_all(targets: list[str], minutes: float, seed: int) -> int:
    total, bad = 0, []
    for name in targets:
        runs, found = _run(name, minutes, seed)
        total += runs
        bad += found
        print(f"{name:20} {runs:>12,} executions  {len(found)} went wrong", flush=True)
    print(f"{'all':20} {total:>12,} executions  {len(bad)} went wrong")
    for path in bad:
        print(f"  {path}: {path.with_suffix('.txt').read_text().splitlines()[-1]}")
    return 1 if bad else 0


def _run(name: str, minutes: float, seed: int) -> tuple[int, list[Path]]:
    """Executions of one target, and the inputs that went wrong."""
    (BUILD / name).mkdir(parents=True, exist_ok=True)
    before = set((BUILD / name).glob("*.input"))
    log = BUILD / name / "log.txt"
    command = [sys.executable, "-m", "tests.fuzz", name, "--here", f"--minutes={minutes}"]
    with log.open("w") as out:
        ended = subprocess.run([*command, f"--seed={seed}"], stdout=out, stderr=out, check=False)
    text = log.read_text(errors="replace")
    found = sorted(set((BUILD / name).glob("*.input")) - before)
    # Written by libFuzzer itself: what ended the process, hung, or took all memory.
    for path in (BUILD / name).glob("*-*"):
        if re.match(r"(crash|timeout|oom|leak|slow-unit)-", path.name):
            kept = path.rename(path.with_name(f"{path.name}.input"))
            kept.with_suffix(".txt").write_text(f"{text[-4000:]}\n{path.name.split('-')[0]}\n")
            found.append(kept)
    runs = _RUNS.findall(text)
    if ended.returncode and not found:
        raise SystemExit(f"{name} did not run to its end; see {log}")
    return int(runs[-1]) if runs else 0, found


def _fuzz(name: str, minutes: float, seed: int) -> None:
    import atheris

    from tests.fuzz import targets
    from tests.fuzz.changes import changed
    from tests.fuzz.seeds import seeds_of

    folder = BUILD / name
    corpus, seeds = folder / "corpus", folder / "seeds"
    for each in (corpus, seeds):
        each.mkdir(parents=True, exist_ok=True)
    for number, seed_input in enumerate(seeds_of(name)):
        (seeds / f"{number}").write_bytes(seed_input)

    def give(data: bytes) -> None:
        try:
            targets.run(name, data)
        except Exception as error:
            _keep(folder, data, error)

    def change(data: bytes, longest: int, seed: int) -> bytes:
        random = Random(seed)
        made = changed(name, data, random) if random.randrange(3) else None
        return atheris.Mutate(data, longest) if made is None else made[:longest]

    arguments = [
        f"-max_total_time={max(1, round(minutes * 60))}",
        f"-max_len={targets.LONGEST if max(map(len, seeds_of(name))) > 4096 else 4096}",
        f"-timeout={_HANGS}",
        f"-rss_limit_mb={_MEMORY}",
        f"-seed={seed}",
        f"-artifact_prefix={folder}{os.sep}",
        "-print_final_stats=1",
        "-verbosity=1",
        str(corpus),
        str(seeds),
    ]
    more = {"custom_mutator": change} if changed(name, seeds_of(name)[0], Random(0)) else {}
    atheris.Setup([sys.argv[0], *arguments], give, **more)
    atheris.Fuzz()


def _keep(folder: Path, data: bytes, error: Exception) -> None:
    """Write an input that went wrong, the shortest for each place where it does."""
    steps = traceback.extract_tb(error.__traceback__)[-3:]
    place = type(error).__name__ + "".join(f"{step.filename}:{step.lineno}" for step in steps)
    path = folder / f"{hashlib.sha256(place.encode()).hexdigest()[:12]}.input"
    if not path.exists() or len(data) < path.stat().st_size:
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))


if __name__ == "__main__":
    sys.exit(main())
