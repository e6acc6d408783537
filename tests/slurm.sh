#!/bin/sh
# Start a Slurm cluster of one node on this machine, for tests: `slurm.sh FOLDER`, as root.
# `slurm.sh FOLDER stop` ends it. The node's jobs find it through /etc/slurm/slurm.conf.
set -eu
folder=$(realpath "$1")
if [ "${2:-start}" = stop ]; then
  for name in slurmd slurmctld munged; do kill "$(cat "$folder/$name.pid")"; done
  rm /etc/slurm/slurm.conf
  exit
fi
mkdir -p "$folder/state" "$folder/spool" /etc/slurm
head -c 1024 /dev/urandom > "$folder/munge.key"
chmod 600 "$folder/munge.key"
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
  --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
cat > "$folder/slurm.conf" <<EOF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=1000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
ln -s "$folder/slurm.conf" /etc/slurm/slurm.conf
slurmctld
slurmd
