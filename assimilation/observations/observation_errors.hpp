#pragma once
// Standard deviations of observation errors by kind of report, variable and pressure.
#include <map>
#include <string>

#include "ingest/observations/observation_table.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::assimilation {

struct ErrorRule {
  std::string variable;
  double error = 0;  ///< SI
};

struct ObservationErrorConfig {
  std::vector<ErrorRule> errors;              ///< replace the tables for these variables, whatever the kind
  std::vector<ErrorRule> representativeness;  ///< added in quadrature: what the model's grid does not resolve
  double inflation = 1;                       ///< factor of all
};
void describe(config::Table& table, ErrorRule& rule);
void describe(config::Table& table, ObservationErrorConfig& config);

/// From the tables: those of soundings and aircraft linear in ln p, constant beyond their ends; humidity a fifth of the
/// saturation humidity of the standard atmosphere. NaN where there is no table.
/// After the prescribed errors of ECMWF's IFS documentation (part I, observation errors).
double standard_observation_error(ingest::ReportKind kind, std::string_view variable, double pressure);

/// Gives each accepted entry an error: its own where it has one, else that of the configuration or the tables. Entries
/// without any are rejected as `unsupported`. Throws Error(usage) on a variable that is not known.
void assign_errors(ingest::ObservationTable& table, const ObservationErrorConfig& config = {});

}  // namespace zonda::assimilation
