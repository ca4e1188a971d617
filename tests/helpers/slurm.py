"""A real SLURM on this machine alone, in a second: munged, slurmctld and a slurmd for each of two nodes, all of them on
127.0.0.1, every file under one short folder (paths of Unix sockets are 107 characters long at most). Needs root, and
Debian's slurm-wlm and munge. GPUs are copies of /dev/null, so that jobs are given CUDA_VISIBLE_DEVICES.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun")
NODES = ("n1", "n2")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,nohold_on_prolog_fail
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=3
MinJobAge=3600
JobRequeue=1
GresTypes=gpu
AccountingStorageType=accounting_storage/none
PartitionName=main Nodes=ALL Default=YES MaxTime=60
"""


def missing() -> str:
    """Why there can be no SLURM here; empty where there can."""
    if os.getuid() != 0:
        return "SLURM's daemons are started by root alone"
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    return f"{', '.join(lacking)} not installed (slurm-wlm, munge)" if lacking else ""


class Slurm:
    """Started when made; `stop` ends all that it started."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="slurm.", dir="/tmp"))
        os.chmod(self.folder, 0o755)
        (self.folder / "state").mkdir()
        port, conf = _free_ports(2 + len(NODES)), self.folder / "slurm.conf"
        text = CONF.format(host=socket.gethostname().split(".")[0], port=port, folder=self.folder)
        for number, name in enumerate(NODES):
            place = f"NodeHostname={socket.gethostname().split('.')[0]} NodeAddr=127.0.0.1 Port={port + 1 + number}"
            text += f"NodeName={name} {place} CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN\n"
        conf.write_text(text)
        for number in (0, 1):
            os.mknod(self.folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
        (self.folder / "gres.conf").write_text(f"NodeName=n[1-2] Name=gpu File={self.folder}/gpu[0-1]\n")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        os.chmod(key, 0o600)
        self.env = os.environ | {"SLURM_CONF": str(conf)}
        own = [f"--{what}-file={self.folder}/munged.{what}" for what in ("pid", "log", "seed")]
        self.run("munged", f"--key-file={key}", f"--socket={self.folder}/munge", "--force", *own)
        self.run("slurmctld")
        for name in NODES:
            self.start_node(name)
        self.wait(lambda: self.run("sinfo", "-h", "-o", "%t").split() == ["idle"])

    def run(self, *words: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0 or words[0] in ("sinfo", "scontrol"), done.stderr
        return done.stdout

    def wait(self, is_so, seconds: float = 60) -> None:
        """Until something is so."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, f"not so in {seconds} s"
            time.sleep(0.2)

    def jobs(self) -> dict[str, str]:
        """The state of each job and task that there was."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T").splitlines()
        return dict(line.split("|") for line in lines)

    def node_of(self, job: str) -> str:
        """Where a task runs."""
        lines = self.run("squeue", "-h", "-r", "-o", "%i|%N").splitlines()
        return dict(line.split("|") for line in lines)[job]

    def start_node(self, name: str) -> None:
        """Makes a node available."""
        self.run("slurmd", "-N", name)

    def kill_node(self, name: str) -> None:
        """A node dies with all that runs on it."""
        _kill(self.folder / f"slurmd-{name}.pid")
        steps = _pids(lambda files: f"{self.folder}/slurmd-{name}.log" in files)
        _kill_together([pid for step in steps for pid in _tree(step)])

    def stop(self) -> None:
        """Ends every job and daemon."""
        with suppress(AssertionError):
            self.run("scancel", "-u", "root")
        for name in NODES:
            self.kill_node(name)
        for name in ("slurmctld.pid", "munged.pid"):
            _kill(self.folder / name)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_ports(count: int) -> int:
    """The first of so many ports that nobody listens on."""
    for port in range(21000, 40000, count):
        with suppress(OSError):
            for number in range(port, port + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", number))
            return port
    raise AssertionError("no free ports")


def _kill(file: Path) -> None:
    with suppress(OSError, ValueError):
        os.kill(int(file.read_text()), signal.SIGKILL)
    file.unlink(missing_ok=True)


def _pids(is_wanted) -> list[int]:
    """slurmstepd processes, by the files that they hold open."""
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            if place.name.isdecimal() and (place / "comm").read_text().strip() == "slurmstepd":
                files = {os.readlink(link) for link in (place / "fd").iterdir()}
                found += [int(place.name)] if is_wanted(files) else []
    return found


def _tree(pid: int) -> list[int]:
    """A process and what it started, parents first."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(inner for child in children for inner in _tree(int(child)))]
    return []


def _kill_together(pids: list[int]) -> None:
    """None of them lives to tell that another died."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, number)
