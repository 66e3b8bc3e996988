"""What tests are told of the server they run."""

import json
from pathlib import Path

from tests.running import RunningServer


def test_a_line_that_is_being_written_is_not_read_in_part(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data")
    first, second = (json.dumps({"event": "request", "status": number}) for number in (1, 22))
    server.log.write_text(f"of another program\n{first}\n{second[:-2]}")
    read = server.written()
    assert read.decode() == f"of another program\n{first}\n"
    assert server.logged() == [json.loads(first)]

    with server.log.open("a") as log:
        log.write(second[-2:])
    assert server.written(len(read)) == b""
    with server.log.open("a") as log:
        log.write("\n")
    assert server.logged(len(read)) == [json.loads(second)]
