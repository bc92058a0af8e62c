#pragma once
// Several sources as one.
#include <memory>
#include <vector>

#include "ingest/sources/source.hpp"

namespace zonda::ingest {

/// A field that several have is read from each and compared, NaN equal to NaN: Error(data) naming the two where they
/// differ. Static fields count as the same field whatever time their files give; the first file's time stands.
/// Throws Error(data) where a channel has different grids.
std::unique_ptr<Source> merge_sources(std::vector<std::unique_ptr<Source>> sources);

}  // namespace zonda::ingest
