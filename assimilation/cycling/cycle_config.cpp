#include "assimilation/cycling/cycle_config.hpp"

#include <fmt/format.h>

#include <set>

namespace zonda::assimilation {

void describe(config::Table& table, LocalisationConfig& c) {
  table.key("horizontal", c.horizontal, "Reach of an observation, m: standard deviation of the Gaussian it is like")
      .range(1e3, 1e9);
  table.key("vertical", c.vertical, "The same in ln p").range(1e-3, 1e3);
}

void describe(config::Table& table, InflationConfig& c) {
  table.key("factor", c.factor, "Of the analysis anomalies; default 1.05, of networks 1").range(0.5, 5);
  table.key("rtpp", c.rtpp, "Relaxation to the background's perturbations; default 0, of networks 0.6").range(0, 1);
  table.key("rtps", c.rtps, "Relaxation to the background's spread").range(0, 2);
  table.key("additive", c.additive, "Of the errors from `model_errors` that members get after each step; 0: none")
      .range(0, 10);
  table.key("seed", c.seed, "Of the draws of additive inflation");
  table.section("adaptive", c.adaptive,
                "Inflation of the background's covariance that each place learns from its departures");
}

void describe(config::Table& table, AdaptiveInflationSettings& c) {
  table.key("start", c.start, "First factor of the covariance").range(0.01, 100);
  table.key("deviation", c.deviation, "Of the estimate before a cycle; larger adapts faster").range(1e-6, 10);
  table.key("smallest", c.smallest, "Least factor").range(0.01, 100);
  table.key("largest", c.largest, "Greatest factor").range(0.01, 100);
  table.check("start", [&c] {
    return c.smallest <= c.start && c.start <= c.largest ? "" : "expected smallest <= start <= largest";
  });
}

void describe(config::Table& table, ModelErrorsConfig& c) {
  table.key("samples", c.samples, "Forecasts of one step").range(3, 1e5);
  table.key("every", c.every, "Between their ends, the last of which is the start");
  table.key("correct_mean", c.correct_mean, "Whether their mean is taken off each step of the model");
  table
      .key("share", c.share,
           "Of each analysis' mean increment that the mean error learns from while it cycles; 0: it stays")
      .range(0, 1);
  table.check("every", [&c] { return c.every > Duration{0} ? "" : "expected more than 0"; });
  table.check("share", [&c] { return c.share == 0 || c.correct_mean ? "" : "needs correct_mean"; });
}

void describe(config::Table& table, TaperConfig& c) {
  table.key("from", c.from, "Total wavenumbers up to this stay").required().range(0, 1e4);
  table.key("to", c.to, "From this on nothing is left").required().range(1, 1e4);
  table.check("to", [&c] { return c.from < c.to ? "" : "expected from < to"; });
}

void describe(config::Table& table, CovarianceConfig& c) {
  table.key("file", c.file, "Statistics to read; default: learned from differences of states");
  table.key("of", c.of, "Differences of states `lag` apart, or errors of the model's forecasts over `lag`")
      .one_of({"differences", "forecast_errors"});
  table.key("samples", c.samples, "Of these").range(3, 1e5);
  table.key("lag", c.lag, "Between the two states of a difference, or of forecasts");
  table.key("every", c.every, "Between samples");
  table.key("scale", c.scale, "Of their variance").range(1e-6, 1e6);
}

void describe(config::Table& table, AnalysisConfig& c) {
  table.key("name", c.name, "Of its folder; default: the method");
  table.key("method", c.method, "How; `none` lets the members run freely")
      .one_of({"letkf", "etkf", "3dvar", "4dvar", "hybrid", "envar", "none"});
  table.key("perfect_observations", c.perfect_observations, "Synthetic observations without errors");
  table.section("localisation", c.localisation, "How far observations reach");
  table.section("inflation", c.inflation, "How analysis anomalies are widened");
  table.key("most_observations", c.most_observations, "That one column level takes, the nearest; 0: all").range(0, 1e9);
  table.key("weight_stride", c.weight_stride, "Weights of the LETKF are solved for on every so many rows and columns")
      .range(1, 64);
  table.section("taper", c.taper, "Takes small scales out of the increments of all members");
  table.key("step_taper", c.step_taper, "Whether the cycle's step_taper, where there is one, acts on this way's model");
  table.section("covariance", c.covariance, "Static background errors of 3dvar, 4dvar and hybrid");
  table.key("static_weight", c.static_weight, "Of the static covariance in a hybrid one; the ensemble has the rest")
      .range(0, 1);
  table
      .key("static_deviations", c.static_deviations,
           "Of a hybrid's static covariance: what `covariance` says, or those of the `ensemble` at that time, field by "
           "field; `covariance.scale` counts for both")
      .one_of({"statistics", "ensemble"});
  table.key("outer_iterations", c.outer_iterations, "Of variational methods").range(1, 100);
  table.key("inner_iterations", c.inner_iterations, "At most, of each outer one").range(1, 1e5);
  table.key("inner_tolerance", c.inner_tolerance, "Of the gradient's norm, at which they end earlier").range(1e-15, 1);
  table.key("at_own_times", c.at_own_times,
            "With `slot`: observations meet states of their own times; else all meet that of the analysis");
  table.key("stop_at_gate", c.stop_at_gate, "Whether small-scale noise ends the run; else it is only recorded");
}

void describe(config::Table& table, InitialConfig& c) {
  table.key("from", c.from,
            "Folder of another cycle's members of the time `start`; the truth goes on from there as well");
  table.key("every", c.every, "Between the states that members begin with");
  table.key("factor", c.factor, "Of their differences from their mean").range(0, 10);
  table.key("seed", c.seed, "Of the run that the members come from");
}

void describe(config::Table& table, StationBiasConfig& c) {
  table.key("rate", c.rate, "What a cycle's mean departure of a station counts in the estimate").range(1e-6, 1);
  table.key("least_cycles", c.least_cycles, "With departures of a station, before its estimate is taken off")
      .range(1, 1e6);
}

void describe(config::Table& table, ObservationsConfig& c) {
  table.list("files", c.files, "Files of reports");
  table.section("synthetic", c.synthetic, "Observations of the truth instead");
  table.section("station_bias", c.station_bias,
                "Learns the mean departure of each station and variable after the spin-up, and takes it off");
  table.section("quality_control", c.quality_control, "Checks");
  table.check("", [&c]() -> std::string {
    return c.files.empty() == c.synthetic.has_value() ? "" : "expected either files or synthetic";
  });
}

void describe(config::Table& table, GateConfig& c) {
  table
      .key("factor", c.factor,
           "The run stops where the tail of the spectrum has so many times its first power; 0: never")
      .range(0, 1e9);
  table.key("from", c.from, "First zonal wavenumber of the tail; 0: two thirds of the last").range(0, 1e5);
  table.key("to", c.to, "Last one; 0: what the model resolves").range(0, 1e5);
}

void describe(config::Table& table, LaunchConfig& c) {
  table.key("every", c.every, "Between analyses that forecasts start from");
  table.key("lead", c.lead, "Length");
  table.key("output_step", c.output_step, "Between states that are scored");
  table.key("truth_age", c.truth_age, "Reference forecasts start from a truth that is so old");
  table.check("output_step", [&c] { return c.output_step > Duration{0} ? "" : "expected more than 0"; });
}

void describe(config::Table& table, ImpactConfig& c) {
  table.key("every", c.every, "Between analyses that it is worked out for");
  table.key("lead", c.lead, "Of the forecast, from the analysis");
  table.check("every", [&c] { return c.every > Duration{0} ? "" : "expected more than 0"; });
  table.check("lead", [&c] { return c.lead >= Duration{0} ? "" : "expected 0 or more"; });
}

void describe(config::Table& table, FeedbackConfig& c) {
  table.key("write", c.write, "A file a cycle: each observation, its flag, and H of background and analysis");
  table.key("keep", c.keep, "Files that stay on disk; 0: all").range(0, 1e9);
}

void describe(config::Table& table, CycleConfig& c) {
  table.section("core", c.core, "The embedded atmosphere as model");
  table.key("network", c.network, "Folder of a trained model");
  table.key("truth", c.truth,
            "Archive that scores and synthetic observations take as truth; default with `core`: a run of it");
  table.section("step_taper", c.step_taper,
                "Takes small scales out of what each step of the network departs from the mean of the two months "
                "before the start");
  table.section("model_errors", c.model_errors,
                "Learns the model's errors over one step from `truth` before the start");
  table.key("share_network", c.share_network,
            "Ranks share each pass of the network by latitude in 3dvar and 4dvar (a power of two of them); ensembles "
            "share members");
  table.key("start", c.start, "First analysis").required();
  table.key("end", c.end, "Last analysis").required();
  table.key("every", c.every, "Between analyses");
  table.key("window", c.window, "Of observations, about the analysis; default: every");
  table.key("slot", c.slot,
            "Between states of a window that observations meet (3D-FGAT, 4D-Var, 4D-LETKF), and a step of the model; "
            "default: all are of the time of the analysis");
  table.key("members", c.members, "Of the ensemble").range(2, 1e4);
  table.section("initial", c.initial, "What members begin with");
  table.section("observations", c.observations, "What is observed");
  table.list("analyses", c.analyses, "Ways of analysing, one after another").required().at_least(1);
  table.section("gate", c.gate, "Guard against small-scale noise");
  table.key("channels", c.channels, "Fields that are scored, drawn and written");
  table.key("spin_up", c.spin_up, "Before scores count");
  table.section("forecasts", c.forecasts, "Forecasts from the analyses");
  table.section(
      "impact", c.impact,
      "What each observation did to a later forecast's error: of 3dvar, 4dvar, hybrid and envar where the truth "
      "is known and the model has an adjoint");
  table.key("keep", c.keep, "Cycles whose members stay on disk; 0: all").range(0, 1e9);
  table.section("feedback", c.feedback, "What each observation did");
  table.check("", [&c]() -> std::string {
    return c.core.has_value() != c.network.has_value() ? "" : "expected one of core and network";
  });
  table.check("truth", [&c]() -> std::string {
    return c.core || c.truth ? "" : "members of a network begin with states of this archive";
  });
  table.check("end", [&c] { return c.end >= c.start ? "" : "before start"; });
  table.check("every", [&c] {
    return c.every > Duration{0} && c.every % std::chrono::hours(1) == Duration{0} ? "" : "expected whole hours";
  });
  table.check("slot", [&c]() -> std::string {
    if (!c.slot) return "";
    const Duration window = c.window.value_or(c.every);
    if (*c.slot <= Duration{0} || window % (2 * *c.slot) != Duration{0}) return "expected to divide half of the window";
    return window <= c.every && c.every % *c.slot == Duration{0} ? ""
                                                                 : "expected to divide `every`, and window <= every";
  });
  table.check("share_network", [&c] { return c.share_network && !c.network ? "is for networks" : ""; });
  table.check("step_taper", [&c] { return c.step_taper && !c.network ? "is for networks" : ""; });
  table.check("model_errors", [&c] { return c.model_errors && !c.truth ? "needs an archive as truth" : ""; });
  table.check("analyses", [&c]() -> std::string {
    for (const AnalysisConfig& analysis : c.analyses) {
      if (analysis.inflation.additive > 0 && !c.model_errors)
        return fmt::format("{}: inflation.additive needs the section model_errors", analysis.label());
      if (analysis.needs_static_covariance() && analysis.covariance.of == "forecast_errors" && !c.truth)
        return fmt::format("{}: covariance.of forecast_errors needs an archive as truth", analysis.label());
    }
    std::set<std::string> names;
    for (const AnalysisConfig& analysis : c.analyses)
      if (!names.insert(analysis.label()).second) return fmt::format("two are called '{}'", analysis.label());
    return "";
  });
}

Inflation resolved_inflation(const InflationConfig& config, bool learned) {
  return {config.factor.value_or(learned ? 1.0 : 1.05), config.rtpp.value_or(learned ? 0.6 : 0.0), config.rtps};
}

std::vector<Time> cycle_times(const CycleConfig& config) {
  std::vector<Time> times;
  for (Time time = config.start; time <= config.end; time += config.every) times.push_back(time);
  return times;
}

}  // namespace zonda::assimilation
