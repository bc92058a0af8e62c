#include "parallel/mpi_session.hpp"

#include <mpi.h>

#include <cstdlib>
#include <exception>
#include <string>

#include "core/error.hpp"
#include "parallel/transport.hpp"

namespace zonda::parallel {
namespace {

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

/// The tasks of this Slurm job step; 1 outside of one (a batch script has a SLURM_PROCID, but no step of its own).
long slurm_tasks() {
  const char* tasks = environment("SLURM_STEP_NUM_TASKS");
  return environment("SLURM_PROCID") && tasks ? std::strtol(tasks, nullptr, 10) : 1;
}

bool launched_as_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"})
    if (environment(name)) return true;
  return slurm_tasks() > 1;
}

}  // namespace

MpiSession::MpiSession(int& argc, char**& argv) {
  int running = 0;
  MPI_Initialized(&running);
  if (running == 0) {
    if (!launched_as_rank()) return;
    int provided = MPI_THREAD_SINGLE;
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS)
      fail(ErrorKind::temporary, "MPI did not start");
    started_ = true;
    if (provided < MPI_THREAD_MULTIPLE)
      fail(ErrorKind::usage, "this MPI library gives thread level {}, Zonda needs MPI_THREAD_MULTIPLE ({})", provided,
           MPI_THREAD_MULTIPLE);
  }
  // Errors of collectives come up here, whatever their communicator; they shall become exceptions.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  world_ = Communicator(make_mpi_world());
  // srun without a process manager that this MPI knows starts every task as a world of its own, all writing the same
  // files.
  if (world_.size() == 1 && slurm_tasks() > 1)
    fail(ErrorKind::usage, "srun started {} tasks, but MPI sees one: use `srun --mpi=pmix` or mpirun", slurm_tasks());
}

MpiSession::~MpiSession() {
  if (!started_) return;
  // Leaving through an exception: the other ranks may wait for this one, and MPI_Finalize would wait for them.
  if (std::uncaught_exceptions() > 0) MPI_Abort(MPI_COMM_WORLD, static_cast<int>(ErrorKind::failure));
  world_ = Communicator::self();
  MPI_Finalize();
}

void MpiSession::abort(int exit_code) {
  int running = 0;
  MPI_Initialized(&running);
  if (running != 0 && world_.size() > 1) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace zonda::parallel
