#include "postproc/report/report.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/provenance.hpp"
#include "parallel/communicator.hpp"
#include "postproc/maps/field_style.hpp"
#include "postproc/report/assimilation_report.hpp"
#include "postproc/report/headline.hpp"
#include "postproc/report/html_page.hpp"
#include "postproc/report/pictures.hpp"
#include "postproc/report/training_curve.hpp"
#include "postproc/verification/field_series.hpp"
#include "postproc/verification/region.hpp"

namespace zonda::postproc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_json(const fs::path& path) {
  if (!fs::exists(path)) return {};
  Json json = Json::parse(read_file(path), nullptr, false);
  if (json.is_discarded()) fail(ErrorKind::data, "{}: not JSON", path.string());
  return json;
}

std::string amount(double value) {
  const double magnitude = std::abs(value);
  return magnitude >= 100 ? fmt::format("{:.1f}", value)
         : magnitude >= 1 ? fmt::format("{:.2f}", value)
                          : fmt::format("{:.3g}", value);
}

/// With a true minus sign, and no minus before nought.
std::string decimals(double value, int digits) {
  std::string text = fmt::format("{:.{}f}", std::abs(value), digits);
  const bool nought = text.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !nought ? "\u2212" + text : text;
}

std::string lead_text(double hours) {
  return fmt::format("{:g} h", hours);
}

