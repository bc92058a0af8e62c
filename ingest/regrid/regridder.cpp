#include "ingest/regrid/regridder.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <limits>
#include <list>
#include <mutex>
#include <thread>

#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "ingest/regrid/weights.hpp"

namespace zonda::ingest {
namespace {

constexpr std::array<std::pair<const char*, RegridMethod>, 4> methods{{{"nearest", RegridMethod::nearest},
                                                                       {"bilinear", RegridMethod::bilinear},
                                                                       {"conservative", RegridMethod::conservative},
                                                                       {"conservative2", RegridMethod::conservative2}}};

/// line = w * row, or line += w * row.
template <class Value>
inline void scale_row(const Value* row, double w, std::size_t n, double* line, bool first) {
  if (first) {
    for (std::size_t j = 0; j < n; ++j) line[j] = w * static_cast<double>(row[j]);
  } else {
    for (std::size_t j = 0; j < n; ++j) line[j] += w * static_cast<double>(row[j]);
  }
}
template <class Value>
inline void blend_rows(const Value* a, double wa, const Value* b, double wb, std::size_t n, double* line, bool first) {
  if (first) {
    for (std::size_t j = 0; j < n; ++j) line[j] = wa * static_cast<double>(a[j]) + wb * static_cast<double>(b[j]);
  } else {
    for (std::size_t j = 0; j < n; ++j) line[j] += wa * static_cast<double>(a[j]) + wb * static_cast<double>(b[j]);
  }
}
ZONDA_CLONES void scale(const float* row, double w, std::size_t n, double* line, bool first) {
  scale_row(row, w, n, line, first);
}
ZONDA_CLONES void scale(const double* row, double w, std::size_t n, double* line, bool first) {
  scale_row(row, w, n, line, first);
}
ZONDA_CLONES void blend(const float* a, double wa, const float* b, double wb, std::size_t n, double* line, bool first) {
  blend_rows(a, wa, b, wb, n, line, first);
}
ZONDA_CLONES void blend(const double* a, double wa, const double* b, double wb, std::size_t n, double* line,
                        bool first) {
  blend_rows(a, wa, b, wb, n, line, first);
}

template <class Value>
double row_mean(const Value* row, std::size_t n) {
  double sum = 0;
  for (std::size_t j = 0; j < n; ++j) sum += static_cast<double>(row[j]);
  return sum / static_cast<double>(n);
}

template <class Value>
bool any_nan(const Value* row, std::size_t n) {
  bool found = false;
  for (std::size_t j = 0; j < n; ++j) found |= std::isnan(row[j]);
  return found;
}

/// One target row. `first_row`: the source row at `field`. `line` is scratch of 2 * (source columns).
template <class Value>
class RowProduct {
 public:
  RowProduct(const Regridder::Weights& weights, const Value* field, std::size_t first_row)
      : w_(weights), field_(field), first_row_(first_row), nlat_(weights.source.nlat()), nlon_(weights.source.nlon()) {}

  void operator()(std::size_t target_row, double* line, Value* out) const {
    const std::uint32_t begin = w_.rows.begin[target_row], end = w_.rows.begin[target_row + 1];
    bool first = true;
    for (std::uint32_t k = begin; k < end; ++k) {
      if (w_.rows.index[k] >= nlat_) {
        const double value = w_.rows.weight[k] * row_mean(row(pole_row(w_.rows.index[k])), nlon_);
        for (std::size_t j = 0; j < nlon_; ++j) line[j] = value + (first ? 0.0 : line[j]);
      } else if (k + 1 < end && w_.rows.index[k + 1] < nlat_) {
        blend(row(w_.rows.index[k]), w_.rows.weight[k], row(w_.rows.index[k + 1]), w_.rows.weight[k + 1], nlon_, line,
              first);
        ++k;
      } else {
        scale(row(w_.rows.index[k]), w_.rows.weight[k], nlon_, line, first);
      }
      first = false;
    }
    apply_columns(w_.columns, line, out);
    if (any_nan(out, w_.columns.targets())) renormalised(target_row, line, out);
  }

 private:
  std::size_t pole_row(std::size_t index) const { return index == nlat_ ? 0 : nlat_ - 1; }
  const Value* row(std::size_t r) const { return field_ + (r - first_row_) * nlon_; }

