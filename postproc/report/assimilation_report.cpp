#include "postproc/report/assimilation_report.hpp"

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "postproc/maps/field_style.hpp"
#include "postproc/report/assimilation_pictures.hpp"

namespace zonda::postproc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_json(const fs::path& path) {
  Json json = Json::parse(read_file(path), nullptr, false);
  if (json.is_discarded()) fail(ErrorKind::data, "{}: not JSON", path.string());
  return json;
}

std::vector<Json> read_lines(const fs::path& path) {
  std::vector<Json> records;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    records.push_back(Json::parse(line, nullptr, false));
    if (records.back().is_discarded()) fail(ErrorKind::data, "{}, line {}: not JSON", path.string(), records.size());
  }
  return records;
}

std::string number(const Json& from, const char* key, double scale = 1, int digits = 3) {
  if (!from.contains(key)) return "–";
  return fmt::format("{:.{}g}", from[key].get<double>() * scale, digits);
}

/// The page's sections, one after another.
class AssimilationPages {
 public:
  AssimilationPages(HtmlPage& page, const fs::path& run_dir, bool coastlines)
      : page_(page),
        pictures_(run_dir / "report"),
        folder_(run_dir / "cycling"),
        index_(read_json(folder_ / "assimilation.json")),
        coastlines_(coastlines) {
    channels_ = index_.at("channels").get<std::vector<std::string>>();
    for (const Json& analysis : index_.at("analyses")) {
      const std::string name = analysis.at("name");
      analyses_.push_back({name, analysis.at("method"),
                           std::make_shared<const Json>(read_json(folder_ / name / "summary.json")),
                           std::make_shared<const std::vector<Json>>(read_lines(folder_ / name / "cycles.jsonl"))});
    }
    fs::create_directories(pictures_);
  }

  void write() {
    errors();
    ensembles();
    departures();
    impacts();
    increments();
  }

 private:
  bool truth_is_known() const {
    for (const CycledAnalysis& analysis : analyses_)
      for (const auto& [channel, score] : analysis.summary->at("analysis").items())
        if (score.contains("error")) return true;
    return false;
  }

  void picture(const std::string& file, const std::string& caption) {
    page_.picture("report/" + file, caption, caption);
  }

  void errors() {
    page_.section("analyses", "Analyses");
    page_.paragraph(fmt::format(
        "{} members, an analysis every {:g} h from {} to {}; scores are means over the cycles "
        "after {:g} h.",
        index_.at("members").get<int>(), index_.at("every_hours").get<double>(), index_.at("start").get<std::string>(),
        index_.at("end").get<std::string>(), index_.at("spin_up_hours").get<double>()));
    HtmlTable table;
    table.head = {"analysis",       "channel", "unit",           "background error",
                  "analysis error", "spread",  "spread / error", "CRPS"};
    for (const CycledAnalysis& analysis : analyses_)
      for (const auto& [channel, score] : analysis.summary->at("analysis").items()) {
        const ScoreUnit unit = score_unit(parse_channel(channel));
        table.rows.push_back({escape_html(analysis.name), escape_html(channel_title(parse_channel(channel))),
                              escape_html(unit.unit),
                              number((*analysis.summary)["background"][channel], "error", unit.scale),
                              number(score, "error", unit.scale), number(score, "spread", unit.scale),
                              number(score, "spread_error"), number(score, "crps", unit.scale)});
      }
    page_.html(table.render());
    if (truth_is_known()) {
      draw_cycle_errors(analyses_, channels_, pictures_ / "cycle_errors.png");
      picture("cycle_errors.png", "Error of the mean of background and analysis, by time");
    }
    draw_spectrum_drift(analyses_, channels_, pictures_ / "cycle_spectrum.png");
    picture("cycle_spectrum.png", "Power of the small scales over that at the start: a rise without end is noise");
    if (draw_launched_forecasts(analyses_, channels_, pictures_ / "cycle_forecasts.png"))
      picture("cycle_forecasts.png", "Error of forecasts from the analyses, and from an older truth, by lead");
    if (draw_costs(analyses_, pictures_ / "cycle_costs.png"))
      picture("cycle_costs.png", "The cost function by outer iteration");
  }

  void ensembles() {
    bool open = false;
    for (const CycledAnalysis& analysis : analyses_) {
      const std::string file = "cycle_ensemble_" + analysis.name + ".png";
      if (!draw_cycle_ensemble(analysis, channels_, pictures_ / file)) continue;
      if (!open) page_.section("ensembles", "Ensembles");
      open = true;
      picture(file, "Spread and error, and the ranks of the truth, of " + analysis.name);
    }
  }

