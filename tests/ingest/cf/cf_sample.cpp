// Writes one file of every shape CfWriter knows into a folder, for the outside judges of tests/peers/cf_file.py.
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/cf/cf_writer.hpp"

namespace {

using namespace zonda;

void write(const std::filesystem::path& path, const Grid& grid, std::initializer_list<const char*> names,
           const ingest::CfOptions& options) {
  std::vector<Channel> channels;
  for (const char* name : names) channels.push_back(parse_channel(name));
  const Time first = parse_time("2018-10-06T18");
  const Philox random(1, "sample");
  ingest::CfWriter writer(path, grid, channels, options);
  for (int step = 1; step <= 3; ++step) {
    State state(grid, channels, first + std::chrono::hours(6 * step));
    for (std::size_t c = 0; c < channels.size(); ++c) {
      const Variable& info = channels[c].info();
      const double middle = 0.5 * (info.valid_min + info.valid_max), width = 0.2 * (info.valid_max - info.valid_min);
      for (std::size_t k = 0; k < grid.size(); ++k) {
        const double x = middle + width * (random.uniform(k + grid.size() * c) - 0.5) + 0.01 * width * step;
        state.field(c)[k] = static_cast<float>(x);
      }
      if (info.short_name == "sst") state.field(c)[grid.size() / 2] = std::nanf("");
    }
    writer.write(state);
  }
  writer.close();
}

}  // namespace

int main(int count, char** words) try {
  if (count != 2) fail(ErrorKind::usage, "usage: cf_sample FOLDER");
  const std::filesystem::path folder = words[1];
  ingest::CfOptions forecast;
  forecast.title = "Sample forecast";
  forecast.institution = "Zonda tests";
  forecast.reference_time = parse_time("2018-10-06T18");
  forecast.realization = 2;
  ingest::CfOptions plain;
  plain.accumulation = std::chrono::hours(6);
  ingest::CfOptions rounded;
  rounded.keep_bits = 10;
  write(folder / "forecast.nc", Grid::latlon(19, 36, true),
        {"z500", "z850", "t850", "t500", "2t", "10u", "10v", "msl", "lsm"}, forecast);
  write(folder / "gaussian.nc", Grid::gaussian(48, 96), {"z500", "t500", "t850", "sp", "orog"}, forecast);
  write(folder / "regional.nc", Grid::regional(60, 25, 71, 350, 40, 101), {"msl", "tp", "sst"}, plain);
  write(folder / "no_poles.nc", Grid::latlon(32, 64, false, 180), {"u500", "v500", "u250", "v250"}, rounded);
  const std::string size = "projected 900000..-900000x19 -1100000..1100000x23 ";
  write(folder / "lambert.nc", Grid::parse(size + "+proj=lcc +lat_1=35 +lat_2=65 +lat_0=50 +lon_0=10"),
        {"z500", "u500", "v500", "2t", "msl"}, forecast);
  write(folder / "polar.nc", Grid::parse(size + "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=335"), {"msl", "tp"}, plain);
  write(folder / "mercator.nc", Grid::parse(size + "+proj=merc +lon_0=110 +lat_ts=20"), {"msl"}, plain);
  write(folder / "transverse.nc", Grid::parse(size + "+proj=tmerc +lat_0=36 +lon_0=103"), {"msl"}, plain);
  write(folder / "rotated.nc", Grid::parse(size + "+proj=ob_tran +o_proj=eqc +o_lat_p=39.25 +o_lon_p=10 +lon_0=18"),
        {"msl", "u500", "v500"}, plain);
  return 0;
} catch (const zonda::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_code();
}
