#pragma once
// Brings the station's model up to date: asks the hub, fetches, verifies, tests, swaps, and takes back what fails.
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "inference/edge/download/downloader.hpp"
#include "inference/edge/station/journal.hpp"
#include "inference/edge/station/model_runner.hpp"
#include "inference/edge/station/release.hpp"
#include "inference/edge/station/slots.hpp"
#include "inference/edge/station/update_state.hpp"

namespace zonda::edge {

/// How the agent stands, for people and for the hub.
struct UpdateSummary {
  UpdateState state = UpdateState::idle;
  std::optional<Release> release;  ///< that serves
  std::optional<Slot> slot;        ///< it serves from
  bool on_trial = false;           ///< no forecast was made with it yet
  std::string problem;             ///< of the last update, empty after a good one
  std::set<std::string> rejected;  ///< identities of releases that failed here
  std::optional<Release> failed;   ///< the release that was last refused here, until a newer one serves
  std::string failed_reason;
  int rollbacks = 0;           ///< since the program started
  double opening_seconds = 0;  ///< the model that serves: what it took to open it,
  double testing_seconds = 0;  ///< and to pass its self-test
  bool metadata_expired = false;
  bool hub_reached = false;  ///< by the last poll, with metadata that can be trusted
};

/// Folders below `root`: `content/` (ContentStore), `models/` (Slots), `journal`, `rejected.json`. One thread.
class UpdateAgent {
 public:
  struct Parts {
    Hub& hub;
    Transport& transport;
    Clock& clock;
    OpenModel open;
    /// Called often during long work: tells a watchdog that the agent is alive.
    std::function<void()> heartbeat = {};
    /// Looked at during long work; what is broken off goes on at the next poll.
    std::function<bool()> cancelled = {};
    /// Called of a bundle as soon as its files are there and verified.
    PrepareModel prepare = {};
  };
  UpdateAgent(std::filesystem::path root, std::string station, DownloadPolicy policy, Parts parts);

  /// After a start: opens and tests the model that serves; where that fails, the one of the other slot. Never throws
  /// for what it finds: a station without a model waits for one.
  void recover();
  /// One update from asking to serving or settling. Never throws for what the hub, the link or a release do; the
  /// summary tells. Throws Error(failure) where the station's own disk fails.
  void poll(Time now);
  /// What the first forecast with a new model was like. A bad one brings the model before back.
  void judge_trial(bool good, const std::string& reason, Time now);

  std::shared_ptr<ModelRunner> model() const { return model_; }
  const UpdateSummary& summary() const { return summary_; }
  /// Of the last poll that reached the hub.
  const Assignment& assignment() const { return assignment_; }
  ContentStore& store() { return store_; }
  const Slots& slots() const { return slots_; }
  /// Contents of both slots and of an update that is under way.
  std::set<std::string> referenced() const;

 private:
  UpdateEvent act();
  UpdateEvent ask();
  UpdateEvent download();
  UpdateEvent verify();
  UpdateEvent self_test();
  UpdateEvent swap();
  UpdateEvent settle();
  void advance(UpdateEvent event);
  bool open_slot(Slot slot);
  std::shared_ptr<ModelRunner> open_and_test(Slot slot);
  void reject(const Release& release, const std::string& reason);
  void read_rejected();
  void beat() const;

  const std::filesystem::path root_;
  Parts parts_;
  ContentStore store_;
  Slots slots_;
  Journal journal_;
  Downloader downloader_;
  std::shared_ptr<ModelRunner> model_, candidate_;
  std::optional<Release> wanted_;
  Assignment assignment_;
  UpdateSummary summary_;
  bool trial_failed_ = false;  ///< what is rolled back has served
  Time now_{};
};

}  // namespace zonda::edge
