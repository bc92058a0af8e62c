#pragma once
// The `cycle` section of a run file.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "assimilation/ensemble/adaptive_inflation.hpp"
#include "assimilation/ensemble/inflation.hpp"
#include "assimilation/experiments/osse/synthetic_observations.hpp"
#include "assimilation/quality_control/quality_control.hpp"
#include "core/config/table.hpp"
#include "ingest/observations/files/observation_file.hpp"
#include "model/dynamics/simulate_config.hpp"

namespace zonda::assimilation {

struct LocalisationConfig {
  double horizontal = 1000e3, vertical = 0.1;  ///< m, ln p: standard deviations of the Gaussian that the taper is like
};
void describe(config::Table& table, LocalisationConfig& config);

struct InflationConfig {
  std::optional<double> factor, rtpp;  ///< absent: by the model, see resolved_inflation()
  double rtps = 0;
  double additive = 0;     ///< factor of the model errors that are added to members after each step
  std::uint64_t seed = 3;  ///< of their draws
  std::optional<AdaptiveInflationSettings> adaptive;
};
void describe(config::Table& table, AdaptiveInflationSettings& config);
void describe(config::Table& table, InflationConfig& config);

struct TaperConfig {
  int from = 0, to = 0;  ///< total wavenumbers
};
void describe(config::Table& table, TaperConfig& config);

/// Forecasts of one step from states of the archive that end at the start of the cycle and before, against the archive.
struct ModelErrorsConfig {
  int samples = 60;
  Duration every = std::chrono::hours(18);
  bool correct_mean = true;  ///< their mean is taken off each step of the model
  double share = 0;          ///< of each analysis' increment that goes into the mean
};
void describe(config::Table& table, ModelErrorsConfig& config);

/// The static background-error covariance: learned from differences of states of one run, or of the archive, `lag`
/// apart, or from errors of forecasts over `lag`.
struct CovarianceConfig {
  std::string file;  ///< of statistics; "": learned here
  std::string of = "differences";
  int samples = 60;
  Duration lag = std::chrono::hours(24), every = std::chrono::hours(48);
  double scale = 0.3;  ///< of the variance of the samples
};
void describe(config::Table& table, CovarianceConfig& config);

/// One way of analysing.
struct AnalysisConfig {
  std::string name;  ///< of its folder; default: the method
  std::string method = "letkf";
  bool perfect_observations = false;
  LocalisationConfig localisation;
  InflationConfig inflation;
  int most_observations = 0;  ///< for one batch; 0: all
  int weight_stride = 1;      ///< weights are solved for on every so many rows and columns
  std::optional<TaperConfig> taper;
  CovarianceConfig covariance;
  double static_weight = 0.5;  ///< of the static covariance in a hybrid one; the ensemble has the rest
  std::string static_deviations = "statistics";  ///< or `ensemble`: of each field and level, as the spread is by then
  int outer_iterations = 1, inner_iterations = 20;
  double inner_tolerance = 1e-3;  ///< of the gradient's norm, relative to its start
  bool step_taper = true;
  bool stop_at_gate = true;
  bool at_own_times = true;  ///< observations meet the background of their own times, where a cycle has slots
  const std::string& label() const { return name.empty() ? method : name; }
  bool is_ensemble() const { return method != "3dvar" && method != "4dvar"; }
  bool is_variational() const { return needs_static_covariance() || method == "envar"; }
  bool needs_static_covariance() const { return method == "3dvar" || method == "4dvar" || method == "hybrid"; }
};
void describe(config::Table& table, AnalysisConfig& config);

struct InitialConfig {
  std::string from;  ///< folder of another cycle's members, and truth, of the start; "": states `every` apart
  Duration every = std::chrono::hours(120);  ///< between the states that members begin with
  double factor = 1;                         ///< of their differences from their mean
  std::uint64_t seed = 2;                    ///< of the run that they come from
};
void describe(config::Table& table, InitialConfig& config);

/// What each station errs by in the mean is learned from its departures, and taken off.
struct StationBiasConfig {
  double rate = 0.05;
  int least_cycles = 10;
};
void describe(config::Table& table, StationBiasConfig& config);

struct ObservationsConfig {
  std::vector<ingest::ObservationSourceConfig> files;
  std::optional<SyntheticConfig> synthetic;
  std::optional<StationBiasConfig> station_bias;
  QualityControlConfig quality_control;
};
void describe(config::Table& table, ObservationsConfig& config);

struct GateConfig {
  double factor = 5;     ///< of the tail's power at the start; 0: the gate stays open
  int from = 0, to = 0;  ///< zonal wavenumbers; 0: the upper third of what the model resolves
};
void describe(config::Table& table, GateConfig& config);

struct LaunchConfig {
  Duration truth_age = std::chrono::hours(12);  ///< of the truth that reference forecasts start from
  Duration every = std::chrono::hours(24), lead = std::chrono::hours(120), output_step = std::chrono::hours(24);
};
void describe(config::Table& table, LaunchConfig& config);

/// What observations did to the error of later forecasts, by the adjoints of model and analysis.
struct ImpactConfig {
  Duration every = std::chrono::hours(24), lead = std::chrono::hours(24);
};
void describe(config::Table& table, ImpactConfig& config);

/// What observations did, cycle by cycle.
struct FeedbackConfig {
  bool write = true;
  int keep = 2;  ///< files that stay on disk; 0: all
};
void describe(config::Table& table, FeedbackConfig& config);

struct CycleConfig {
  std::optional<model::SimulateConfig> core;  ///< the embedded atmosphere is the model ...
  std::optional<std::string> network;         ///< ... or the network in this folder
  std::optional<std::string> truth;           ///< archive; default with `core`: a run of it
  std::optional<TaperConfig> step_taper;      ///< of what each step of a network changes
  std::optional<ModelErrorsConfig> model_errors;
  Time start{};
  Time end{};
  Duration every = std::chrono::hours(6);
  std::optional<Duration> window;  ///< centred on the analysis; default: `every`
  std::optional<Duration> slot;    ///< between states of a window; absent: all is of the analysis' time
  int members = 20;
  InitialConfig initial;
  ObservationsConfig observations;
  std::vector<AnalysisConfig> analyses;  ///< one after another, of the same truth and observations
  GateConfig gate;
  std::vector<std::string> channels{"u500", "t500", "sp"};  ///< scored, drawn and written
  Duration spin_up = std::chrono::hours(240);               ///< before scores count
  std::optional<LaunchConfig> forecasts;
  std::optional<ImpactConfig> impact;
  bool share_network = false;  ///< by all ranks, in analyses of one state
  int keep = 2;                ///< cycles whose members stay on disk; 0: all
  FeedbackConfig feedback;
};
void describe(config::Table& table, CycleConfig& config);

/// Learned models gather small-scale noise and spread too little: by default their analysis perturbations are relaxed
/// to those of the background (RTPP 0.6); the embedded atmosphere's are multiplied by 1.05.
Inflation resolved_inflation(const InflationConfig& config, bool learned);

/// Analysis times, start and end included.
std::vector<Time> cycle_times(const CycleConfig& config);

}  // namespace zonda::assimilation