std::string duration_text(double seconds) {
  if (seconds < 100) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long>(std::lround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

/// Leads for tables: all up to a dozen, else whole days, else every n-th.
std::vector<double> table_leads(const std::vector<double>& all) {
  constexpr std::size_t most = 12;
  if (all.size() <= most) return all;
  std::vector<double> chosen;
  for (const double lead : all)
    if (std::fmod(lead, 24) == 0) chosen.push_back(lead);
  if (chosen.empty()) chosen = all;
  const std::size_t every = (chosen.size() + most - 1) / most;
  std::vector<double> fewer;
  for (std::size_t i = 0; i < chosen.size(); i += every) fewer.push_back(chosen[i]);
  return fewer;
}

class Report {
 public:
  Report(const ReportConfig& config, const fs::path& run_dir)
      : config_(config),
        run_dir_(run_dir),
        meta_(read_json(run_dir / "verification.json")),
        provenance_(read_json(run_dir / "provenance.json")),
        page_(title(), subtitle()) {}

  void write() {
    const bool scored = fs::exists(run_dir_ / "scores.json");
    if (scored) scores_ = ScoreTable::read(run_dir_ / "scores.json");
    const fs::path metrics = metrics_file();
    const bool cycled = fs::exists(run_dir_ / "cycling" / "assimilation.json");
    if (!scored && !cycled && metrics.empty())
      fail(ErrorKind::data, "{}: nothing to report: neither scores.json, metrics.jsonl nor cycling is there",
           run_dir_.string());
    facts();
    if (cycled) add_assimilation(page_, run_dir_, config_.coastlines);
    if (scored) {
      choose_channels();
      headline();
      curves();
      maps();
      spectra();
      ensemble();
      regions();
    } else if (!cycled) {
      page_.section("scores", "Scores");
      page_.paragraph("This run was not verified: there is no scores.json.", "note");
    }
    if (!metrics.empty()) training(metrics);
    if (scored || !metrics.empty()) definitions();
    run();
    write_file(
        run_dir_ / "index.html",
        page_.render(fmt::format("Made by zonda {}. Coastlines: Natural Earth, public domain.", code_version())));
  }

 private:
  std::string title() const {
    if (!config_.title.empty()) return config_.title;
    const std::string name = fs::absolute(run_dir_).lexically_normal().filename().string();
    return name.empty() ? "Forecast run" : "Run " + name;
  }

  std::string subtitle() const {
    if (meta_.is_null()) return "A Zonda run";
    return fmt::format("Forecasts from {} to {}, verified against the archive", meta_.value("first", "?").substr(0, 10),
                       meta_.value("last", "?").substr(0, 10));
  }

  fs::path picture(const std::string& name) const { return run_dir_ / "report" / name; }

  fs::path metrics_file() const {
    for (const fs::path& path : {run_dir_ / "metrics.jsonl", run_dir_ / "checkpoints" / "metrics.jsonl"})
      if (fs::exists(path)) return path;
    return {};
  }

  void facts() {
    if (!meta_.is_null()) {
      page_.fact("Grid", meta_.value("grid", "?"));
      page_.fact("Channels", std::to_string(meta_["channels"].size()));
      page_.fact("Initial times", std::to_string(meta_.value("initial_times", 0)));
      if (meta_.value("members", 1) > 1) page_.fact("Members", std::to_string(meta_.value("members", 1)));
      if (!meta_["lead_hours"].empty())
        page_.fact("Leads", fmt::format("{:g} to {:g} h", meta_["lead_hours"].front().get<double>(),
                                        meta_["lead_hours"].back().get<double>()));
    }
    if (provenance_.contains("ranks")) page_.fact("Ranks", provenance_["ranks"].dump());
  }

  void choose_channels() {
    if (config_.channels.empty()) {
      channels_ = key_channels(scores_);
      if (channels_.size() > 6) channels_.resize(6);
      return;
    }
    std::vector<std::string> known;
    for (const Channel& channel : scores_.channels()) known.push_back(channel.name());
    for (const std::string& name : config_.channels) {
      const auto at = std::find(known.begin(), known.end(), name);
      if (at == known.end()) throw Error(ErrorKind::usage, "report.channels: " + unknown_word("channel", name, known));
      channels_.push_back(scores_.channels()[static_cast<std::size_t>(at - known.begin())]);
    }
  }

  void headline() {
    page_.section("headline", "In short");
    const double lead = headline_lead(scores_);
    const std::vector<HeadlineRow> rows = headline_rows(scores_, lead, config_.region);
    if (rows.empty()) {
      page_.paragraph(fmt::format("No root mean square error was scored over {}.", config_.region), "note");
      return;
    }
    const HeadlineRow& first = rows.front();
    page_.paragraph(
        first.best()
            ? fmt::format(
                  "At {} the model beats persistence and climatology for {}: its error is {:.0f} % of persistence's.",
                  lead_text(lead), first.label, 100 * first.forecast / first.persistence)
            : fmt::format("At {} the model does not beat both persistence and climatology for {}.", lead_text(lead),
                          first.label),
        "verdict");
    HtmlTable table;
    table.head = {fmt::format("RMSE at {}", lead_text(lead)),
                  "unit",
                  "model",
                  "persistence",
                  "climatology",
                  "model / persistence",
                  "model / climatology"};
    for (const HeadlineRow& row : rows) {
      const auto ratio = [](double value) {
        return fmt::format("<span class=\"{}\">{:.2f}</span>", value < 1 ? "good" : "bad", value);
      };
      table.rows.push_back({escape_html(row.label), escape_html(row.unit), "<b>" + amount(row.forecast) + "</b>",
                            amount(row.persistence), amount(row.climatology), ratio(row.forecast / row.persistence),
                            ratio(row.forecast / row.climatology)});
    }
    page_.html(table.render());
  }

  void curves() {
    page_.section("scores", "Scores by lead");
    const std::vector<double> leads = table_leads(scores_.lead_hours());
    for (const Channel& channel : channels_) {
      const ScoreUnit unit = score_unit(channel);
      HtmlTable table;
      table.head = {escape_html(channel_title(channel))};
      for (const double lead : leads) table.head.push_back(lead_text(lead));
      const std::string metric = error_metric(channel);
      // As many decimals as the error itself is worth.
      double size = 0;
      for (const double lead : leads)
        size = std::max(size, scores_.find(channel, lead, config_.region, metric, "forecast").value_or(0) * unit.scale);
      const int own = size >= 100 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : size >= 0.01 ? 4 : 6;
      const auto add = [&](const std::string& label, const std::string& metric_name, const std::string& source,
                           double scale, int digits) {
        std::vector<std::string> row{escape_html(label)};
        bool any = false;
        for (const double lead : leads) {
          const auto value = scores_.find(channel, lead, config_.region, metric_name, source);
          row.push_back(value ? decimals(*value * scale, digits) : "–");
          any = any || value;
        }
        if (any) table.rows.push_back(row);
      };
      const std::string name = metric == "rmse" ? "RMSE" : "vector RMSE";
      const std::string in_unit = unit.unit.empty() ? "" : " (" + unit.unit + ")";
      const bool members = meta_.value("members", 1) > 1;
      for (const char* source : {"forecast", "persistence", "climatology"})
        add(fmt::format("{} {}{}{}", name, source, members && std::string_view(source) == "forecast" ? " (mean)" : "",
                        in_unit),
            metric, source, unit.scale, own);
      add("ACC forecast", "acc", "forecast", 1, 3);
      add("ACC persistence", "acc", "persistence", 1, 3);
      add("bias forecast" + in_unit, "bias", "forecast", unit.scale, own);
      add("MAE forecast" + in_unit, "mae", "forecast", unit.scale, own);
      add("activity forecast" + in_unit, "activity", "forecast", unit.scale, own);
      add("CRPS forecast" + in_unit, "crps", "forecast", unit.scale, own);
      add("spread / error", "spread_error_ratio", "forecast", 1, 2);
      page_.html(table.render());
    }
    page_.paragraph(
        fmt::format("Region: {}. All scores, regions and levels: scores.json and scores.csv beside this page.",
                    config_.region),
        "note");
    draw_score_curves(scores_, channels_, config_.region, picture("scores.png"));
    page_.picture("report/scores.png", "Score curves by lead", "Model, persistence and climatology by lead.");
    draw_run_scorecard(scores_, config_.region, "persistence", picture("scorecard.png"));
    page_.picture("report/scorecard.png", "Scorecard",
                  "Root mean square error of the model against persistence's, by channel and lead.");
  }

  /// The leads of maps: those asked for, as far as they were scored.
  std::vector<Duration> map_leads(const ForecastStart& start, const FieldSeries& truth) const {
    std::vector<Duration> held;
    for (const Time valid : start.members.front().valid_times)
      if (valid > start.initial && truth.find_time(valid)) held.push_back(valid - start.initial);
    std::vector<Duration> chosen;
    const std::vector<Duration> wanted =
        config_.leads.empty() ? std::vector<Duration>{Duration(24 * 3600), Duration(72 * 3600)} : config_.leads;
    for (const Duration lead : wanted) {
      if (held.empty()) break;
      const Duration nearest = *std::min_element(held.begin(), held.end(), [&](Duration a, Duration b) {
        return std::chrono::abs(a - lead) < std::chrono::abs(b - lead);
      });
      if (std::find(chosen.begin(), chosen.end(), nearest) == chosen.end()) chosen.push_back(nearest);
    }
    return chosen;
  }

  void maps() {
    const fs::path archive = run_dir_ / "archive", forecasts = run_dir_ / "forecast";
    if (!fs::exists(archive) || !fs::exists(forecasts)) return;
    const auto truth = open_archive_series(archive);
    std::vector<ForecastStart> starts = list_forecasts(forecasts, parallel::Communicator::self());
    std::erase_if(starts, [&](const ForecastStart& start) {
      return !truth->find_time(start.initial) || map_leads(start, *truth).empty();
    });
    if (starts.empty()) return;
    const ForecastStart* chosen = &starts[starts.size() / 2];
    if (config_.initial) {
      const auto found = std::find_if(starts.begin(), starts.end(),
                                      [&](const ForecastStart& start) { return start.initial == *config_.initial; });
      if (found == starts.end())
        fail(ErrorKind::usage, "report.initial: no forecast from {} that can be judged; they start from {} to {}",
             to_string(*config_.initial), to_string(starts.front().initial), to_string(starts.back().initial));
      chosen = &*found;
    }
    page_.section("maps", "Maps");
    std::size_t drawn = 0;
    for (const Channel& channel : channels_) {
      if (++drawn > 4 && config_.channels.empty()) break;
      for (const Duration lead : map_leads(*chosen, *truth)) {
        const std::string name = fmt::format("map_{}_{}.png", channel.name(), to_string(lead));
        draw_case(*truth, chosen->members.front(), channel, lead, config_.coastlines, picture(name));
        page_.picture(
            "report/" + name, field_style(channel).title + " maps",
            fmt::format("{}, {} after {}.", field_style(channel).title, to_string(lead), to_string(chosen->initial)));
      }
    }
  }

  void spectra() {
    const fs::path file = run_dir_ / "spectra.json";
    if (!fs::exists(file) || !draw_spectra(file, picture("spectra.png"))) return;
    page_.section("spectra", "Spectra");
    page_.picture(
        "report/spectra.png", "Zonal spectra",
        "Power by zonal wavenumber between 30 and 60 degrees of both hemispheres: forecasts that lose power at high "
        "wavenumbers are too smooth.");
  }

  void ensemble() {
    const fs::path file = run_dir_ / "rank_histograms.json";
    if (!fs::exists(file) || !draw_ensemble(scores_, channels_, config_.region, file, picture("ensemble.png"))) return;
    page_.section("ensemble", "Ensemble");
    page_.picture("report/ensemble.png", "Spread and rank histograms",
                  "Spread against the error of the ensemble's mean, and how often so many members are below the truth: "
                  "a histogram that is high at both ends says that the members are too much alike.");
  }

  void regions() {
    const std::vector<HeadlineRow> rows = headline_rows(scores_, headline_lead(scores_), config_.region);
    const std::vector<std::string> names = scores_.regions();
    if (rows.empty() || names.size() < 2) return;
    const double lead = headline_lead(scores_);
    page_.section("regions", fmt::format("By region at {}", lead_text(lead)));
    HtmlTable table;
    table.head = {"model RMSE / persistence RMSE"};
    for (const HeadlineRow& row : rows) table.head.push_back(escape_html(row.label));
    for (const std::string& name : names) {
      std::vector<std::string> cells{name};
      const std::vector<HeadlineRow> here = headline_rows(scores_, lead, name);
      for (const HeadlineRow& column : rows) {
        const auto found =
            std::find_if(here.begin(), here.end(), [&](const HeadlineRow& r) { return r.channel == column.channel; });
        if (found == here.end()) {
          cells.emplace_back("–");
          continue;
        }
        const double ratio = found->forecast / found->persistence;
        cells.push_back(fmt::format("<span class=\"{}\">{:.2f}</span>", ratio < 1 ? "good" : "bad", ratio));
      }
      table.rows.push_back(std::move(cells));
    }
    page_.html(table.render());
  }

  void training(const fs::path& metrics) {
    page_.section("training", "Training");
    const TrainingCurve curve = read_training_curve(metrics);
    if (curve.loss.empty()) {
      page_.paragraph("The training has not made a step yet.", "note");
      return;
    }
    draw_training_curve(curve, picture("training.png"));
    page_.paragraph(
        fmt::format("{:.0f} steps; loss from {:.4g} to {:.4g}{}.", curve.loss.back().first, curve.loss.front().second,
                    curve.loss.back().second,
                    curve.skipped > 0 ? fmt::format("; {} steps left out by the guard", curve.skipped) : ""));
    page_.picture("report/training.png", "Training curve", "Loss, validation and learning rate by step.");
  }

  void definitions() {
    if (meta_.is_null()) return;
    page_.section("definitions", "How it was verified");
    page_.paragraph(fmt::format("Climatology: {}.", meta_.value("climatology", "?")));
    page_.paragraph(
        "Errors are weighted by cell area (the difference of the sines of the latitude bounds). The mean square error "
        "is averaged "
        "over initial times before the root is taken; the anomaly correlation is uncentred, against the climatology of "
        "the valid "
        "time, taken for each initial time and then averaged. Persistence is the truth at the initial time. Regions "
        "are those of "
        "WeatherBench 2.");
    if (meta_.value("missing_pairs", 0) > 0)
      page_.paragraph(fmt::format(
          "{} of {} pairs of initial time and lead are left out, because forecast or archive lacks the valid "
          "time; persistence and climatology are scored on the same pairs.",
          meta_.value("missing_pairs", 0), meta_.value("missing_pairs", 0) + meta_.value("pairs", 0)));
  }

  void run() {
    page_.section("run", "The run");
    Json stages = provenance_.contains("stages") ? provenance_["stages"] : read_json(run_dir_ / "stages.json");
    if (stages.is_object() && !stages.empty()) {
      HtmlTable table;
      table.head = {"stage", "time", "peak memory"};
      for (const auto& [name, stage] : stages.items()) {
        const double seconds = stage.value("seconds", std::nan("")),
                     bytes = stage.value("peak_memory_bytes", std::nan(""));
        table.rows.push_back({escape_html(name), std::isfinite(seconds) ? duration_text(seconds) : "–",
                              std::isfinite(bytes) ? fmt::format("{:.0f} MiB", bytes / (1 << 20)) : "–"});
      }
      page_.html(table.render());
    }
    if (provenance_.is_object() && !provenance_.empty()) {
      HtmlTable table;
      table.text_columns = true;
      for (const auto& [name, value] : provenance_.items()) {
        if (name == "stages" || value.is_null() || ((value.is_object() || value.is_array()) && value.empty())) continue;
        if (value.is_object()) {
          for (const auto& [key, inner] : value.items())
            table.rows.push_back({escape_html(name + ": " + key), "<code>" + escape_html(text_of(inner)) + "</code>"});
        } else {
          table.rows.push_back({escape_html(name), "<code>" + escape_html(text_of(value)) + "</code>"});
        }
      }
      page_.html("<h3>Provenance</h3>\n" + table.render());
    }
    if (fs::exists(run_dir_ / "config.full.yaml"))
      page_.html("<details><summary>Configuration with every default</summary><pre>" +
                 escape_html(read_file(run_dir_ / "config.full.yaml")) + "</pre></details>\n");
  }

  static std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

  const ReportConfig& config_;
  fs::path run_dir_;
  Json meta_, provenance_;
  ScoreTable scores_;
  std::vector<Channel> channels_;
  HtmlPage page_;
};

}  // namespace

void describe(config::Table& table, ReportConfig& c) {
  table.key("title", c.title, "Title of the page (default: the run's name)");
  table.key("channels", c.channels,
            "Channels of maps and curves, such as z500; wind250 or 10wind for wind vectors (default: the usual ones)");
  table.key("leads", c.leads, "Leads of the maps (default: 24h and 72h, or the nearest there are)");
  table.key("initial", c.initial, "Initial time of the maps (default: the middle one)");
  std::vector<std::string> regions;
  for (const Region& r : region_table()) regions.push_back(r.name);
  table.key("region", c.region, "Region of curves and tables").one_of(regions);
  table.key("coastlines", c.coastlines, "Draw Earth's coastlines on the maps");
}

void write_report(const ReportConfig& config, const std::filesystem::path& run_dir) {
  Report(config, run_dir).write();
}

}  // namespace zonda::postproc
