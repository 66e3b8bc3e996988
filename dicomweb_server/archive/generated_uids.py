"""UIDs for posted data sets that lack them (STOW-17): the same for those that belong together."""

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID, uuid4

from dicomweb_server.dicom import completion
from dicomweb_server.dicom.completion import Belonging, digest_of


class GeneratedUids:
    """Those of one request. Holds two UUIDs a data set at the most."""

    def __init__(self, study_instance_uid: str | None) -> None:
        """`study_instance_uid`: that of the request's URL, which data sets without one get."""
        self._target = None if study_instance_uid is None else digest_of(study_instance_uid)
        self._studies: defaultdict[bytes, UUID] = defaultdict(uuid4)
        self._series: defaultdict[tuple[bytes, bytes], UUID] = defaultdict(uuid4)

    def of(self, belonging: Belonging) -> Mapping[int, UUID]:
        """By their tags the UIDs that one data set gets where it has none.

        One study for each patient, and one without Patient ID has a study of its own: two
        patients never come to be one. One series for each Modality and Series Number of a study.
        """
        study = uuid4() if belonging.patient is None else self._studies[belonging.patient]
        # Of which study it will be: as it says, as the URL says, or as generated.
        place = belonging.study or self._target or study.bytes
        return {
            completion.STUDY: study,
            completion.SERIES: self._series[place, belonging.series],
            completion.SOP_INSTANCE: uuid4(),
        }
