#pragma once
// The NetCDF files of one member. A NetCDF file appears only when it is whole; the states of the one that is being
// written stand in a spool beside it (`.NAME.spool`, raw floats) from which a resumed run writes the same bytes again.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/state.hpp"
#include "ingest/cf/cf_writer.hpp"

namespace zonda::model {

class OutputFiles {
 public:
  OutputFiles(std::filesystem::path directory, Grid grid, std::vector<Channel> channels, ingest::CfOptions options);
  ~OutputFiles();
  OutputFiles(const OutputFiles&) = delete;
  OutputFiles& operator=(const OutputFiles&) = delete;

  /// Opens `name`; with `states` > 0 takes so many states, whose times are `times`, from its spool. Throws Error(data)
  /// if the spool is missing, short or does not have the checksum.
  void open(const std::string& name, const std::vector<Time>& times, std::uint32_t spool_checksum);
  bool is_open() const { return writer_ != nullptr; }
  const std::string& name() const { return name_; }
  std::int64_t states() const { return states_; }
  std::uint32_t spool_checksum() const { return checksum_; }
  void write(const State& state);
  /// The spool is on the disk when this returns.
  void sync();
  /// Puts the file in place. Its spool stays until remove_spool(), after the restart that no longer needs it.
  void close();
  void remove_spool();

 private:
  std::filesystem::path spool_path() const;
  std::filesystem::path directory_;
  Grid grid_;
  std::vector<Channel> channels_;
  ingest::CfOptions options_;
  std::string name_;
  std::unique_ptr<ingest::CfWriter> writer_;
  std::FILE* spool_ = nullptr;
  std::int64_t states_ = 0;
  std::uint32_t checksum_ = 0;
};

}  // namespace zonda::model
