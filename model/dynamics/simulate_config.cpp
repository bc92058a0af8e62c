#include "model/dynamics/simulate_config.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "model/dynamics/model_output.hpp"

namespace zonda::model {
namespace {

constexpr std::int64_t day_seconds = 86400;

std::string check_output(const SimulateConfig& c) {
  const std::int64_t output = c.output.count();
  if (output <= 0) return "expected a duration above zero";
  if (c.days * day_seconds % output != 0 || spinup_days(c) * day_seconds % output != 0)
    return fmt::format("{} divides neither days nor spinup_days evenly", to_string(c.output));
  return "";
}

std::string check_variables(const SimulateConfig& c) {
  for (const std::string& name : c.variables) {
    if (std::ranges::find(simulated_variables(), name) == simulated_variables().end())
      return unknown_word("simulated variable", name, simulated_variables());
    if (!c.moisture && (name == "q" || name == "tp")) return name + " needs moisture: true";
    if (std::ranges::count(c.variables, name) > 1) return name + " is listed twice";
  }
  for (const int level : c.pressure_levels) {
    if (level < 1 || level > 1100) return fmt::format("a pressure level of {} hPa; expected 1 to 1100", level);
    if (std::ranges::count(c.pressure_levels, level) > 1) return fmt::format("the level {} hPa is listed twice", level);
  }
  return "";
}

std::string check_grid(const SimulateConfig& c) {
  try {
    const Grid grid = output_grid(c);
    if (grid.kind() == GridKind::regional) return "expected a global grid";
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string check_half_levels(const SimulateConfig& c) {
  if (c.half_levels.empty()) return "";
  if (int(c.half_levels.size()) != c.levels + 1)
    return fmt::format("{} numbers; {} levels need {}", c.half_levels.size(), c.levels, c.levels + 1);
  try {
    const SigmaLevels levels(c.half_levels);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

void describe(config::Table& table, Mountain& m) {
  table.key("latitude", m.latitude, "Latitude of the summit, degrees north").range(-90, 90);
  table.key("longitude", m.longitude, "Longitude of the summit, degrees east").range(-180, 360);
  table.key("height", m.height, "Height of the summit, m").range(0, 9000);
  table.key("latitude_width", m.latitude_width, "Distance at which the height is 1/e, degrees of latitude")
      .range(1, 180);
  table.key("longitude_width", m.longitude_width, "Distance at which the height is 1/e, degrees of longitude")
      .range(1, 360);
}

void describe(config::Table& table, SimulateConfig& c) {
  table
      .key("truncation", c.truncation, "Triangular truncation of the spherical harmonics (T30 has 48 x 96 grid points)")
      .range(21, 170);
  table.key("levels", c.levels, "Number of sigma levels").range(5, 30);
  table.key("half_levels", c.half_levels,
            "Sigma of the levels' boundaries, ascending from 0 to 1; empty: a standard set");
  table.key("time_step", c.time_step,
            "Time step; default: the longest stable one for the truncation that divides `output`");
  table.key("start", c.start, "First time that is written");
  table.key("days", c.days, "Days to write, from `start` on, both ends included").range(1, 1e6);
  table
      .key("spinup_days", c.spinup_days,
           "Days simulated before `start` and not written; default 100 from rest with forcing, else 0")
      .range(0, 1e6);
  table
      .key("initial", c.initial,
           "Initial state: rest, or Jablonowski & Williamson (2006): the steady jet, or with the perturbation that "
           "grows")
      .one_of({"rest", "jablonowski-williamson", "baroclinic-wave"});
  table.key("forcing", c.forcing, "Held & Suarez (1994) relaxation and friction, or none")
      .one_of({"held-suarez", "none"});
  table.key("moisture", c.moisture, "Carry humidity, with the physics of Thatcher & Jablonowski (2016)");
  table.key("seasons", c.seasons, "Let the warmest latitude of the equilibrium temperature move through the year");
  table.key("season_amplitude", c.season_amplitude, "How far it moves, degrees").range(0, 30);
  table.list("mountains", c.mountains,
             "Gaussian mountains; an empty list for a flat earth. Not used by the Jablonowski & Williamson states, "
             "which bring their ground");
  table.key("members", c.members, "Number of simulations with different noise").range(1, 100000);
  table.key("seed", c.seed, "Seed of the noise");
  table.key("noise", c.noise, "Standard deviation of the initial temperature noise, K; default 1 from rest, 0 else")
      .range(0, 20);
  table.key("output", c.output, "Time between written states");
  table.key("grid", c.grid,
            "Grid of the files: `model` (the Gaussian grid of the truncation), or e.g. `latlon 32x64 no-poles`, "
            "`latlon 121x240`");
  table.key("variables", c.variables, "What to write: z, t, u, v, q on pressure levels; sp, msl, 2t, tp, orog")
      .at_least(1);
  table.key("pressure_levels", c.pressure_levels, "Pressure levels, hPa");
  table.key("files", c.files, "One file a member and day, month, or run").one_of({"day", "month", "run"});
  table.key("deflate", c.deflate, "Compression level of the files").range(0, 9);
  table.key("keep_bits", c.keep_bits, "Mantissa bits to keep in the files; default all").range(1, 23);
  table.key("restart", c.restart, "Time between restart files");
  table.key("diffusion_order", c.diffusion_order, "Order of the horizontal hyperdiffusion's derivative: 2, 4, 6 or 8")
      .range(2, 8);
  table.key("diffusion_time", c.diffusion_time, "Its e-folding time for the smallest wave; 0s switches it off");
  table.key("filter_strength", c.filter_strength, "Strength nu of the Robert-Asselin-Williams filter").range(0, 1);
  table.key("filter_partition", c.filter_partition, "Its alpha: 0.53 (Williams 2009); 1 is the classic filter")
      .range(0.5, 1);
  table.key("wind_limit", c.wind_limit, "The simulation ends with an error where the wind exceeds this, m/s")
      .range(50, 1000);
  table.key("threads", c.threads, "Threads a rank; 0: one below T63, OpenMP's default from there up").range(0, 1024);

  table.check("half_levels", [&c] { return check_half_levels(c); });
  table.check("output", [&c] { return check_output(c); });
  table.check("time_step", [&c]() -> std::string {
    if (!c.time_step) return "";
    if (c.time_step->count() <= 0) return "expected a duration above zero";
    return c.output.count() % c.time_step->count() == 0 ? "" : "expected a divisor of output, " + to_string(c.output);
  });
  table.check("restart", [&c]() -> std::string {
    if (c.restart.count() <= 0) return "expected a duration above zero";
    return c.output.count() <= 0 || c.restart.count() % c.output.count() == 0
               ? ""
               : "expected a multiple of output, " + to_string(c.output);
  });
  table.check("diffusion_order",
              [&c]() -> std::string { return c.diffusion_order % 2 == 0 ? "" : "expected an even number"; });
  table.check("variables", [&c] { return check_variables(c); });
  table.check("grid", [&c] { return check_grid(c); });
}

double time_step_seconds(const SimulateConfig& config) {
  if (config.time_step) return double(config.time_step->count());
  const double longest = std::min(2400.0, 2160.0 * 30 / config.truncation);
  const double output = double(config.output.count());
  return output / std::ceil(output / longest);
}

int spinup_days(const SimulateConfig& config) {
  return config.spinup_days.value_or(config.initial == "rest" && config.forcing != "none" ? 100 : 0);
}

CoreParameters core_parameters(const SimulateConfig& config) {
  CoreParameters p;
  p.truncation = config.truncation;
  p.levels = config.half_levels.empty() ? SigmaLevels(config.levels) : SigmaLevels(config.half_levels);
  p.time_step = time_step_seconds(config);
  p.filter_strength = config.filter_strength;
  p.filter_partition = config.filter_partition;
  p.diffusion_order = config.diffusion_order;
  p.diffusion_time = double(config.diffusion_time.count());
  if (config.forcing == "held-suarez") {
    p.forcing.emplace();
    if (config.moisture) {
      p.forcing->equator_temperature = 294;
      p.forcing->pole_difference = 65;
    }
  }
  p.season_amplitude = config.seasons ? config.season_amplitude : 0;
  p.moist = config.moisture;
  p.wind_limit = config.wind_limit;
  p.threads = config.threads;
  return p;
}

Grid output_grid(const SimulateConfig& config) {
  if (config.grid != "model") return Grid::parse(config.grid);
  const std::size_t columns = std::size_t(SphericalTransform::quadratic_columns(config.truncation));
  return Grid::gaussian(columns / 2, columns);
}

std::vector<Channel> output_channels(const SimulateConfig& config) {
  std::vector<int> levels = config.pressure_levels;
  std::ranges::sort(levels, std::greater<>());
  std::vector<Channel> channels;
  for (const std::string& name : config.variables)
    if (variable(name).level_kind == LevelKind::pressure)
      for (const int level : levels) channels.push_back({name, level});
  for (const std::string& name : config.variables)
    if (variable(name).level_kind != LevelKind::pressure) channels.push_back({name, 0});
  return channels;
}

}  // namespace zonda::model
