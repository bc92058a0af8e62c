#pragma once
// MPI for the life of the program. Without mpirun/srun the world has one rank and MPI is not started.
#include "parallel/communicator.hpp"

namespace zonda::parallel {

class MpiSession {
 public:
  /// Starts MPI (thread level multiple) if this process was launched by mpirun, srun or the like; else a Self world.
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  const Communicator& world() const { return world_; }
  /// Ends all ranks at once with this exit code (after an error on one of them).
  [[noreturn]] void abort(int exit_code);

 private:
  bool started_ = false;
  Communicator world_ = Communicator::self();
};

}  // namespace zonda::parallel
