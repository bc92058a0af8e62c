#include "model/ops/loss.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.hpp"
#include "core/vectorise.hpp"

namespace zonda::model {

namespace {

/// One row of one channel: returns the sum of d, writes factor * d' where `gradient` is not null.
ZONDA_CLONES double row_loss(bool squared, const float* p, const float* t, float* gradient, std::int64_t n,
                             float factor) {
  double sum = 0;
  if (squared) {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < n; ++j) {
      const float e = t[j] != t[j] ? 0.0f : p[j] - t[j];
      sum += double(e) * double(e);
      if (gradient) gradient[j] = 2 * factor * e;
    }
  } else {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < n; ++j) {
      const float e = t[j] != t[j] ? 0.0f : p[j] - t[j];
      sum += double(std::fabs(e));
      if (gradient) gradient[j] = e > 0 ? factor : e < 0 ? -factor : 0.0f;
    }
  }
  return sum;
}

double row_loss(bool squared, const double* p, const double* t, double* gradient, std::int64_t n, double factor) {
  double sum = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const double e = std::isnan(t[j]) ? 0.0 : p[j] - t[j];
    sum += squared ? e * e : std::fabs(e);
    if (gradient) gradient[j] = squared ? 2 * factor * e : e > 0 ? factor : e < 0 ? -factor : 0;
  }
  return sum;
}

/// The chunks of LossRows, and what each adds to a loss.
class Parts {
 public:
  Parts(const LossRows& rows, std::int64_t height)
      : all_{0, height}, cuts_(rows.cuts.empty() ? std::span<const std::int64_t>(all_) : rows.cuts), into_(rows.parts) {
    if (cuts_.size() < 2 || cuts_.front() != 0 || cuts_.back() != height ||
        !std::is_sorted(cuts_.begin(), cuts_.end()) || (!into_.empty() && into_.size() != count()))
      fail(ErrorKind::failure, "loss: {} chunks of rows to {}, {} parts, of images of {} rows", count(), cuts_.back(),
           into_.size(), height);
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  std::size_t count() const { return cuts_.size() - 1; }
  std::int64_t begin(std::size_t chunk) const { return cuts_[chunk]; }
  std::int64_t end(std::size_t chunk) const { return cuts_[chunk + 1]; }

  /// `field_sums` [field, chunk], each counted `weight(field)` times: fields are added in order, then chunks.
  template <class Weight>
  double total(std::span<const double> field_sums, Weight&& weight) const {
    double total = 0;
    for (std::size_t g = 0; g < count(); ++g) {
      double part = 0;
      for (std::size_t f = 0; f < field_sums.size() / count(); ++f) part += weight(f) * field_sums[f * count() + g];
      if (!into_.empty()) into_[g] = part;
      total += part;
    }
    return total;
  }

 private:
  std::array<std::int64_t, 2> all_;
  std::span<const std::int64_t> cuts_;
  std::span<double> into_;
};

template <class T>
double loss_of(LossKind kind, const Tensor& prediction, const Tensor& target, std::span<const double> row_weight,
               std::span<const float> channel_weight, std::span<const float> sample_weight, const Tensor& gradient,
               double scale, std::span<double> per_channel, const LossRows& of) {
  const std::int64_t batch = prediction.shape[0], channels = prediction.shape[1], rows = prediction.shape[2],
                     columns = prediction.shape[3];
  const Parts parts(of, rows);
  const double weights = std::accumulate(channel_weight.begin(), channel_weight.end(), 0.0);
  const double points = double(batch) * double(of.whole > 0 ? of.whole : rows) * double(columns),
               divisor = points * weights;
  // A field's sum over a chunk does not depend on who computes it.
  std::vector<double> sums(static_cast<std::size_t>(batch * channels) * parts.count());
#pragma omp parallel for schedule(static)
  for (std::int64_t f = 0; f < batch * channels; ++f) {
    const double sample = sample_weight.empty() ? 1.0 : double(sample_weight[static_cast<std::size_t>(f / channels)]);
    const double weight = sample * double(channel_weight[static_cast<std::size_t>(f % channels)]) / divisor;
    for (std::size_t g = 0; g < parts.count(); ++g) {
      double sum = 0;
      for (std::int64_t i = parts.begin(g); i < parts.end(g); ++i) {
        const std::int64_t at = (f * rows + i) * columns;
        const double w = row_weight[static_cast<std::size_t>(i)];
        sum += w * row_loss(kind == LossKind::squared, prediction.as<T>() + at, target.as<T>() + at,
                            gradient.none() ? nullptr : gradient.as<T>() + at, columns, T(scale * weight * w));
      }
      sums[static_cast<std::size_t>(f) * parts.count() + g] = sample * sum;
    }
  }
  const auto channel_of = [&](std::size_t f) { return f % static_cast<std::size_t>(channels); };
  if (!per_channel.empty()) {
    std::fill(per_channel.begin(), per_channel.end(), 0.0);
    for (std::size_t i = 0; i < sums.size(); ++i) per_channel[channel_of(i / parts.count())] += sums[i] / points;
  }
  return parts.total(sums, [&](std::size_t f) { return double(channel_weight[channel_of(f)]) / divisor; });
}

/// One row of one channel: `stride` numbers lie between members. Returns the sum of scores, writes factor * dscore.
template <class T>
double row_crps(int members, const T* p, const T* t, T* gradient, std::int64_t n, std::int64_t stride, T factor) {
  const T mean = T(1) / T(members), pair = T(1) / (T(members) * T(members - 1));
  std::vector<T> e(static_cast<std::size_t>(members));
  double sum = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const bool masked = std::isnan(t[j]);
    for (int i = 0; i < members; ++i)
      e[static_cast<std::size_t>(i)] = masked ? T(0) : p[i * stride + j] - t[i * stride + j];
    double score = 0;
    for (int i = 0; i < members; ++i) {
      const T ei = e[static_cast<std::size_t>(i)];
      T order = 0, spread = 0;  // members below less members above; sum of distances
      for (const T ej : e) {
        order += T(ei > ej) - T(ei < ej);
        spread += std::fabs(ei - ej);
      }
      score += double(mean * std::fabs(ei)) - 0.5 * double(pair * spread);
      if (gradient) gradient[i * stride + j] = factor * (mean * (T(ei > 0) - T(ei < 0)) - pair * order);
    }
    sum += score;
  }
  return sum;
}

