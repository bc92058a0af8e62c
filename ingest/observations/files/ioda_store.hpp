#pragma once
// The native store of observations: HDF5 in the layout of JEDI's IODA. Groups hold one array along the dimension
// Location for each quantity (MetaData) or variable (ObsValue, ObsError, PreQC; of observations that met a background
// hofx). Of those that were analysed there are hofx0 and hofx1, H of background and analysis, ombg and oman, the
// departures from them, EffectiveQC, and ObsBias0, which was taken off ObsValue, where there was any.
#include <filesystem>

#include "ingest/observations/reading_account.hpp"
#include "parallel/communicator.hpp"

namespace zonda::ingest {

/// Writes the tables of all ranks, in the order of ranks, as one file: entries of one report and place become one
/// location. The root lays the file out, then every rank writes its part of each array in place; the bytes do not
/// depend on how reports are shared out. What is not known is the fill value. Throws Error(failure) where the file
/// cannot be written.
void write_ioda(const std::filesystem::path& path, const ObservationTable& table,
                const parallel::Communicator& ranks = parallel::Communicator::self());

/// This rank's part of a table that all ranks hold whole, locations uncut, for write_ioda.
ObservationTable own_locations(const ObservationTable& table, const parallel::Communicator& ranks);

/// Whether an HDF5 file has the groups of this layout.
bool is_ioda(const std::filesystem::path& path);
/// Reads this rank's share of the locations. Variables of ObsValue that are not known are counted as `unsupported`.
/// Non-zero PreQC becomes that flag, or `rejected at source` where the number is no flag of ours; so does EffectiveQC,
/// which is looked at first. Throws Error(data) where the file is no such store.
ReadObservations read_ioda(const std::filesystem::path& path,
                           const parallel::Communicator& ranks = parallel::Communicator::self());

}  // namespace zonda::ingest
