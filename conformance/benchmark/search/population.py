"""Made studies: who was examined where, when and how, as in an archive of many institutions.

The study of a number is the same in every run with the same seed and size, whoever makes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from conformance.benchmark.search.names import (
    FLATTEN,
    PHYSICIANS,
    SURNAMES,
    Name,
    given_names,
    physicians,
    surnames,
)

INSTITUTIONS = 100
CHUNK = 10_000
"""Studies that are made at a time."""

REAL = 50_000
"""Studies below which all is whole; to make the documents of twenty million series takes long."""

_FLATTEN_SIZES = 5  # so that the largest institution has 6 % of the studies, the smallest 0.3 %
_STUDIES_A_PATIENT = 3
_FIRST_DAY, _DAYS = date(2008, 1, 1), 16 * 365 + 4
_OUT_OF_ORDER = 0.06  # share of studies that come later than they were made: imports, transfers
_OPENS, _OPEN = 7 * 3600, 12 * 3600  # seconds of a day

# The modalities of a study, in alphabetical order, and their share in per cent; a study's series
# go through them.
COMBINATIONS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("CT",), 22),
    (("DX",), 15),
    (("MR",), 13),
    (("US",), 13),
    (("CR",), 10),
    (("MG",), 6),
    (("CT", "SR"), 5),
    (("ES", "US"), 3),
    (("CT", "PT"), 2.5),
    (("NM",), 2),
    (("XA",), 2),
    (("MR", "SR"), 1.5),
    (("RF",), 1.5),
    (("OT", "SC"), 1),
    (("ES",), 0.9),
    (("PX",), 0.6),
    (("CT", "RTSTRUCT"), 0.5),
    (("IO",), 0.3),
    (("OP",), 0.18),
    (("ECG",), 0.02),
)
BODY_PARTS = ("CHEST", "ABDOMEN", "HEAD", "KNEE", "SPINE", "PELVIS", "HEART", "SHOULDER")
_DESCRIPTIONS = ("ROUTINE", "WITH CONTRAST", "WITHOUT CONTRAST", "FOLLOW UP", "EMERGENCY")


@dataclass(frozen=True, slots=True)
class Study:
    """One study; `number` counts from 1 in the order of arrival."""

    number: int
    institution: int
    uid: str
    day: str  # YYYYMMDD
    time: str  # HHMMSS
    patient_id: str
    surname: Name
    given: Name
    birth: str  # YYYYMMDD
    sex: str
    age: str  # AS
    referring: Name
    modalities: tuple[str, ...]
    body_part: str
    description: str

    @property
    def accession_number(self) -> str:
        return f"A{self.day[2:4]}{self.number:08d}"

    @property
    def study_id(self) -> str:
        return f"{self.number % 1_000_003}"

    @property
    def patient_name(self) -> str:
        return f"{self.surname.text}^{self.given.text}"


def _shares(weights: np.ndarray) -> np.ndarray:
    return np.cumsum(weights / weights.sum())


def _drawn(rng: np.random.Generator, shares: np.ndarray, size: int) -> np.ndarray:
    drawn = np.searchsorted(shares, rng.random(size), side="right")
    return np.minimum(drawn, len(shares) - 1)


@lru_cache(maxsize=_DAYS)
def _day(number: int) -> str:
    return (_FIRST_DAY + timedelta(days=number)).strftime("%Y%m%d")


def institution_shares() -> np.ndarray:
    """The share of the studies that each institution has, those with lower ids added."""
    return _shares(1.0 / (np.arange(INSTITUTIONS) + 1 + _FLATTEN_SIZES))


class Population:
    """All studies of a database.

    `series` of each study, `instances` of each series. What lies below the last `real` studies is
    whole; below the others, series and instances have documents that many share, without UIDs and
    times, and metadata of a few bytes.
    """

    def __init__(
        self, studies: int, *, seed: int, series: int = 2, instances: int = 1, real: int = REAL
    ) -> None:
        self.studies, self.seed, self.real = studies, seed, real
        self.series, self.instances = series, instances
        self._surnames, self._given, self._physicians = surnames(), given_names(), physicians()
        rng = np.random.default_rng([seed, studies])
        self.patients = max(1, studies // _STUDIES_A_PATIENT)
        self._institution = _drawn(rng, institution_shares(), self.patients).astype(np.uint8) + 1
        ranks = 1.0 / (np.arange(SURNAMES) + 1 + FLATTEN)
        self._surname = _drawn(rng, _shares(ranks), self.patients).astype(np.uint16)
        self._sex = rng.integers(0, 2, self.patients, dtype=np.uint8)
        # The product of two draws: the first of a list are the commonest.
        lot = rng.random(self.patients, dtype=np.float32)
        lot *= rng.random(self.patients, dtype=np.float32)
        self._given_name = (lot * 50).astype(np.uint8)
        self._born = rng.integers(365 * 5, 365 * 85, self.patients, dtype=np.uint16)

    @property
    def chunks(self) -> int:
        """How many there are of `CHUNK` studies each."""
        return -(-self.studies // CHUNK)

    def is_real(self, study: Study) -> bool:
        """Whether what lies below `study` is whole."""
        return study.number > self.studies - self.real

    def chunk(self, which: int) -> Iterator[Study]:
        """The studies of one chunk, in the order of their numbers."""
        first = which * CHUNK
        size = min(CHUNK, self.studies - first)
        rng = np.random.default_rng([self.seed, self.studies, which])
        patients = rng.integers(0, self.patients, size)
        moments = (np.arange(first, first + size) + rng.random(size)) / self.studies * _DAYS
        late = rng.random(size) < _OUT_OF_ORDER
        moments[late] *= rng.random(int(late.sum()))
        shares = _shares(np.array([share for _, share in COMBINATIONS]))
        drawn = zip(
            range(first + 1, first + size + 1),
            patients.tolist(),
            moments.tolist(),
            _drawn(rng, shares, size).tolist(),
            rng.integers(0, PHYSICIANS // INSTITUTIONS, size).tolist(),
            rng.integers(0, len(BODY_PARTS), size).tolist(),
            rng.integers(0, len(_DESCRIPTIONS), size).tolist(),
            self._institution[patients].tolist(),
            self._surname[patients].tolist(),
            self._sex[patients].tolist(),
            self._given_name[patients].tolist(),
            self._born[patients].tolist(),
            strict=True,
        )
        for n, patient, moment, how, by, part, why, where, surname, sex, given, born in drawn:
            number = int(moment)
            day, seconds = _day(number), _OPENS + int((moment - number) * _OPEN)
            time = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
            modalities = COMBINATIONS[how][0]
            yield Study(
                n,
                where,
                f"1.2.840.113619.2.{54 + where}.{n * 2654435761 % 2**32}.{day}.{time}",
                day,
                time,
                f"P{patient * 7919 % 10_000_019:08d}",
                self._surnames[surname],
                self._given[sex][given],
                _day_of_birth(born),
                "FM"[sex],
                f"{max(0, number + 365 * 78 - born) // 365:03d}Y",
                self._physicians[(where - 1) * (PHYSICIANS // INSTITUTIONS) + by],
                modalities,
                BODY_PARTS[part],
                f"{modalities[0]} {BODY_PARTS[part]} {_DESCRIPTIONS[why]}",
            )


@lru_cache(maxsize=366 * 100)
def _day_of_birth(number: int) -> str:
    return (date(1930, 1, 1) + timedelta(days=number)).strftime("%Y%m%d")