template <class T>
double crps_of(int members, const Tensor& prediction, const Tensor& target, std::span<const double> row_weight,
               std::span<const float> channel_weight, const Tensor& gradient, double scale, const LossRows& of) {
  const std::int64_t batch = prediction.shape[0] / members, channels = prediction.shape[1], rows = prediction.shape[2],
                     columns = prediction.shape[3], stride = channels * rows * columns;
  const Parts parts(of, rows);
  const double weights = std::accumulate(channel_weight.begin(), channel_weight.end(), 0.0);
  const double divisor = double(batch) * double(of.whole > 0 ? of.whole : rows) * double(columns) * weights;
  std::vector<double> sums(static_cast<std::size_t>(batch * channels) * parts.count());
#pragma omp parallel for schedule(static)
  for (std::int64_t f = 0; f < batch * channels; ++f) {
    const double weight = double(channel_weight[static_cast<std::size_t>(f % channels)]) / divisor;
    for (std::size_t g = 0; g < parts.count(); ++g)
      for (std::int64_t i = parts.begin(g); i < parts.end(g); ++i) {
        const std::int64_t at = f / channels * members * stride + (f % channels * rows + i) * columns;
        const double w = weight * row_weight[static_cast<std::size_t>(i)];
        sums[static_cast<std::size_t>(f) * parts.count() + g] +=
            w * row_crps(members, prediction.as<T>() + at, target.as<T>() + at,
                         gradient.none() ? nullptr : gradient.as<T>() + at, columns, stride, T(scale * w));
      }
  }
  return parts.total(sums, [](std::size_t) { return 1.0; });
}

}  // namespace

double weighted_loss(LossKind kind, const Tensor& prediction, const Tensor& target, std::span<const double> row_weight,
                     std::span<const float> channel_weight, std::span<const float> sample_weight,
                     const Tensor& gradient, double scale, std::span<double> per_channel, const LossRows& rows) {
  const Shape& s = prediction.shape;
  if (s.rank() != 4 || target.shape != s || target.dtype != prediction.dtype ||
      (!gradient.none() && gradient.shape != s))
    fail(ErrorKind::failure, "loss of prediction {} against target {}: shapes or types differ", s.to_string(),
         target.shape.to_string());
  if (row_weight.size() != static_cast<std::size_t>(s[2]) || channel_weight.size() != static_cast<std::size_t>(s[1]) ||
      (!sample_weight.empty() && sample_weight.size() != static_cast<std::size_t>(s[0])) ||
      (!per_channel.empty() && per_channel.size() != static_cast<std::size_t>(s[1])))
    fail(ErrorKind::failure, "loss of {}: {} row, {} channel, {} sample weights do not fit", s.to_string(),
         row_weight.size(), channel_weight.size(), sample_weight.size());
  if (prediction.dtype == DType::f64)
    return loss_of<double>(kind, prediction, target, row_weight, channel_weight, sample_weight, gradient, scale,
                           per_channel, rows);
  return loss_of<float>(kind, prediction, target, row_weight, channel_weight, sample_weight, gradient, scale,
                        per_channel, rows);
}

double fair_crps(int members, const Tensor& prediction, const Tensor& target, std::span<const double> row_weight,
                 std::span<const float> channel_weight, const Tensor& gradient, double scale, const LossRows& rows) {
  const Shape& s = prediction.shape;
  if (members < 2 || s.rank() != 4 || s[0] % members || target.shape != s || target.dtype != prediction.dtype ||
      (!gradient.none() && gradient.shape != s) || row_weight.size() != static_cast<std::size_t>(s[2]) ||
      channel_weight.size() != static_cast<std::size_t>(s[1]))
    fail(ErrorKind::failure, "CRPS of {} members {} against {}, {} row and {} channel weights: these do not fit",
         members, s.to_string(), target.shape.to_string(), row_weight.size(), channel_weight.size());
  return prediction.dtype == DType::f64
             ? crps_of<double>(members, prediction, target, row_weight, channel_weight, gradient, scale, rows)
             : crps_of<float>(members, prediction, target, row_weight, channel_weight, gradient, scale, rows);
}

}  // namespace zonda::model
