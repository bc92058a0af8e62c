#pragma once
// scores.json and scores.csv: the stable interface of a verification.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/variables.hpp"

namespace zonda::postproc {

struct ScoreRecord {
  std::string variable;  ///< short name; `wind`, `10wind` ... for wind vectors
  int level_hpa = 0;     ///< 0 for variables without levels (null in scores.json, empty in scores.csv)
  double lead_hours = 0;
  std::string region;
  std::string metric;  ///< rmse, mse, bias, mae, acc, activity, wind_vector_rmse; ensembles: crps, spread ...
  std::string source;  ///< forecast, persistence, climatology
  double value = 0;    ///< unit of the variable (SI), squared for mse; acc and ratios without unit
};

/// The records with a look-up.
class ScoreTable {
 public:
  ScoreTable() = default;
  explicit ScoreTable(std::vector<ScoreRecord> records);
  /// Reads scores.json. Throws Error(data) naming the file and what is wrong.
  static ScoreTable read(const std::filesystem::path& json);

  const std::vector<ScoreRecord>& records() const { return records_; }
  std::optional<double> find(const Channel& channel, double lead_hours, std::string_view region,
                             std::string_view metric, std::string_view source) const;
  /// (lead in hours, value) by ascending lead.
  std::vector<std::pair<double, double>> curve(const Channel& channel, std::string_view region, std::string_view metric,
                                               std::string_view source) const;
  /// In order of first appearance.
  std::vector<Channel> channels() const;
  std::vector<double> lead_hours() const;  ///< ascending
  std::vector<std::string> regions() const;

  void write_json(const std::filesystem::path& path) const;
  void write_csv(const std::filesystem::path& path) const;

 private:
  std::vector<ScoreRecord> records_;
  std::map<std::string, std::map<double, double>> index_;
};

}  // namespace zonda::postproc
