#!/usr/bin/env bash
# slurmbox.sh up|down|kill-node|start-node FOLDER [NODE]: a private Slurm cluster for tests: munge, slurmctld and two slurmd (n1, n2)
# on ports of this machine. Everything lives in FOLDER; nothing outside of it is written. Needs root, as slurmd does.
#
#   up           starts it; then `export SLURM_CONF=FOLDER/slurm.conf`
#   down         ends it and every process it started
#   kill-node    SIGKILL for NODE's slurmd, its job steps and their ranks, as if the machine were gone
#   start-node   starts NODE again
#
# Environment: SLURMBOX_PORT, the first of three ports (17400); SLURMBOX_REQUEUE_EXIT=75 sets RequeueExit; SLURMBOX_OWNER, a process
# that the cluster does not outlive.
set -euo pipefail
verb=${1:?up, down, kill-node or start-node}
box=$(readlink -m "${2:?folder}")
node=${3:-}
port=${SLURMBOX_PORT:-17400}
export SLURM_CONF=$box/slurm.conf

# The slurmstepd on a node of this cluster, then the scripts and ranks below each. In this order they are killed: a slurmstepd that
# outlives its ranks tells the controller of their end, which a lost node does not.
steps_of() {
  local processes
  processes=$(grep -lzFx "SLURMD_NODENAME=$1" /proc/[0-9]*/environ 2>/dev/null | xargs -r grep -lzFx "SLURM_CONF=$SLURM_CONF" 2>/dev/null |
    cut -d/ -f3) || true
  # shellcheck disable=SC2086
  if [ -n "$processes" ]; then
    ps -o pid=,comm= --pid "$(ps -o ppid= --pid "$(echo $processes | tr ' ' ,)" | xargs | tr ' ' ,)" | awk '$2 == "slurmstepd" { print $1 }' || true
    echo $processes
  fi
}

start_node() {
  mkdir -p "$box/$1" "$box/tmp-$1" # PMIx keeps a folder for each node in the latter
  slurmd -N "$1" -f "$SLURM_CONF"
}

write_configuration() {
  cat >"$SLURM_CONF" <<END
ClusterName=slurmbox
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$box/munge.socket,cred_expire=5
StateSaveLocation=$box/controller
SlurmctldPidFile=$box/slurmctld.pid
SlurmctldLogFile=$box/slurmctld.log
SlurmdPidFile=$box/slurmd-%n.pid
SlurmdLogFile=$box/slurmd-%n.log
SlurmdSpoolDir=$box/%n
TmpFS=$box/tmp-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MailProg=/bin/true
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,requeue_setup_env_fail
SlurmctldTimeout=30
SlurmdTimeout=8
InactiveLimit=0
KillWait=5
MinJobAge=3600
JobRequeue=1
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
${SLURMBOX_REQUEUE_EXIT:+RequeueExit=$SLURMBOX_REQUEUE_EXIT}
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=4 RealMemory=8000
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=4 RealMemory=8000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=1-0 State=UP
END
}

up() {
  mkdir -p "$box/controller"
  chmod 755 "$box"
  dd if=/dev/urandom of="$box/munge.key" bs=1024 count=1 status=none
  chmod 400 "$box/munge.key"
  munged --force --key-file="$box/munge.key" --socket="$box/munge.socket" --pid-file="$box/munged.pid" \
    --log-file="$box/munged.log" --seed-file="$box/munge.seed"
  write_configuration
  slurmctld -f "$SLURM_CONF"
  start_node n1
  start_node n2
  if [ -n "${SLURMBOX_OWNER:-}" ]; then
    setsid "$0" guard "$box" </dev/null >/dev/null 2>&1 &
  fi
  for _ in $(seq 300); do
    if [ "$(sinfo --noheader --Node --states=idle --format=%N 2>/dev/null | sort -u | wc -l)" -eq 2 ]; then return; fi
    sleep 0.2
  done
  return 1
}

daemons() {
  local file pid
  for file in "$box"/slurmd-*.pid "$box/slurmctld.pid" "$box/munged.pid"; do
    if [ -s "$file" ] && pid=$(cat "$file") && grep -qF "$box/" "/proc/$pid/cmdline" 2>/dev/null; then echo "$pid"; fi
  done
}

down() {
  # shellcheck disable=SC2046
  kill -KILL $(steps_of n1) $(steps_of n2) 2>/dev/null || true
  # shellcheck disable=SC2046
  kill $(daemons) 2>/dev/null || true
  for _ in $(seq 50); do
    if [ -z "$(daemons)" ]; then return; fi
    sleep 0.1
  done
  # shellcheck disable=SC2046
  kill -KILL $(daemons) 2>/dev/null || true
}

kill_node() {
  # shellcheck disable=SC2046
  kill -KILL "$(cat "$box/slurmd-$1.pid")" $(steps_of "$1") 2>/dev/null || true
  rm -f "$box/slurmd-$1.pid"
}

case $verb in
up)
  trap 'tail -n 20 "$box"/*.log >&2; down' EXIT
  up
  trap - EXIT
  ;;
down) down ;;
guard) # of `up` alone
  while kill -0 "$SLURMBOX_OWNER" 2>/dev/null && [ -e "$SLURM_CONF" ]; do sleep 1; done
  down
  ;;
kill-node) kill_node "${node:?node}" ;;
start-node) start_node "${node:?node}" ;;
*)
  echo "unknown: $verb" >&2
  exit 2
  ;;
esac
