#pragma once
// A source over arrays that follow the CF conventions, whatever file format holds them.
#include <memory>

#include "ingest/sources/cf_dataset.hpp"
#include "ingest/sources/source.hpp"

namespace zonda::ingest {

/// Throws Error(data) where no field can be named, saying why for each array that looks like one (curvilinear grids,
/// unknown dimensions, unknown names).
std::unique_ptr<Source> make_cf_source(std::unique_ptr<CfDataset> dataset, const NameMapping& mapping);

}  // namespace zonda::ingest
