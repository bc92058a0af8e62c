#pragma once
// The order of a source's fields: by valid time first, so that a state's fields stand together.
#include <tuple>

#include "ingest/sources/source.hpp"

namespace zonda::ingest {

inline bool field_order(const FieldKey& a, const FieldKey& b) {
  return std::tie(a.valid_time, a.channel, a.reference_time, a.member, a.accumulation) <
         std::tie(b.valid_time, b.channel, b.reference_time, b.member, b.accumulation);
}

/// For messages: `z500 of 2018-10-06T18:00:00Z, run of ..., member 3`.
std::string describe(const FieldKey& key);

}  // namespace zonda::ingest
