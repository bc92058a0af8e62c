// The loss of rows of an image: its parts and its gradient have the bits that they have in the whole image.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/ops/loss.hpp"

namespace zonda::model {
namespace {

constexpr std::int64_t samples = 4, channels = 3, rows = 21, columns = 13;
const std::vector<std::int64_t> cuts{0, 2, 5, 8, 10, 13, 16, 18, 21};  // eight chunks
const std::vector<float> channel_weight{1.0F, 0.25F, 2.0F}, sample_weight{1.0F, 0.5F, 2.0F, 1.0F};

std::vector<double> row_weights() {
  std::vector<double> weights(rows);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 0.5 + 0.05 * static_cast<double>(i);
  return weights;
}

template <class T>
std::vector<T> numbers(const char* purpose) {
  const Philox random(3, purpose);
  std::vector<T> values(static_cast<std::size_t>(samples * channels * rows * columns));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(random.normal(i));
  return values;
}

/// Rows [begin, end) of every field.
template <class T>
std::vector<T> rows_of(const std::vector<T>& images, std::int64_t begin, std::int64_t end) {
  std::vector<T> part;
  for (std::int64_t f = 0; f < samples * channels; ++f)
    part.insert(part.end(), images.begin() + (f * rows + begin) * columns, images.begin() + (f * rows + end) * columns);
  return part;
}

/// What is scored: squared and absolute errors, or an ensemble of two.
enum class Score { squared, absolute, crps };

struct Outcome {
  double loss;
  std::vector<double> parts;
};
template <class T>
struct Scored : Outcome {
  std::vector<T> gradient;
};

/// Of rows [cuts[first], cuts[last]) by the chunks between.
template <class T>
Scored<T> score(Score kind, std::size_t first, std::size_t last, bool chunked = true) {
  const std::int64_t begin = cuts[first], height = cuts[last] - begin;
  std::vector<T> p = rows_of(numbers<T>("p"), begin, begin + height), t = numbers<T>("t");
  t[7] = std::numeric_limits<T>::quiet_NaN();
  t = rows_of(t, begin, begin + height);
  const std::vector<double> all = row_weights();
  const auto weights = std::span(all).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(height));
  std::vector<std::int64_t> own;
  for (std::size_t g = first; g <= last; ++g) own.push_back(cuts[g] - begin);
  Scored<T> scored;
  scored.parts.resize(last - first);
  scored.gradient.resize(p.size());
  const LossRows of = chunked ? LossRows{rows, own, scored.parts} : LossRows{};
  const Shape shape{samples, channels, height, columns};
  const Tensor x = Tensor::of(p, shape), y = Tensor::of(t, shape), g = Tensor::of(scored.gradient, shape);
  scored.loss = kind == Score::crps ? fair_crps(2, x, y, weights, channel_weight, g, 0.5, of)
                                    : weighted_loss(kind == Score::squared ? LossKind::squared : LossKind::absolute, x,
                                                    y, weights, channel_weight, sample_weight, g, 0.5, {}, of);
  return scored;
}

template <class T>
void expect_equal_bits() {
  for (const Score kind : {Score::squared, Score::absolute, Score::crps}) {
    const Scored<T> whole = score<T>(kind, 0, 8), at_once = score<T>(kind, 0, 8, false);
    EXPECT_EQ(whole.gradient, at_once.gradient);
    EXPECT_NEAR(whole.loss, at_once.loss, 1e-14 * std::abs(at_once.loss));
    EXPECT_EQ(whole.loss, std::accumulate(whole.parts.begin(), whole.parts.end(), 0.0));
    for (const std::size_t slabs : {1, 2, 4, 8})
      for (std::size_t s = 0; s < slabs; ++s) {
        const std::size_t each = 8 / slabs, first = s * each;
        const Scored<T> slab = score<T>(kind, first, first + each);
        const auto begin = whole.parts.begin() + static_cast<std::ptrdiff_t>(first);
        EXPECT_EQ(slab.parts, std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(each)));
        EXPECT_EQ(slab.gradient, rows_of(whole.gradient, cuts[first], cuts[first + each]));
      }
  }
}

TEST(LossRows, HaveTheBitsOfTheWholeImage) {
  expect_equal_bits<float>();
  expect_equal_bits<double>();
}

TEST(LossRows, ThatDoNotFitAreNamed) {
  std::vector<double> x(12), weights{1, 1, 1}, parts(2);
  const Tensor image = Tensor::of(x, {1, 1, 3, 4});
  const std::vector<float> one{1};
  const auto error_of = [&](const std::vector<std::int64_t>& chunks, std::span<double> into) -> std::string {
    try {
      weighted_loss(LossKind::squared, image, image, weights, one, {}, {}, 1, {}, {6, chunks, into});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(error_of({0, 1, 3}, parts), "");
  EXPECT_EQ(error_of({0, 1, 2}, parts), "loss: 2 chunks of rows to 2, 2 parts, of images of 3 rows");
  EXPECT_NE(error_of({0, 3}, parts), "");
  EXPECT_NE(error_of({0, 2, 1, 3}, {}), "");
}

}  // namespace
}  // namespace zonda::model
