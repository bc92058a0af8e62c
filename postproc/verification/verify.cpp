#include "postproc/verification/verify.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "ingest/sources/source.hpp"
#include "postproc/verification/climatology.hpp"
#include "postproc/verification/field_series.hpp"

namespace zonda::postproc {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> all_metrics = {"rmse",
                                              "mse",
                                              "bias",
                                              "mae",
                                              "acc",
                                              "activity",
                                              "wind_vector_rmse",
                                              "crps",
                                              "spread",
                                              "debiased_mse",
                                              "spread_error_ratio"};
const std::vector<std::string> usual_spectra = {"z500", "t850", "q700", "10u"};

double hours(Duration duration) {
  return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

std::vector<std::string> names(const std::vector<Channel>& channels) {
  std::vector<std::string> result;
  for (const Channel& channel : channels) result.push_back(channel.name());
  return result;
}

std::string listed(const std::vector<Channel>& channels) {
  std::string text;
  for (const Channel& channel : channels) text += (text.empty() ? "" : ", ") + channel.name();
  return text;
}

parallel::MeshShape mesh_of(const VerifyConfig& config, int ranks) {
  try {
    return parallel::parse_mesh(config.mesh, ranks);
  } catch (const Error& error) {
    fail(ErrorKind::usage, "verify.mesh: {}", error.what());
  }
}

/// The forecasts of the period whose own initial state is in the truth: persistence needs it.
std::vector<ForecastStart> choose_starts(const VerifyConfig& config, const FieldSeries& truth,
                                         std::vector<ForecastStart> starts) {
  const std::size_t all = starts.size();
  if (all == 0) fail(ErrorKind::data, "verify: there is no forecast");
  const Time first = starts.front().initial, last = starts.back().initial;
  std::erase_if(starts, [&](const ForecastStart& start) {
    return (config.first && start.initial < *config.first) || (config.last && start.initial > *config.last);
  });
  if (starts.empty())
    fail(ErrorKind::data, "verify: none of the {} forecasts starts in the period asked for (they start from {} to {})",
         all, to_string(first), to_string(last));
  for (const ForecastStart& start : starts)
    for (const ForecastFile& file : start.members)
      if (file.grid != truth.grid().to_string())
        fail(ErrorKind::data, "{}: the forecast's grid is {}, the archive's {}", file.path.string(), file.grid,
             truth.grid().to_string());
  const std::size_t before = starts.size();
  const Time begin = starts.front().initial, end = starts.back().initial;
  std::erase_if(starts, [&](const ForecastStart& start) { return !truth.find_time(start.initial); });
  if (starts.empty())
    fail(ErrorKind::data, "verify: no truth for any forecast: they start from {} to {}, the archive holds {} to {}",
         to_string(begin), to_string(end), to_string(truth.times().front()), to_string(truth.times().back()));
  if (starts.size() < before)
    log::warning("verify: {} of {} forecasts are left out: the archive lacks their initial time",
                 before - starts.size(), before);
  return starts;
}

std::vector<Duration> choose_leads(const VerifyConfig& config, const std::vector<ForecastStart>& starts) {
  std::set<Duration> held;
  for (const ForecastStart& start : starts)
    for (const Time valid : start.members.front().valid_times)
      if (valid >= start.initial) held.insert(valid - start.initial);
  if (config.leads.empty()) {
    held.erase(Duration(0));
    if (held.empty()) fail(ErrorKind::data, "verify: the forecasts hold no time after their start");
    return {held.begin(), held.end()};
  }
  std::vector<Duration> leads = config.leads;
  std::sort(leads.begin(), leads.end());
  leads.erase(std::unique(leads.begin(), leads.end()), leads.end());
  for (const Duration lead : leads)
    if (!held.contains(lead)) {
      std::string known;
      for (const Duration h : held) known += (known.empty() ? "" : ", ") + to_string(h);
      fail(ErrorKind::usage, "verify.leads: no forecast holds lead {}; they hold {}", to_string(lead), known);
    }
  return leads;
}

std::vector<std::size_t> choose_channels(const VerifyConfig& config, const FieldSeries& truth,
                                         const std::vector<ForecastStart>& starts) {
  std::set<Channel> held(starts.front().members.front().channels.begin(),
                         starts.front().members.front().channels.end());
  for (const ForecastStart& start : starts)
    for (const ForecastFile& file : start.members)
      std::erase_if(held, [&](const Channel& channel) { return !find_channel(file.channels, channel); });
  std::vector<std::size_t> chosen;
  if (config.channels.empty()) {
    for (std::size_t i = 0; i < truth.channels().size(); ++i)
      if (held.contains(truth.channels()[i])) chosen.push_back(i);
    if (chosen.empty())
      fail(ErrorKind::data, "{}: forecast and archive share no channel; the forecast holds {}, the archive {}",
           starts.front().members.front().path.string(), listed(starts.front().members.front().channels),
           listed(truth.channels()));
    return chosen;
  }
  for (const std::string& name : config.channels) {
    const Channel channel = parse_channel(name);
    const auto index = find_channel(truth.channels(), channel);
    if (!index) fail(ErrorKind::usage, "verify.channels: {}", unknown_word("channel", name, names(truth.channels())));
    if (!held.contains(channel))
      fail(ErrorKind::data, "verify.channels: not all forecasts hold {}; they hold {}", name,
           listed({held.begin(), held.end()}));
    chosen.push_back(*index);
  }
  return chosen;
}

std::vector<RegionWeights> choose_regions(const VerifyConfig& config, const FieldSeries& truth) {
  const auto land = truth.land_fraction();
  const std::span<const float> fraction = land ? std::span<const float>(*land) : std::span<const float>();
  std::vector<RegionWeights> regions;
  if (config.regions.empty()) {
    for (const Region& r : region_table()) {
      if (r.land && !land) continue;
      RegionWeights weights(truth.grid(), r, fraction);
      if (weights.total() > 0) regions.push_back(std::move(weights));
    }
    return regions;
  }
  for (const std::string& name : config.regions) {
    regions.emplace_back(truth.grid(), region(name), fraction);
    if (regions.back().total() <= 0)
      fail(ErrorKind::usage, "verify.regions: the grid {} has no cell in '{}'", truth.grid().to_string(), name);
  }
  return regions;
}

std::vector<std::size_t> choose_spectra(const VerifyConfig& config, const FieldSeries& truth,
                                        const std::vector<std::size_t>& channels) {
  std::vector<std::size_t> chosen;
  const auto taken = [&](std::size_t index) {
    return std::find(channels.begin(), channels.end(), index) != channels.end();
  };
  if (!truth.grid().periodic()) return chosen;
  for (const std::string& name : config.spectra.empty() ? usual_spectra : config.spectra) {
    const auto index = find_channel(truth.channels(), parse_channel(name));
    if (index && taken(*index)) {
      chosen.push_back(*index);
    } else if (!config.spectra.empty()) {
      fail(ErrorKind::usage, "verify.spectra: '{}' is not among the channels that are verified", name);
    }
  }
  return chosen;
}

Json describe_run(const VerifySummary& summary, const ScoringPlan& plan, const ScoringResult& result) {
  Json json;
  json["initial_times"] = summary.initial_times;
  json["first"] = to_string(plan.starts.front().initial);
  json["last"] = to_string(plan.starts.back().initial);
  json["members"] = summary.members;
  json["pairs"] = summary.pairs;
  json["missing_pairs"] = summary.missing_pairs;
  for (std::size_t i = 0; i < plan.leads.size(); ++i) {
    json["lead_hours"].push_back(hours(plan.leads[i]));
    json["samples"].push_back(result.samples[i]);
  }
  for (const RegionWeights& r : plan.regions) json["regions"].push_back(r.name());
  for (const std::size_t c : plan.channels) json["channels"].push_back(plan.truth.channels()[c].name());
  json["grid"] = plan.truth.grid().to_string();
  json["climatology"] = summary.climatology;
  json["truth"] = plan.truth.identity();
  return json;
}

Json describe_spectra(const std::vector<SpectrumRecord>& spectra) {
  Json json = Json::array();
  for (const SpectrumRecord& s : spectra)
    json.push_back({{"variable", s.channel.variable},
                    {"level_hpa", s.channel.level_hpa > 0 ? Json(s.channel.level_hpa) : Json()},
                    {"lead_hours", s.lead_hours},
                    {"forecast", s.forecast},
                    {"truth", s.truth}});
  return json;
}

Json describe_ranks(const std::vector<RankRecord>& ranks) {
  Json json = Json::array();
  for (const RankRecord& r : ranks)
    json.push_back({{"variable", r.channel.variable},
                    {"level_hpa", r.channel.level_hpa > 0 ? Json(r.channel.level_hpa) : Json()},
                    {"lead_hours", r.lead_hours},
                    {"frequencies", r.frequencies}});
  return json;
}

}  // namespace

void describe(config::Table& table, VerifyConfig& c) {
  std::vector<std::string> regions;
  for (const Region& r : region_table()) regions.push_back(r.name);
  table.key("first", c.first, "First initial time that counts (default: the first forecast)");
  table.key("last", c.last, "Last initial time that counts (default: the last forecast)");
  table.key("leads", c.leads, "Leads to score (default: all the forecasts hold, but 0)");
  table.key("regions", c.regions, "Regions (default: all; land variants where the archive holds a land-sea mask)")
      .one_of(regions);
  table.key("metrics", c.metrics, "Scores (default: all)").one_of(all_metrics);
  table.key("channels", c.channels, "Channels such as z500 or 2t (default: all that forecast and archive share)");
  table.key("spectra", c.spectra,
            "Channels whose zonal spectra are kept (default: z500, t850, q700, 10u where present)");
  table.key("climatology_first", c.climatology_first,
            "First time of the climatology's period (default: the archive's training period)");
  table.key("climatology_last", c.climatology_last,
            "Last time of the climatology's period (default: the archive's training period)");
  table.key("mesh", c.mesh,
            "How ranks share the work, such as `spatial=4`: so many hold slabs of latitude of each field; the others "
            "take other initial times");
  table.check("mesh", [&c]() -> std::string {
    try {
      const parallel::MeshShape shape = parallel::parse_mesh(c.mesh);
      if (shape[parallel::Axis::pipeline] > 1 || shape[parallel::Axis::tensor] > 1)
        return "verification is cut along data and spatial";
      if (shape[parallel::Axis::spatial] > static_cast<int>(row_bands))
        return fmt::format("spatial: at most {}", row_bands);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  });
  table.check("last", [&c]() -> std::string {
    if (c.first && c.last && *c.first > *c.last)
      return fmt::format("ends at {} before it begins at {}", to_string(*c.last), to_string(*c.first));
    return "";
  });
  table.check("climatology_last", [&c]() -> std::string {
    if (c.climatology_first && c.climatology_last && *c.climatology_first > *c.climatology_last)
      return fmt::format("ends at {} before it begins at {}", to_string(*c.climatology_last),
                         to_string(*c.climatology_first));
    return "";
  });
}

VerifySummary verify(const VerifyConfig& config, const parallel::Communicator& communicator, const FieldSeries& truth,
                     std::vector<ForecastStart> starts,
                     const std::function<std::unique_ptr<ingest::Source>(const std::filesystem::path&)>& open,
                     const std::filesystem::path& run_dir) {
  for (const std::string& metric : config.metrics)
    if (std::find(all_metrics.begin(), all_metrics.end(), metric) == all_metrics.end())
      fail(ErrorKind::usage, "verify.metrics: {}", unknown_word("metric", metric, all_metrics));
  const parallel::Mesh mesh(communicator, mesh_of(config, communicator.size()));
  starts = choose_starts(config, truth, std::move(starts));
  const std::vector<Duration> leads = choose_leads(config, starts);
  const std::vector<std::size_t> channels = choose_channels(config, truth, starts);
  const ClimatologyDefinition definition = define_climatology(truth, config.climatology_first, config.climatology_last);
  std::vector<RegionWeights> regions = choose_regions(config, truth);
  const std::vector<std::size_t> spectral = choose_spectra(config, truth, channels);
  log::info("verify: {} initial times from {} to {}, {} leads, {} channels, {} regions", starts.size(),
            to_string(starts.front().initial), to_string(starts.back().initial), leads.size(), channels.size(),
            regions.size());
  log::info("verify: climatology is the {}", definition.text());
  const Climatology climatology = Climatology::fit(truth, definition, run_dir / "climatology.bin", communicator);

  const ScoringPlan plan{truth, climatology, std::move(starts), leads, channels, std::move(regions), spectral, open, 1};
  ScoringResult result = score(plan, mesh);
  VerifySummary summary;
  summary.initial_times = plan.starts.size();
  summary.members = plan.starts.front().members.size();
  summary.climatology = definition.text();
  for (const std::size_t samples : result.samples) summary.pairs += samples;
  summary.missing_pairs = plan.starts.size() * plan.leads.size() - summary.pairs;
  if (summary.pairs == 0)
    fail(ErrorKind::data,
         "verify: no truth for any valid time: the forecasts reach from {} to {}, the archive holds {} to {}",
         to_string(plan.starts.front().initial + leads.front()), to_string(plan.starts.back().initial + leads.back()),
         to_string(truth.times().front()), to_string(truth.times().back()));
  if (summary.missing_pairs > 0)
    log::warning(
        "verify: {} of {} pairs of initial time and lead are left out: forecast or archive lacks the valid time",
        summary.missing_pairs, plan.starts.size() * plan.leads.size());
  if (!config.metrics.empty())
    std::erase_if(result.records, [&](const ScoreRecord& r) {
      return std::find(config.metrics.begin(), config.metrics.end(), r.metric) == config.metrics.end();
    });
  const Json meta = describe_run(summary, plan, result);
  summary.scores = ScoreTable(std::move(result.records));
  int kind = 0;
  std::string message;
  if (communicator.is_root()) {
    try {
      write_file(run_dir / "verification.json", meta.dump(2) + "\n");
      write_file(run_dir / "spectra.json", describe_spectra(result.spectra).dump() + "\n");
      if (result.ranks.empty())
        std::filesystem::remove(run_dir / "rank_histograms.json");  // of an ensemble verified here before
      else
        write_file(run_dir / "rank_histograms.json", describe_ranks(result.ranks).dump() + "\n");
      summary.scores.write_csv(run_dir / "scores.csv");
      summary.scores.write_json(run_dir / "scores.json");
    } catch (const Error& error) {
      kind = error.exit_code();
      message = error.what();
    }
  }
  communicator.agree(kind, message);
  return summary;
}

VerifySummary run_verify(const VerifyConfig& config, const parallel::Communicator& communicator,
                         const std::filesystem::path& archive_dir, const std::filesystem::path& forecast_dir,
                         const std::filesystem::path& run_dir) {
  std::unique_ptr<FieldSeries> truth;
  int kind = 0;
  std::string message;
  try {
    truth = open_archive_series(archive_dir);
  } catch (const Error& error) {
    kind = error.exit_code();
    message = error.what();
  }
  communicator.agree(kind, message);
  return verify(
      config, communicator, *truth, list_forecasts(forecast_dir, communicator),
      [](const std::filesystem::path& path) { return ingest::open_source(path); }, run_dir);
}

}  // namespace zonda::postproc
