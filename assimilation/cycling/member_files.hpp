#pragma once
// The members of an ensemble in a folder, and the record that makes it valid.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "assimilation/ensemble/ensemble.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// Of the truth, beside the members.
constexpr const char* truth_name = "truth.state";

/// What a cycle carries on besides its members, on the root; empty where there is nothing.
struct CarriedStates {
  ConstView truth;
  ConstView learned;     ///< AnalysisMethod::learned()
  ConstView mean_error;  ///< of the model, where cycles learn it
};

class MemberFiles {
 public:
  MemberFiles(std::filesystem::path root, const AtmosphereModel& model, parallel::Communicator communicator);
  std::filesystem::path folder(Time time) const;

  /// Each rank its members; then, when all are there, the root what is carried and `record`. Then all but the
  /// last `keep` folders go (0: none). Collective.
  void write(Time time, const Ensemble& ensemble, const CarriedStates& carried, const nlohmann::ordered_json& record,
             std::size_t keep) const;
  /// The last time with a record; none where there is none.
  std::optional<Time> last() const;
  nlohmann::ordered_json record(Time time) const;
  void read(Time time, Ensemble& ensemble) const;
  Vector read_truth(Time time) const;
  Vector read_learned(Time time, std::size_t size) const;
  Vector read_mean_error(Time time, std::size_t size) const;
  void remove_all() const;

 private:
  std::filesystem::path root_;
  std::string identity_;
  std::size_t state_size_;
  parallel::Communicator communicator_;
};

/// Own members from `folder`. Throws Error(data) naming a file that is missing or of another model, grid or time.
void read_members(const std::filesystem::path& folder, const std::string& identity, Time time, Ensemble& ensemble);

}  // namespace zonda::assimilation
