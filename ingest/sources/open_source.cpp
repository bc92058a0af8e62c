// The factory of sources: told apart by content.
#include <array>
#include <cstring>
#include <fstream>

#include "core/error.hpp"
#include "ingest/sources/cf_source.hpp"
#include "ingest/sources/grib_source.hpp"
#include "ingest/sources/merged_source.hpp"
#include "ingest/sources/netcdf_dataset.hpp"
#include "ingest/sources/zarr_dataset.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;

enum class Content { netcdf, grib, zarr, unknown };

bool is_hdf5(std::ifstream& file, std::uintmax_t size) {
  static constexpr std::array<char, 8> signature{'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  // The super-block stands at 0, 512, 1024, 2048, ... (HDF5 file format, section II.A).
  for (std::uintmax_t at = 0; at + 8 <= size && at <= (1u << 20); at = at == 0 ? 512 : 2 * at) {
    std::array<char, 8> found{};
    file.clear();
    file.seekg(static_cast<std::streamoff>(at));
    file.read(found.data(), found.size());
    if (file && found == signature) return true;
  }
  return false;
}

Content look_at(const fs::path& path) {
  if (fs::is_directory(path)) {
    for (const char* name : {".zmetadata", ".zgroup", ".zarray", "zarr.json"}) {
      if (fs::exists(path / name)) return Content::zarr;
    }
    return Content::unknown;
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::data, "{}: cannot be read", path.string());
  std::array<char, 1024> head{};
  file.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
  if (text.size() >= 4 && text.starts_with("CDF") && (text[3] == 1 || text[3] == 2 || text[3] == 5)) {
    return Content::netcdf;
  }
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (!error && is_hdf5(file, size)) return Content::netcdf;
  // A bulletin header may come first.
  if (text.find("GRIB") != std::string_view::npos) return Content::grib;
  return Content::unknown;
}

}  // namespace

std::unique_ptr<Source> open_source(const fs::path& path, const NameMapping& mapping) {
  std::error_code error;
  if (!fs::exists(path, error)) fail(ErrorKind::data, "{}: no such file or folder", path.string());
  switch (look_at(path)) {
    case Content::netcdf:
      return make_cf_source(open_netcdf(path), mapping);
    case Content::grib:
      return open_grib(path, mapping);
    case Content::zarr:
      return make_cf_source(open_zarr(path), mapping);
    case Content::unknown:
      break;
  }
  fail(ErrorKind::data, "{}: neither NetCDF, HDF5, GRIB nor a Zarr v2 folder, by its first bytes", path.string());
}

std::unique_ptr<Source> open_sources(const std::vector<fs::path>& paths, const NameMapping& mapping) {
  if (paths.empty()) fail(ErrorKind::data, "no file to read");
  std::vector<std::unique_ptr<Source>> sources;
  for (const fs::path& path : paths) sources.push_back(open_source(path, mapping));
  return merge_sources(std::move(sources));
}

}  // namespace zonda::ingest
