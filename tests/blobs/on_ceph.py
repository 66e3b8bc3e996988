"""The tests of the blob stores on Ceph's S3 server, which is nothing like moto.

``python -m tests.blobs.on_ceph [PYTEST ARGUMENTS]`` starts one monitor, one OSD that keeps
everything in memory, and one RADOS gateway, on loopback and in a scratch folder; then pytest
with TEST_S3_*; and stops them, whatever happens. Its status is that of pytest.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import httpx

from dicomweb_server.index.cluster import signal_at_death_of
from tests.running import ROOT, free_port
from tests.s3 import KMS_KEY

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
PACKAGES = "ceph-common ceph-mon ceph-osd radosgw"
STEP_SECONDS = 60

# The monitor leaves without a word where a twentieth or less of its disk is free (its default
# of mon_data_avail_crit), though it needs some megabytes only.
CONF = """\
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = v1:127.0.0.1:{monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
mon_allow_pool_size_one = true
mon_data_avail_crit = 0
mon_max_pg_per_osd = 1000
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 2147483648
mon_data = {folder}/mon
osd_data = {folder}/osd
run_dir = {folder}
log_file = {folder}/$name.log
admin_socket = {folder}/$name.asok
pid_file = {folder}/$name.pid
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{gateway}
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = {kms_key}={secret}
"""


class Ceph:
    """A cluster of three processes below one folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._fsid = str(uuid.uuid4())
        self._monitor, self._gateway = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._gateway}"
        self.key, self.secret = "testkey", "testsecret"

    def start(self) -> None:
        """Make the cluster and wait until the gateway answers. Raises SystemExit."""
        secret = b64encode(os.urandom(32)).decode()
        conf = CONF.format(
            fsid=self._fsid,
            folder=self._folder,
            monitor=self._monitor,
            gateway=self._gateway,
            kms_key=KMS_KEY,
            secret=secret,
        )
        (self._folder / "ceph.conf").write_text(conf)
        for name in ("mon", "osd"):
            (self._folder / name).mkdir()
        address = f"v1:127.0.0.1:{self._monitor}"
        self._do("monmaptool", "--create", "--addv", "a", address, "--fsid", self._fsid, "monmap")
        self._do("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap")
        self._begin("ceph-mon", "-i", "a", "-f")
        osd = str(uuid.uuid4())
        self._do("ceph", "osd", "new", osd)
        self._do("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._begin_osd()
        user = ("--uid=tests", "--display-name=tests")
        keys = (f"--access-key={self.key}", f"--secret-key={self.secret}")
        self._do("radosgw-admin", "user", "create", *user, *keys)
        gateway = self._begin("radosgw", "-n", "client.rgw", "-f")
        self._wait(gateway)

    def _command(self, program: str, *args: str) -> list[str]:
        conf = [] if program == "monmaptool" else ["-c", "ceph.conf"]
        return [program, *conf, *args]

    def _do(self, program: str, *args: str) -> None:
        with (self._folder / f"{program}.said").open("wb") as said:
            try:
                subprocess.run(
                    self._command(program, *args),
                    cwd=self._folder,
                    stdout=said,
                    stderr=said,
                    timeout=STEP_SECONDS,
                    check=True,
                )
            except subprocess.SubprocessError as error:
                self._give_up(f"{program} {args[0]}: {type(error).__name__}")

    def _give_up(self, why: str) -> NoReturn:
        """Leave with the last words of all programs, on their terminals and in their logs."""
        for file in sorted([*self._folder.glob("*.said"), *self._folder.glob("*.log")]):
            print(f"--- {file.name}\n{file.read_text(errors='replace')[-2000:]}", file=sys.stderr)
        sys.exit(why)

    def _begin(self, program: str, *args: str) -> "subprocess.Popen[bytes]":
        with (self._folder / f"{program}.said").open("ab") as said:
            process = subprocess.Popen(
                self._command(program, *args),
                cwd=self._folder,
                stdout=said,
                stderr=said,
                preexec_fn=signal_at_death_of(os.getpid(), signal.SIGKILL),
            )
        self._stack.callback(_stop, process)
        return process

    def _begin_osd(self) -> None:
        """Start the OSD, again if need be: it may speak to the monitor before it has heard the
        cluster's fsid, is told that it has a wrong one, and leaves."""
        for _ in range(5):
            osd = self._begin("ceph-osd", "-i", "0", "-f")
            deadline = time.monotonic() + STEP_SECONDS
            while time.monotonic() < deadline and osd.poll() is None:
                self._do("ceph", "osd", "stat", "--format=json")
                if b'"num_up_osds":1' in (self._folder / "ceph.said").read_bytes():
                    return
        self._give_up("the OSD does not start")

    def _wait(self, gateway: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline and gateway.poll() is None:
            try:
                if httpx.get(self.url, timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self._give_up("the gateway does not answer")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:  # what it keeps is in memory only
        process.kill()
        process.wait()


def main() -> int:
    """Run pytest beside a cluster; gives its exit status."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        print(f"Missing: {', '.join(missing)}. On Debian, as root:", file=sys.stderr)
        print(f"apt-get install --no-install-recommends {PACKAGES}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the cluster is stopped too
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ceph-"))
        ceph = Ceph(Path(folder), stack)
        began = time.monotonic()
        ceph.start()
        print(f"Ceph is running ({time.monotonic() - began:.0f} s)", flush=True)
        tests = subprocess.run(
            [sys.executable, "-m", "pytest", "tests/blobs", "-k", "not filesystem", *sys.argv[1:]],
            cwd=ROOT,
            env={
                **os.environ,
                "TEST_S3_ENDPOINT_URL": ceph.url,
                "TEST_S3_ACCESS_KEY_ID": ceph.key,
                "TEST_S3_SECRET_ACCESS_KEY": ceph.secret,
            },
            check=False,
        )
        return tests.returncode


if __name__ == "__main__":
    sys.exit(main())
