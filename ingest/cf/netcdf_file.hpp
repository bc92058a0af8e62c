#pragma once
// A NetCDF-4 file being written: thin calls with errors as zonda::Error. Seen by this folder's sources only.
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zonda::parallel {
class Communicator;
}

namespace zonda::ingest {

class NetcdfFile {
 public:
  /// Creates `path` (replacing it); messages name `shown`, the file's final name.
  NetcdfFile(const std::filesystem::path& path, std::filesystem::path shown);
  /// One file of all `ranks` (processes of MPI, else Error(usage)): every call below is collective, and definitions and
  /// coordinates are given alike by all.
  NetcdfFile(const std::filesystem::path& path, std::filesystem::path shown, const parallel::Communicator& ranks);
  ~NetcdfFile();
  NetcdfFile(const NetcdfFile&) = delete;
  NetcdfFile& operator=(const NetcdfFile&) = delete;

  static constexpr std::size_t unlimited = 0;
  static constexpr int global = -1;

  int dimension(const std::string& name, std::size_t length);
  int int_variable(const std::string& name, std::span<const int> dimensions);
  int double_variable(const std::string& name, std::span<const int> dimensions);
  /// Fields: chunked as told, shuffled and deflated (0 = not), `_FillValue` set.
  int field_variable(const std::string& name, std::span<const int> dimensions, std::span<const std::size_t> chunk,
                     int deflate, float fill_value);
  void attribute(int variable, const std::string& name, std::string_view text);
  void attribute(int variable, const std::string& name, int value);
  void attribute(int variable, const std::string& name, std::span<const double> values);
  void end_definitions();
  void put(int variable, std::span<const double> values);
  void put(int variable, int value);
  void put_at(int variable, std::span<const std::size_t> start, std::span<const std::size_t> count,
              std::span<const double> values);
  void put_at(int variable, std::span<const std::size_t> start, std::span<const std::size_t> count,
              std::span<const float> values);
  void close();

 private:
  void check(int status, std::string_view doing) const;
  std::filesystem::path shown_;
  int id_ = -1;
  bool shared_ = false;
};

}  // namespace zonda::ingest
