#include "model/dynamics/output_files.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "core/checksum.hpp"
#include "core/error.hpp"

namespace zonda::model {

OutputFiles::OutputFiles(std::filesystem::path directory, Grid grid, std::vector<Channel> channels,
                         ingest::CfOptions options)
    : directory_(std::move(directory)),
      grid_(std::move(grid)),
      channels_(std::move(channels)),
      options_(std::move(options)) {}

OutputFiles::~OutputFiles() {
  if (spool_) std::fclose(spool_);
}

std::filesystem::path OutputFiles::spool_path() const {
  return directory_ / ("." + name_ + ".spool");
}

void OutputFiles::open(const std::string& name, const std::vector<Time>& times, std::uint32_t spool_checksum) {
  name_ = name;
  states_ = 0;
  checksum_ = 0;
  writer_ = std::make_unique<ingest::CfWriter>(directory_ / name_, grid_, channels_, options_);
  const std::filesystem::path path = spool_path();
  spool_ = std::fopen(path.c_str(), times.empty() ? "wb" : "r+b");
  if (!spool_)
    fail(times.empty() ? ErrorKind::failure : ErrorKind::data, "cannot open {}, the states of {} so far: {}",
         path.string(), name_, std::strerror(errno));
  for (const Time time : times) {
    State state(grid_, channels_, time);
    if (std::fread(state.values.data(), sizeof(float), state.values.size(), spool_) != state.values.size())
      fail(ErrorKind::data, "{} holds {} states; the restart needs {}", path.string(), states_, times.size());
    checksum_ = crc32c(std::as_bytes(std::span(state.values)), checksum_);
    writer_->write(state);
    ++states_;
  }
  if (times.empty()) return;
  if (checksum_ != spool_checksum)
    fail(ErrorKind::data, "{} is damaged: its checksum does not fit the restart's", path.string());
  // What stands behind belongs to steps that will be done again.
  const long end = std::ftell(spool_);
  if (end < 0 || ::ftruncate(::fileno(spool_), end) != 0 || std::fseek(spool_, end, SEEK_SET) != 0)
    fail(ErrorKind::failure, "cannot shorten {}: {}", path.string(), std::strerror(errno));
}

void OutputFiles::write(const State& state) {
  if (std::fwrite(state.values.data(), sizeof(float), state.values.size(), spool_) != state.values.size())
    fail(ErrorKind::failure, "cannot write {}: {}", spool_path().string(), std::strerror(errno));
  checksum_ = crc32c(std::as_bytes(std::span(state.values)), checksum_);
  writer_->write(state);
  ++states_;
}

void OutputFiles::sync() {
  if (spool_ && (std::fflush(spool_) != 0 || ::fsync(::fileno(spool_)) != 0))
    fail(ErrorKind::failure, "cannot write {}: {}", spool_path().string(), std::strerror(errno));
}

void OutputFiles::close() {
  writer_->close();
  writer_.reset();
  std::fclose(spool_);
  spool_ = nullptr;
  states_ = 0;
  checksum_ = 0;
}

void OutputFiles::remove_spool() {
  std::error_code ignored;
  std::filesystem::remove(spool_path(), ignored);
}

}  // namespace zonda::model
