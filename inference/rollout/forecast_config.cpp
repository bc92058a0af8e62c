#include "inference/rollout/forecast_config.hpp"

#include <algorithm>
#include <bit>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "model/ops/backend.hpp"
#include "parallel/layout/mesh.hpp"

namespace zonda::inference {

void describe(config::Table& table, StateFilesConfig& c) {
  table.key("path", c.path, "Files, folders (Zarr) or globs").required().at_least(1);
  table.key("variables", c.variables, "Names in the files, as `NAME=short name`, where they are not understood");
  table.key("units", c.units, "Units to believe, as `NAME=unit`, where the files' own are missing or wrong");
}

void describe(config::Table& table, TaperConfig& c) {
  table.key("from", c.from, "The last total wavenumber that stays as it is").required().range(0, 1e5);
  table.key("to", c.to, "The first total wavenumber of which nothing stays").required().range(1, 1e5);
  table.check("to", [&c] { return c.to <= c.from ? "must be larger than from" : std::string(); });
}

void describe(config::Table& table, ForecastConfig& c) {
  table.key("times", c.times, "Initial times; or start, end and every");
  table.key("start", c.start, "First initial time");
  table.key("end", c.end, "Last initial time");
  table.key("every", c.every, "Between two initial times");
  table.key("lead", c.lead, "Longest lead time");
  table.key("output_step", c.output_step, "Between two leads that are written");
  table.key("strategy", c.strategy,
            "How leads are reached: `mean` of the rollouts with one step length each, `largest-step`, "
            "or one of the model's steps (`24h`)");
  table.key("channels", c.channels, "Channels to write (default: all)");
  table.key("keep_bits", c.keep_bits, "Mantissa bits kept in the files (default: all)").range(1, 23);
  table.key("deflate", c.deflate, "Compression of the files").range(0, 9);
  table.key("batch", c.batch, "Forecasts (initial times and members) that pass the network together").range(1, 65536);
  table
      .key("members", c.members,
           "Members of an ensemble, told apart by the network's noise, each in a file of its own; 1: one forecast "
           "without noise")
      .range(1, 999);
  table.key("seed", c.seed, "Seed of the members' noise");
  table.key(
      "adapters", c.adapters,
      "Use the model's adapters by lead time, where it has them; without them fields are sharper and errors larger");
  table.key("bounds", c.bounds, "Keep humidity, cloud and precipitation within what is possible");
  table.section(
      "spectral_taper", c.spectral_taper,
      "Of what each step adds to the state, spherical harmonics that the model's grid holds and its truth does "
      "not are taken out (default: nothing is)");
  table.key("range_check", c.range_check, "Values outside the variable's physical range end the run");
  table.key("write_initial", c.write_initial, "Write the state at lead 0 as well");
  table.key("mesh", c.mesh,
            "How ranks share the forecasts, such as `spatial=4`: so many hold slabs of latitude of each; the others "
            "make other forecasts meanwhile");
  table.key("collective_writing", c.collective_writing,
            "Every slab's rank writes its rows of a file itself (parallel HDF5 under mpirun or srun; the same bytes on "
            "any number of ranks); otherwise they pass through the slabs' first rank (the bytes of a single process)");
  table.key("device", c.device,
            "Where the network runs: `cpu`, `cuda` or `cuda:N`, or `auto`: a GPU where there is one");
  table
      .key("precision", c.precision,
           "Of the trunk's matrix products: as the model was trained, or fp32, bf16 or int8 (weights quantised by "
           "column, "
           "activations by row)")
      .one_of({"model", "fp32", "bf16", "int8"});
  table.section("source", c.source, "Initial states from files instead of the archive");
  table.check("times", [&c] {
    if (!c.times.empty() && (c.start || c.end)) return std::string("give times, or start and end, not both");
    if (c.start.has_value() != c.end.has_value()) return std::string("start and end are given together");
    return c.start && *c.end < *c.start ? std::string("end is before start") : std::string();
  });
  table.check("mesh", [&c]() -> std::string {
    try {
      const parallel::MeshShape shape = parallel::parse_mesh(c.mesh);
      if (shape[parallel::Axis::pipeline] > 1 || shape[parallel::Axis::tensor] > 1)
        return "forecasts are cut along data and spatial";
      if (!std::has_single_bit(static_cast<unsigned>(shape[parallel::Axis::spatial]))) return "spatial: a power of two";
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  });
  table.check("device", [&c]() -> std::string {
    try {
      model::backend_of_device(c.device);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  });
  table.check("lead", [&c] {
    return c.lead <= Duration{0} || c.output_step <= Duration{0} || c.lead % c.output_step != Duration{0}
               ? "expected a multiple of output_step, " + to_string(c.output_step)
               : std::string();
  });
  table.check("every", [&c] { return c.every <= Duration{0} ? std::string("must be longer than 0") : std::string(); });
}

std::vector<Time> initial_times(const ForecastConfig& config, const std::vector<Time>& available,
                                Duration longest_step) {
  std::vector<Time> times = config.times;
  if (config.start)
    for (Time time = *config.start; time <= *config.end; time += config.every) times.push_back(time);
  if (times.empty() && !config.start)
    for (const Time time : available)
      if (std::binary_search(available.begin(), available.end(), time - longest_step)) times.assign(1, time);
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  if (times.empty()) fail(ErrorKind::usage, "forecast: no initial time");
  return times;
}

}  // namespace zonda::inference
