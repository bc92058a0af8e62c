#include "assimilation/cycling/feedback_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "ingest/observations/files/ioda_store.hpp"

namespace zonda::assimilation {

namespace fs = std::filesystem;

void FeedbackFiles::write(Time time, const ingest::ObservationTable& table) const {
  if (communicator_.is_root()) {
    fs::create_directories(folder_);
    for (const auto& entry : fs::directory_iterator(folder_))  // what a kill left
      if (entry.path().extension() != ".h5") fs::remove(entry.path());
  }
  communicator_.barrier();
  ingest::write_ioda(folder_ / fmt::format("feedback_{}.h5", compact(time)),
                     ingest::own_locations(table, communicator_), communicator_);
  if (!communicator_.is_root() || config_.keep == 0) return;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder_))
    if (entry.path().filename().string().starts_with("feedback_") && entry.path().extension() == ".h5")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  const auto kept = static_cast<std::size_t>(config_.keep);
  for (std::size_t i = 0; i + kept < files.size(); ++i) fs::remove(files[i]);
}

void FeedbackFiles::remove_all() const {
  if (communicator_.is_root()) fs::remove_all(folder_);
  communicator_.barrier();
}

}  // namespace zonda::assimilation
