#pragma once
// A file of states of which every rank holds some rows: no rank ever holds a whole field.
#include <filesystem>
#include <memory>
#include <vector>

#include "core/state.hpp"
#include "ingest/cf/cf_writer.hpp"
#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::ingest {

/// How rows get into the file.
enum class SlabWriting {
  by_first_rank,  ///< slab after slab comes to the first rank: the bytes are those of one writer with whole states
  collective      ///< every rank writes its own (MPI): see CfWriter
};

/// A CfWriter of a group of ranks. Every call is collective, and what fails on one rank fails on all.
class SlabWriter {
 public:
  /// `rows`: of each rank, from north to south, together those of `grid`.
  SlabWriter(const std::filesystem::path& path, const Grid& grid, const std::vector<Channel>& channels,
             const CfOptions& options, const parallel::Communicator& ranks, std::vector<parallel::Range> rows,
             SlabWriting writing = SlabWriting::by_first_rank);
  /// `mine`: this rank's rows of the state.
  void write(const State& mine);
  void close();

 private:
  void write_own(const State& mine);
  void send(const State& mine) const;
  void write_all(const State& mine);

  parallel::Communicator ranks_;
  const std::vector<parallel::Range> rows_;
  const std::size_t columns_;
  const SlabWriting writing_;
  std::unique_ptr<CfWriter> writer_;  // where this rank writes
};

}  // namespace zonda::ingest