  /// The same over finite values only: their weighted sum, divided by their weights' sum.
  void renormalised(std::size_t target_row, double* sums, Value* out) const {
    double* valid = sums + nlon_;
    std::fill(sums, sums + 2 * nlon_, 0.0);
    for (std::uint32_t k = w_.rows.begin[target_row]; k < w_.rows.begin[target_row + 1]; ++k) {
      const double weight = w_.rows.weight[k];
      const std::size_t index = w_.rows.index[k];
      const Value* values = row(index >= nlat_ ? pole_row(index) : index);
      if (index >= nlat_) {
        double sum = 0, count = 0;
        for (std::size_t j = 0; j < nlon_; ++j) {
          if (std::isnan(values[j])) continue;
          sum += static_cast<double>(values[j]);
          ++count;
        }
        for (std::size_t j = 0; j < nlon_; ++j) {
          sums[j] += weight * sum / static_cast<double>(nlon_);
          valid[j] += weight * count / static_cast<double>(nlon_);
        }
      } else {
        for (std::size_t j = 0; j < nlon_; ++j) {
          if (std::isnan(values[j])) continue;
          sums[j] += weight * static_cast<double>(values[j]);
          valid[j] += weight;
        }
      }
    }
    std::uint32_t k = 0;
    for (std::size_t i = 0; i < w_.columns.targets(); ++i) {
      double sum = 0, total = 0;
      for (; k < w_.columns.begin[i + 1]; ++k) {
        sum += w_.columns.weight[k] * sums[w_.columns.index[k]];
        total += w_.columns.weight[k] * valid[w_.columns.index[k]];
      }
      // The margin: a half that is 0.49999999999999994 in floating point is a half.
      out[i] = total > 0 && total >= w_.minimum_valid - 1e-9 ? static_cast<Value>(sum / total)
                                                             : std::numeric_limits<Value>::quiet_NaN();
    }
  }

