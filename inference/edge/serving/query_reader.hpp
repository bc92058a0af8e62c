#pragma once
// Strict reading of a query: every parameter known, once, and what it should be.
#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "inference/edge/serving/station_api.hpp"

namespace zonda::edge {

/// Ends a request with an answer that names the parameter.
class RequestFault : public std::runtime_error {
 public:
  RequestFault(int status, std::string parameter, const std::string& message)
      : std::runtime_error(message), status_(status), parameter_(std::move(parameter)) {}
  Answer answer() const { return error_answer(status_, parameter_, what()); }

 private:
  int status_;
  std::string parameter_;
};

class QueryReader {
 public:
  QueryReader(const Query& query, const std::vector<std::string>& known) : query_(query) {
    for (const auto& [key, value] : query) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        throw RequestFault(400, key.substr(0, 64), unknown_word("parameter", key.substr(0, 64), known));
      if (query.count(key) > 1) throw RequestFault(400, key, "given more than once");
    }
  }
  std::optional<std::string> text(const std::string& key) const {
    const auto found = query_.find(key);
    if (found == query_.end()) return std::nullopt;
    return found->second;
  }
  std::optional<double> number(const std::string& key, double least, double most) const {
    const auto word = text(key);
    if (!word) return std::nullopt;
    double value = 0;
    const auto [end, fault] = std::from_chars(word->data(), word->data() + word->size(), value);
    if (fault != std::errc() || end != word->data() + word->size() || !(value >= least && value <= most))
      throw RequestFault(400, key,
                         fmt::format("'{}': expected a number from {} to {}", word->substr(0, 64), least, most));
    return value;
  }

 private:
  const Query& query_;
};

}  // namespace zonda::edge