  void departures() {
    page_.section("departures", "Observations");
    for (const CycledAnalysis& analysis : analyses_) {
      const Json& counts = analysis.summary->at("observations");
      if (counts.at("read").get<std::uint64_t>() == 0) continue;
      std::string reasons;
      for (const auto& [reason, count] : counts.at("rejected").items())
        reasons += fmt::format(", {} {}", reason, count.get<std::uint64_t>());
      page_.html("<h3>" + escape_html(analysis.name) + "</h3>\n");
      page_.paragraph(fmt::format("{} values read, {} used{}.", counts.at("read").get<std::uint64_t>(),
                                  counts.at("used").get<std::uint64_t>(),
                                  reasons.empty() ? ", none rejected" : "; rejected:" + reasons.substr(1)));
      departure_table(analysis);
      const std::string profile = "cycle_departures_" + analysis.name + ".png";
      if (draw_departures(analysis, pictures_ / profile)) picture(profile, "Departures by level, " + analysis.name);
      for (const char* variable : {"t", "u", "sp"}) {
        const std::string file = fmt::format("cycle_stations_{}_{}.png", analysis.name, variable);
        if (draw_stations(analysis, variable, coastlines_, pictures_ / file))
          picture(file, fmt::format("Background departures by place, {}", analysis.name));
      }
    }
  }

  void departure_table(const CycledAnalysis& analysis) {
    HtmlTable table;
    table.head = {"kind",         "variable",  "hPa",       "values", "bias",      "background rms",
                  "analysis rms", "obs error", "diagnosed", "spread", "diagnosed", "signal / value"};
    for (const Json& item : analysis.summary->at("departures"))
      table.rows.push_back(
          {escape_html(item.at("kind").get<std::string>()), escape_html(item.at("variable").get<std::string>()),
           item.at("level_hpa").get<int>() == 0 ? "surface" : item.at("level_hpa").dump(),
           fmt::format("{:.0f}", item.at("count").get<double>()), number(item, "background_mean"),
           number(item, "background_rms"), number(item, "analysis_rms"), number(item, "observation_error"),
           number(item, "diagnosed_observation_error"), number(item, "background_spread"),
           number(item, "diagnosed_background_error"), number(item, "signal_per_observation", 1, 2)});
    if (!table.rows.empty()) page_.html(table.render());
  }

  void impacts() {
    bool open = false;
    for (const CycledAnalysis& analysis : analyses_) {
      const Json impact = analysis.summary->value("impact", Json());
      if (impact.is_null()) continue;
      if (!open) page_.section("impacts", "What observations did to forecasts");
      open = true;
      const double analyses = impact.at("analyses"), total = impact.at("total"), before = impact.at("background_error"),
                   after = impact.at("analysis_error");
      page_.html("<h3>" + escape_html(analysis.name) + "</h3>\n");
      page_.paragraph(
          fmt::format("Mean over {:.0f} analyses: the error of the forecast from the background is {:.4g} J/kg of dry "
                      "total energy, from the analysis {:.4g} J/kg. The shares of the observations, by the adjoints of "
                      "model and analysis, add up to {:.0f} % of the change.",
                      analyses, before / analyses, after / analyses, 100 * total / (after - before)));
      HtmlTable table;
      table.head = {"kind", "variable", "hPa", "values", "share, %", "each, 1e-6 J/kg", "lower the error, %"};
      for (const Json& item : impact.at("by_kind")) {
        const double count = item.at("count"), share = item.at("share");
        table.rows.push_back({escape_html(item.at("kind").get<std::string>()),
                              escape_html(item.at("variable").get<std::string>()),
                              item.at("level_hpa").get<int>() == 0 ? "surface" : item.at("level_hpa").dump(),
                              fmt::format("{:.0f}", count), fmt::format("{:.1f}", 100 * share / total),
                              fmt::format("{:.3g}", -1e6 * share / count),
                              fmt::format("{:.1f}", 100 * item.at("useful").get<double>() / count)});
      }
      page_.html(table.render());
      for (const auto& [what, caption, drawn] :
           {std::tuple{"kinds", "Impact of an observation by kind, variable and level",
                       draw_impacts(analysis, pictures_ / ("cycle_impact_kinds_" + analysis.name + ".png"))},
            {"stations", "Impact of stations",
             draw_impacts_of_stations(analysis, coastlines_,
                                      pictures_ / ("cycle_impact_stations_" + analysis.name + ".png"))}})
        if (drawn)
          picture(fmt::format("cycle_impact_{}_{}.png", what, analysis.name),
                  fmt::format("{}, {}", caption, analysis.name));
    }
  }

  void increments() {
    bool open = false;
    for (const CycledAnalysis& analysis : analyses_) {
      if (analysis.method == "none") continue;
      for (const std::string& channel : channels_) {
        const std::string file = fmt::format("cycle_increment_{}_{}.png", analysis.name, channel);
        if (!draw_increments(folder_ / analysis.name, channel, coastlines_, pictures_ / file)) continue;
        if (!open) page_.section("increments", "Increments");
        open = true;
        picture(file, fmt::format("The last analysis of {}, {}", analysis.name, channel));
      }
    }
  }

  HtmlPage& page_;
  fs::path pictures_, folder_;
  Json index_;
  bool coastlines_;
  std::vector<std::string> channels_;
  std::vector<CycledAnalysis> analyses_;
};

}  // namespace

void add_assimilation(HtmlPage& page, const fs::path& run_dir, bool coastlines) {
  AssimilationPages(page, run_dir, coastlines).write();
}

}  // namespace zonda::postproc
