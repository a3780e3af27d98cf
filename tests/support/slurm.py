"""A real Slurm of two nodes on this machine, for the pages that submit jobs: Debian's slurmctld, slurmd and munge, started without systemd.

Each daemon keeps its state, log and process id below one temporary folder and ends with it. The nodes share this machine's processors and
listen at ports of their own on the loopback interface, so that the cluster also works in a network namespace. Needs root: slurmd does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from browser import apt_install

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # daemons lie where an ordinary user does not look
NEEDED = ("slurmctld", "slurmd", "sbatch", "scontrol", "sinfo", "munged", "mungekey")
START_SECONDS = 30

CONFIGURATION = """\
ClusterName=practice
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=6817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# Two nodes on two busy cores: no cgroups, no pinning, no accounting; a job waits no longer than it must.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Nodes as large as the page asks for, whatever this machine has.
SlurmdParameters=config_overrides
MpiDefault=none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,defer
KillWait=2
MinJobAge=3600
ReturnToService=2
SlurmdTimeout=300
MailProg=/bin/true
{nodes}
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=1-0 State=UP
"""


def missing() -> list[str]:
    """What a cluster needs and this machine lacks: programs by name, and `root`."""
    return [name for name in NEEDED if not shutil.which(name, path=PATH)] + (["root"] if os.geteuid() else [])


class Slurm:
    """Two nodes, up as soon as this is made. ``environment`` is what a shell needs to submit to them."""

    def __init__(self, folder: Path) -> None:
        if absent := missing():
            raise RuntimeError(f"no Slurm can be started here: {', '.join(absent)} missing. On Debian: make slurm")
        self.folder, self.processes = folder, []
        folder.chmod(0o755)
        for name in ("state", "spool-n1", "spool-n2", "munge"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        nodes = "\n".join(
            f"NodeName=n{n} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={17000 + n} CPUs=8 RealMemory=64000 Gres=gpu:8 State=UNKNOWN"
            for n in (1, 2)
        )
        self.config = folder / "slurm.conf"
        self.config.write_text(CONFIGURATION.format(host=socket.gethostname(), folder=folder, nodes=nodes))
        # Eight "GPUs" a node, for jobs that ask for some: files that stand for devices.
        for number in range(8):
            (folder / f"gpu{number}").touch()
        (folder / "gres.conf").write_text(f"NodeName=n[1-2] Name=gpu File={folder}/gpu[0-7]\n")
        self.environment = {"SLURM_CONF": str(self.config)}
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        # Slurm takes a machine that has only 127.0.0.1, such as a fresh network namespace, for one without a network.
        addresses = subprocess.run(["ip", "-4", "-o", "address"], capture_output=True, text=True, check=True).stdout
        if all(" 127." in line for line in addresses.splitlines()):
            subprocess.run(["ip", "address", "add", "10.0.0.1/32", "dev", "lo"], check=True, capture_output=True)
        key = self.folder / "munge" / "key"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True, capture_output=True, env=os.environ | {"PATH": PATH})
        self._run("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.folder / 'munge.socket'}",
                  f"--pid-file={self.folder / 'munged.pid'}", f"--log-file={self.folder / 'munged.log'}", f"--seed-file={self.folder / 'munge' / 'seed'}")
        self._until(lambda: (self.folder / "munge.socket").exists(), "munged")
        self._run("slurmctld", "-D", "-c", "-i")
        for node in ("n1", "n2"):
            self._run("slurmd", "-D", "-c", "-N", node)
        self._until(lambda: self._sinfo().split() == ["idle", "idle"], "the two nodes")

    def _run(self, program: str, *arguments: str) -> None:
        with open(self.folder / f"{program}.out", "ab") as log:
            self.processes.append(subprocess.Popen(
                [program, *arguments], env=os.environ | self.environment | {"PATH": PATH},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            ))

    def _sinfo(self) -> str:
        done = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], env=os.environ | self.environment, capture_output=True, text=True)
        return done.stdout

    def _until(self, ready, what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out")))
                raise RuntimeError(f"{what} did not come up in {START_SECONDS} s\n{logs}")
            time.sleep(0.2)

    def close(self) -> None:
        """End what runs: jobs first, then the daemons, each by its own process."""
        if len(self.processes) > 1:
            subprocess.run(["scancel", "--state=PENDING,RUNNING,SUSPENDED", "-u", "root"], env=os.environ | self.environment, capture_output=True, timeout=20)
            time.sleep(1)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self.processes.clear()


def main() -> int:
    """Install what is missing where that is possible; elsewhere the blocks that need a cluster are recorded as not run."""
    if missing() and not apt_install("slurmctld", "slurmd", "slurm-client", "munge", "iproute2"):
        print("No Slurm here: blocks that submit jobs are not run. To run them, as root on Debian or Ubuntu: "
              "apt-get install slurmctld slurmd slurm-client munge iproute2", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