  const Regridder::Weights& w_;
  const Value* field_;
  std::size_t first_row_, nlat_, nlon_;
};

template <class Value>
void apply_fields(const Regridder::Weights& w, std::span<const Value> in, std::span<Value> out, int threads) {
  const std::size_t fields = count_fields(w, in.size(), out.size());
  const std::size_t rows = w.target.nlat(), columns = w.target.nlon();
  share_work(fields * rows, threads, [&](std::size_t begin, std::size_t end) {
    std::vector<double> line(2 * w.source.nlon());
    for (std::size_t i = begin; i < end; ++i) {
      const RowProduct<Value> product(w, in.data() + i / rows * w.source.size(), 0);
      product(i % rows, line.data(), out.data() + i * columns);
    }
  });
}

}  // namespace

std::size_t count_fields(const Regridder::Weights& w, std::size_t in, std::size_t out) {
  const std::size_t fields = in / w.source.size();
  if (in != fields * w.source.size() || out != fields * w.target.size()) {
    fail(ErrorKind::failure, "regridding {} to {}: {} values in and {} out are not the same number of fields",
         w.source.to_string(), w.target.to_string(), in, out);
  }
  return fields;
}

void share_work(std::size_t n, int threads, const std::function<void(std::size_t, std::size_t)>& body) {
  const auto parts = std::min(n, static_cast<std::size_t>(std::max(threads, 1)));
  if (parts <= 1) {
    if (n > 0) body(0, n);
    return;
  }
  std::vector<std::exception_ptr> errors(parts);
  {
    std::vector<std::jthread> workers;
    for (std::size_t p = 0; p < parts; ++p) {
      workers.emplace_back([&, p] {
        try {
          body(n * p / parts, n * (p + 1) / parts);
        } catch (...) {
          errors[p] = std::current_exception();
        }
      });
    }
  }
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

RegridMethod parse_regrid_method(std::string_view name) {
  std::vector<std::string> known;
  for (const auto& [text, method] : methods) {
    if (text == name) return method;
    known.emplace_back(text);
  }
  throw Error(ErrorKind::usage, unknown_word("regridding method", name, known));
}

std::string_view to_string(RegridMethod method) {
  for (const auto& [text, known] : methods) {
    if (known == method) return text;
  }
  return "";
}

Regridder::Regridder(const Grid& source, const Grid& target, RegridMethod method, double minimum_valid) {
  if (!(minimum_valid > 0 && minimum_valid <= 1)) {
    fail(ErrorKind::usage, "the smallest valid fraction of a regridded cell is {}; expected above 0, at most 1",
         minimum_valid);
  }
  weights_ = std::make_shared<const Weights>(Weights{source, target, method, minimum_valid,
                                                     row_weights(source, target, method),
                                                     column_weights(source, target, method)});
}

const Grid& Regridder::source() const {
  return weights_->source;
}
const Grid& Regridder::target() const {
  return weights_->target;
}
RegridMethod Regridder::method() const {
  return weights_->method;
}

double Regridder::minimum_valid() const {
  return weights_->minimum_valid;
}

void Regridder::apply(std::span<const float> in, std::span<float> out, int threads) const {
  apply_fields(*weights_, in, out, threads);
}

void Regridder::apply(std::span<const double> in, std::span<double> out, int threads) const {
  apply_fields(*weights_, in, out, threads);
}

void Regridder::apply_adjoint(std::span<const double> target_bar, std::span<double> source_bar, int threads) const {
  const Weights& w = *weights_;
  const std::size_t fields = count_fields(w, source_bar.size(), target_bar.size());
  const std::size_t nlat = w.source.nlat(), nlon = w.source.nlon(), rows = w.target.nlat(), columns = w.target.nlon();
  share_work(fields, threads, [&](std::size_t begin, std::size_t end) {
    std::vector<double> line(nlon);
    for (std::size_t f = begin; f < end; ++f) {
      double* source = source_bar.data() + f * w.source.size();
      std::fill(source, source + w.source.size(), 0.0);
      for (std::size_t i = 0; i < rows; ++i) {
        const double* bar = target_bar.data() + f * w.target.size() + i * columns;
        std::fill(line.begin(), line.end(), 0.0);
        std::uint32_t c = 0;
        for (std::size_t j = 0; j < columns; ++j) {
          for (; c < w.columns.begin[j + 1]; ++c) line[w.columns.index[c]] += w.columns.weight[c] * bar[j];
        }
        for (std::uint32_t k = w.rows.begin[i]; k < w.rows.begin[i + 1]; ++k) {
          const std::size_t index = w.rows.index[k];
          if (index < nlat) {
            double* row = source + index * nlon;
            for (std::size_t j = 0; j < nlon; ++j) row[j] += w.rows.weight[k] * line[j];
          } else {
            const double mean = w.rows.weight[k] * row_mean(line.data(), nlon);
            double* row = source + (index == nlat ? 0 : nlat - 1) * nlon;
            for (std::size_t j = 0; j < nlon; ++j) row[j] += mean;
          }
        }
      }
    }
  });
}

Rows Regridder::source_rows(Rows target) const {
  const Weights& w = *weights_;
  const std::size_t nlat = w.source.nlat();
  if (target.begin > target.end || target.end > w.target.nlat()) {
    fail(ErrorKind::failure, "rows {} to {} of a target grid of {} rows", target.begin, target.end, w.target.nlat());
  }
  if (target.size() == 0) return {0, 0};
  Rows rows{nlat, 0};
  for (std::uint32_t k = w.rows.begin[target.begin]; k < w.rows.begin[target.end]; ++k) {
    const std::size_t index = w.rows.index[k];
    const std::size_t row = index < nlat ? index : index == nlat ? 0 : nlat - 1;
    rows.begin = std::min(rows.begin, row);
    rows.end = std::max(rows.end, row + 1);
  }
  return rows;
}

void Regridder::apply_rows(Rows target, std::span<const float> in, std::span<float> out) const {
  const Weights& w = *weights_;
  const Rows rows = source_rows(target);
  if (in.size() != rows.size() * w.source.nlon() || out.size() != target.size() * w.target.nlon()) {
    fail(ErrorKind::failure, "regridding rows {} to {} takes {} values and gives {}, not {} and {}", target.begin,
         target.end, rows.size() * w.source.nlon(), target.size() * w.target.nlon(), in.size(), out.size());
  }
  const RowProduct<float> product(w, in.data(), rows.begin);
  std::vector<double> line(2 * w.source.nlon());
  for (std::size_t i = target.begin; i < target.end; ++i) {
    product(i, line.data(), out.data() + (i - target.begin) * w.target.nlon());
  }
}

namespace {

/// Whether two grids are the same to the last bit (operator== allows for coordinates that files have rounded).
bool identical(const Grid& a, const Grid& b) {
  const auto equal = [](std::span<const double> x, std::span<const double> y) {
    return x.size() == y.size() && (x.data() == y.data() || std::equal(x.begin(), x.end(), y.begin()));
  };
  return a.periodic() == b.periodic() && a.longitude_step() == b.longitude_step() &&
         equal(a.latitudes(), b.latitudes()) && equal(a.longitudes(), b.longitudes()) &&
         equal(a.latitude_bounds(), b.latitude_bounds());
}

}  // namespace

Regridder cached_regridder(const Grid& source, const Grid& target, RegridMethod method, double minimum_valid) {
  constexpr std::size_t kept = 16;
  static std::mutex mutex;
  static std::list<Regridder> cache;  // last used first
  const std::lock_guard lock(mutex);
  const auto found = std::find_if(cache.begin(), cache.end(), [&](const Regridder& known) {
    return known.method() == method && known.minimum_valid() == minimum_valid && identical(known.source(), source) &&
           identical(known.target(), target);
  });
  if (found != cache.end()) {
    cache.splice(cache.begin(), cache, found);
  } else {
    cache.emplace_front(source, target, method, minimum_valid);
    if (cache.size() > kept) cache.pop_back();
  }
  return cache.front();
}

}  // namespace zonda::ingest
