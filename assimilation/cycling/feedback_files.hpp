#pragma once
// What each observation of a cycle did, one file a cycle.
#include <filesystem>

#include "assimilation/cycling/cycle_config.hpp"
#include "ingest/observations/observation_table.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

class FeedbackFiles {
 public:
  FeedbackFiles(const FeedbackConfig& config, std::filesystem::path folder, parallel::Communicator communicator)
      : config_(config), folder_(std::move(folder)), communicator_(std::move(communicator)) {}
  bool wanted() const { return config_.write; }
  /// feedback_TIME.h5 (ingest::write_ioda), of all entries of the cycle's table, used or not, which every rank holds;
  /// each writes its share of the locations. Then the oldest files go. Collective.
  void write(Time time, const ingest::ObservationTable& table) const;
  void remove_all() const;

 private:
  FeedbackConfig config_;
  std::filesystem::path folder_;
  parallel::Communicator communicator_;
};

}  // namespace zonda::assimilation
