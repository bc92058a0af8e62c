#include "parallel/faults/flight_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string_view>

namespace zonda::parallel {
namespace {

/// FNV-1a over what all ranks of a collective must agree on.
std::uint64_t signature(const Operation& operation) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&](std::uint64_t byte) { hash = (hash ^ byte) * 0x100000001b3; };
  const std::string_view name = operation.name;
  for (const char c : name) mix(static_cast<unsigned char>(c));
  const bool uneven = name == "all_to_all" || name == "all_gather uneven";
  for (int shift = 0; shift < 64; shift += 8) {
    mix(uneven ? 0 : operation.bytes >> shift & 0xff);
    mix(static_cast<std::uint64_t>(operation.root) >> shift & 0xff);
  }
  return hash;
}

}  // namespace

std::string Flight::text() const {
  std::string text;
  for (const auto& [group, sequence] : entered) text += fmt::format("entered\t{}\t{}\n", group, sequence);
  for (const Record& r : records)
    text += fmt::format("call\t{}\t{}\t{}\t{}\t{}\t{:x}\t{:.6f}\t{}\n", r.operation, r.group, r.sequence, r.bytes,
                        r.root, r.signature, r.started, r.ended ? fmt::format("{:.6f}", *r.ended) : "-");
  return text;
}

Flight parse_flight(const std::string& text) {
  Flight flight;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> words;
    std::istringstream fields(line);
    for (std::string word; std::getline(fields, word, '\t');) words.push_back(word);
    if (words.size() == 3 && words[0] == "entered") flight.entered[words[1]] = std::stoull(words[2]);
    if (words.size() != 9 || words[0] != "call") continue;
    Record record;
    record.operation = words[1];
    record.group = words[2];
    record.sequence = std::stoull(words[3]);
    record.bytes = std::stoull(words[4]);
    record.root = std::stoll(words[5]);
    record.signature = std::stoull(words[6], nullptr, 16);
    record.started = std::stod(words[7]);
    if (words[8] != "-") record.ended = std::stod(words[8]);
    flight.records.push_back(std::move(record));
  }
  return flight;
}

std::uint64_t FlightRecorder::begin(const Call& call) {
  const std::scoped_lock lock(mutex_);
  if (call.operation.collective) entered_[call.group->name] = call.sequence;
  entries_.push_back({next_, call, clock::now(), std::nullopt});
  if (entries_.size() > capacity_) {
    const auto over = std::find_if(entries_.begin(), entries_.end(), [](const Entry& e) { return e.end.has_value(); });
    if (over != entries_.end()) entries_.erase(over);
  }
  return next_++;
}

void FlightRecorder::end(std::uint64_t id) {
  const std::scoped_lock lock(mutex_);
  const auto entry = std::lower_bound(entries_.begin(), entries_.end(), id,
                                      [](const Entry& e, std::uint64_t wanted) { return e.id < wanted; });
  if (entry != entries_.end() && entry->id == id) entry->end = clock::now();
}

Record FlightRecorder::record(const Entry& entry, clock::time_point now) {
  const auto before_now = [&](clock::time_point t) { return std::chrono::duration<double>(now - t).count(); };
  const Operation& operation = entry.call.operation;
  Record record{operation.name,          entry.call.group->name, entry.call.sequence,
                operation.bytes,         operation.root,         signature(operation),
                before_now(entry.start), std::nullopt,           entry.call.group->members};
  if (entry.end) record.ended = before_now(*entry.end);
  return record;
}

Flight FlightRecorder::flight() const {
  const std::scoped_lock lock(mutex_);
  Flight flight;
  flight.entered = entered_;
  const clock::time_point now = clock::now();
  for (const Entry& entry : entries_) flight.records.push_back(record(entry, now));
  return flight;
}

std::optional<Record> FlightRecorder::find(std::uint64_t id) const {
  const std::scoped_lock lock(mutex_);
  for (const Entry& entry : entries_)
    if (entry.id == id) return record(entry, clock::now());
  return std::nullopt;
}

std::optional<Record> FlightRecorder::oldest_under_way() const {
  const std::scoped_lock lock(mutex_);
  for (const Entry& entry : entries_)
    if (!entry.end) return record(entry, clock::now());
  return std::nullopt;
}

}  // namespace zonda::parallel
