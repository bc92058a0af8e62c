#!/usr/bin/env bash
# mpirun.sh RANKS PROGRAM [ARG ...]: runs a program on RANKS ranks of this machine, however few cores it has.
set -euo pipefail
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1 \
  OMPI_MCA_hwloc_base_binding_policy=none OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ranks=$1
shift
exec mpirun -n "$ranks" "$@"
