"""The README's tour, run as it stands there."""

import json
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.make import ct_instance
from tests.running import ROOT, RunningServer
from tests.web.asking import new_uid

TOUR = re.compile(r"<!-- tour -->\n```sh\n(.*?)```\n<!-- /tour -->", re.DOTALL)


def test_the_tour_works_as_it_is_written(server: RunningServer, tmp_path: Path) -> None:
    assert shutil.which("curl"), "the tour needs curl"
    found = TOUR.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    base, *lines = found[1].splitlines()
    assert base == "BASE=http://127.0.0.1:8080/dicomweb"
    assert len([line for line in lines if line.startswith("curl")]) == 5
    file = ct_instance(study_uid=new_uid(), series_uid=new_uid(), sop_uid=new_uid())
    (tmp_path / "image.dcm").write_bytes(file)

    script = "\n".join(["set -eu", f"BASE={server.base}", *lines])
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, timeout=60)

    assert "00081199" in json.loads((tmp_path / "stored.json").read_text())
    [instance] = json.loads((tmp_path / "found.json").read_text())
    [metadata] = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["00080018"] == instance["00080018"]
    assert (tmp_path / "frame.multipart").read_bytes().startswith(b"--")
    assert Image.open(BytesIO((tmp_path / "image.jpg").read_bytes())).format == "JPEG"
