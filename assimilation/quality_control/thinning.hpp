#pragma once
// Fewer observations where they stand closer than the model or the errors' independence allows.
#include "ingest/observations/observation_table.hpp"

namespace zonda::assimilation {

/// Boxes of equal area: rows of `spacing` in latitude, as many columns in each as fit its circle; in ln p and time.
struct ThinningBoxes {
  double spacing = 100e3;  ///< m
  double depth = 0.1;      ///< in ln p
  double duration = 3600;  ///< s
};

/// In each box one entry of a kind and variable stays: the one nearest to its centre, of equals the first. The others
/// are flagged `thinned`. Components of one wind stay or go together.
void thin(ingest::ObservationTable& table, ingest::ReportKind kind, const ThinningBoxes& boxes);

/// In each box the mean stands for all entries of a kind and variable: it replaces the entry that thin() would keep,
/// with the mean place, time, ln p, value and background, and the error of a mean of independent values together with
/// `common`, the part that they share (SI; 0: none). The others are flagged `thinned`.
void superob(ingest::ObservationTable& table, ingest::ReportKind kind, const ThinningBoxes& boxes, double common = 0);

}  // namespace zonda::assimilation
