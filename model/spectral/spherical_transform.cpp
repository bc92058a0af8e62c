#include "model/spectral/spherical_transform.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/vectorise.hpp"
#include "model/spectral/lanes.hpp"

namespace zonda::model {
namespace {

/// fourier [stride][parity][pairs] = sum over n of polynomials [n][pairs] * spectral [n][stride], even and odd n - m
/// apart.
ZONDA_CLONES void synthesis_product(const double* polynomials, std::size_t pairs, const double* spectral,
                                    std::size_t stride, int count, double* fourier) {
  for (std::size_t k = 0; k < stride; k += 4)
    for (std::size_t j = 0; j < pairs; j += lanes)
      for (int parity = 0; parity < 2; ++parity) {
        Lanes a = {}, b = {}, c = {}, d = {};
        for (int i = parity; i < count; i += 2) {
          const Lanes p = *as_lanes(polynomials + std::size_t(i) * pairs + j);
          const double* s = spectral + std::size_t(i) * stride + k;
          a += p * s[0];
          b += p * s[1];
          c += p * s[2];
          d += p * s[3];
        }
        double* out = fourier + (2 * k + std::size_t(parity)) * pairs + j;
        *as_lanes(out) = a;
        *as_lanes(out + 2 * pairs) = b;
        *as_lanes(out + 4 * pairs) = c;
        *as_lanes(out + 6 * pairs) = d;
      }
}

/// spectral [n][stride] = sum over pairs of polynomials [n][pairs] * fourier [parity of n - m][pairs][stride].
ZONDA_CLONES void analysis_product(const double* polynomials, std::size_t pairs, const double* fourier,
                                   std::size_t stride, int count, double* spectral) {
  for (int parity = 0; parity < 2; ++parity) {
    const double* f = fourier + std::size_t(parity) * pairs * stride;
    int i = parity;
    for (; i + 6 < count; i += 8) {
      const double* p = polynomials + std::size_t(i) * pairs;
      for (std::size_t k = 0; k < stride; k += lanes) {
        Lanes a = {}, b = {}, c = {}, d = {};
        for (std::size_t j = 0; j < pairs; ++j) {
          const Lanes v = *as_lanes(f + j * stride + k);
          a += v * p[j];
          b += v * p[j + 2 * pairs];
          c += v * p[j + 4 * pairs];
          d += v * p[j + 6 * pairs];
        }
        double* out = spectral + std::size_t(i) * stride + k;
        *as_lanes(out) = a;
        *as_lanes(out + 2 * stride) = b;
        *as_lanes(out + 4 * stride) = c;
        *as_lanes(out + 6 * stride) = d;
      }
    }
    for (; i < count; i += 2) {
      const double* p = polynomials + std::size_t(i) * pairs;
      for (std::size_t k = 0; k < stride; k += lanes) {
        Lanes a = {};
        for (std::size_t j = 0; j < pairs; ++j) a += *as_lanes(f + j * stride + k) * p[j];
        *as_lanes(spectral + std::size_t(i) * stride + k) = a;
      }
    }
  }
}

/// North and south rows of wave m from their even and odd parts, as waves m and -m of the signal north + i south.
ZONDA_CLONES void pack_wave(const double* re, const double* im, std::size_t pairs, double* plus, double* minus) {
  const Lanes er = *as_lanes(re), orr = *as_lanes(re + pairs), ei = *as_lanes(im), oi = *as_lanes(im + pairs);
  const Lanes nr = er + orr, sr = er - orr, ni = ei + oi, si = ei - oi;
  as_lanes(plus)[0] = nr - si;
  as_lanes(plus)[1] = ni + sr;
  if (minus) {
    as_lanes(minus)[0] = nr + si;
    as_lanes(minus)[1] = sr - ni;
  }
}

/// The reverse: even and odd parts (times `weight`) of wave m: out[0..3] = even real, even imaginary, odd real, odd
/// imaginary.
ZONDA_CLONES void unpack_wave(const double* plus, const double* minus, const double* weight, double* out) {
  const Lanes a = as_lanes(plus)[0], b = as_lanes(plus)[1], c = as_lanes(minus)[0], d = as_lanes(minus)[1];
  const Lanes w = *as_lanes(weight);
  const Lanes nr = a + c, ni = b - d, sr = b + d, si = c - a;
  as_lanes(out)[0] = (nr + sr) * w;
  as_lanes(out)[1] = (ni + si) * w;
  as_lanes(out)[2] = (nr - sr) * w;
  as_lanes(out)[3] = (ni - si) * w;
}

int padded_pairs(int nlat) {
  return ((nlat + 1) / 2 + lanes - 1) / lanes * lanes;
}

}  // namespace

SpectralIndex::SpectralIndex(int truncation) : truncation_(truncation) {
  offsets_.assign(1, 0);
  for (int m = 0; m <= truncation; ++m) offsets_.push_back(offsets_.back() + std::size_t(count(m)));
  for (int m = 0; m <= truncation; ++m)
    for (int n = m; n <= truncation + 1; ++n)
      epsilon_.push_back(std::sqrt(double(n - m) * (n + m) / (4.0 * n * n - 1.0)));
}

int SphericalTransform::quadratic_columns(int truncation) {
  int nlon = (3 * truncation + 1 + 31) / 32 * 32;
  while (!is_fast_length(nlon)) nlon += 32;
  return nlon;
}

SphericalTransform::SphericalTransform(int truncation)
    : index_(truncation),
      fourier_(quadratic_columns(truncation)),
      nlat_(fourier_.size() / 2),
      pairs_(padded_pairs(nlat_)) {
  gauss_legendre(std::size_t(nlat_), sines_, weights_);
  make_polynomials();
}

SphericalTransform::SphericalTransform(int truncation, std::span<const double> latitudes, int nlon,
                                       std::span<const double> weights)
    : index_(truncation),
      fourier_(nlon),
      nlat_(int(latitudes.size())),
      pairs_(padded_pairs(nlat_)),
      weights_(weights.begin(), weights.end()) {
  for (std::size_t row = 0; row < latitudes.size(); ++row) {
    if (std::abs(latitudes[row] + latitudes[latitudes.size() - 1 - row]) > 1e-6)
      fail(ErrorKind::usage, "spectral synthesis needs rows symmetric about the equator; row {} lies at {} degrees",
           row, latitudes[row]);
    sines_.push_back(std::sin(latitudes[row] * constants::pi / 180));
  }
  make_polynomials();
}

// Fourth of the standard three-term recurrences, in n for fixed m: stable at every latitude (Belousov 1962;
// Swarztrauber 1993).
void SphericalTransform::make_polynomials() {
  const std::size_t pairs = std::size_t(pairs_);
  polynomials_.assign(index_.size() * pairs, 0.0);
  for (std::size_t j = 0; j < std::size_t((nlat_ + 1) / 2); ++j) {
    const double mu = sines_[j], cosine = std::sqrt((1 - mu) * (1 + mu));
    double diagonal = 1;
    for (int m = 0; m <= truncation(); ++m) {
      if (m > 0) diagonal *= std::sqrt((2.0 * m + 1) / (2.0 * m)) * cosine;
      double before = 0, here = diagonal;
      for (int n = m; n <= truncation() + 1; ++n) {
        polynomials_[index_(m, n) * pairs + j] = here;
        if (n == truncation() + 1) break;
        const double next = (mu * here - index_.epsilon(m, n) * before) / index_.epsilon(m, n + 1);
        before = here;
        here = next;
      }
    }
  }
}

int SphericalTransform::row(int block, int member) const {
  const int pair = block * lanes + member % lanes;
  if (pair >= (nlat_ + 1) / 2) return -1;
  return member < lanes ? pair : nlat_ - 1 - pair;
}

void SphericalTransform::legendre_synthesis(int m, std::size_t series, const double* spectral, double* fourier) const {
  const std::size_t stride = padded(series), pairs = std::size_t(pairs_);
  synthesis_product(polynomials_.data() + index_.begin(m) * pairs, pairs, spectral + index_.begin(m) * stride, stride,
                    index_.count(m), fourier + std::size_t(m) * stride * 2 * pairs);
}

void SphericalTransform::legendre_analysis(int m, std::size_t series, const double* fourier, double* spectral) const {
  const std::size_t stride = padded(series), pairs = std::size_t(pairs_);
  analysis_product(polynomials_.data() + index_.begin(m) * pairs, pairs, fourier + std::size_t(m) * stride * 2 * pairs,
                   stride, index_.count(m), spectral + index_.begin(m) * stride);
}

void SphericalTransform::fourier_synthesis(int block, std::size_t series, const double* fourier, double* grid,
                                           double* work) const {
  const std::size_t stride = padded(series), pairs = std::size_t(pairs_), columns = std::size_t(nlon());
  const int waves = std::min(truncation(), (nlon() - 1) / 2);
  for (std::size_t s = 0; s < series; ++s) {
    double* line = work;
    std::fill(line + std::size_t(waves + 1) * 16, line + (columns - std::size_t(waves)) * 16, 0.0);
    for (int m = 0; m <= waves; ++m) {
      const double* re = fourier + ((std::size_t(m) * stride + s) * 2) * pairs + std::size_t(block * lanes);
      const double* im = re + 2 * series * pairs;
      pack_wave(re, im, pairs, line + std::size_t(m) * 16, m ? line + (columns - std::size_t(m)) * 16 : nullptr);
    }
    double* target = grid + s * columns * 16;
    const double* result = fourier_.backward(line, target);
    if (result != target) std::copy(result, result + columns * 16, target);
  }
}

void SphericalTransform::fourier_analysis(int block, std::size_t series, const double* grid, double* fourier,
                                          double* work) const {
  const std::size_t stride = padded(series), pairs = std::size_t(pairs_), columns = std::size_t(nlon());
  double weight[lanes] = {};
  for (int b = 0; b < lanes; ++b)
    if (const int r = row(block, b); r >= 0) {
      const double rows = 2 * r + 1 == nlat_ ? 2 : 1;  // the equator is its own mirror
      weight[b] = 0.25 * weights_[std::size_t(r)] / (rows * double(columns));
    }
  for (std::size_t s = 0; s < series; ++s) {
    std::copy(grid + s * columns * 16, grid + (s + 1) * columns * 16, work);
    const double* line = fourier_.forward(work, work + columns * 16);
    for (int m = 0; m <= truncation(); ++m) {
      double parts[4 * lanes] = {};
      if (2 * m < nlon())
        unpack_wave(line + std::size_t(m) * 16, line + (m ? columns - std::size_t(m) : 0) * 16, weight, parts);
      // [m][parity][pair][stride]: what the matrix product of legendre_analysis reads along its rows.
      double* even = fourier + (std::size_t(m) * 2 * pairs + std::size_t(block * lanes)) * stride + s;
      double* odd = even + pairs * stride;
      for (std::size_t b = 0; b < lanes; ++b) {
        even[b * stride] = parts[b];
        even[b * stride + series] = parts[lanes + b];
        odd[b * stride] = parts[2 * lanes + b];
        odd[b * stride + series] = parts[3 * lanes + b];
      }
    }
  }
}

void SphericalTransform::synthesise(std::size_t series, std::span<const double> spectral,
                                    std::span<double> grid) const {
  const std::size_t stride = padded(series), columns = std::size_t(nlon());
  std::vector<double> batch(spectral_size(series)), fourier(fourier_size(series)), block(block_size(series)),
      work(work_size());
  for (std::size_t s = 0; s < series; ++s)
    for (std::size_t c = 0; c < index_.size(); ++c) {
      batch[c * stride + s] = spectral[(s * index_.size() + c) * 2];
      batch[c * stride + series + s] = spectral[(s * index_.size() + c) * 2 + 1];
    }
  for (int m = 0; m <= truncation(); ++m) legendre_synthesis(m, series, batch.data(), fourier.data());
  for (int b = 0; b < blocks(); ++b) {
    fourier_synthesis(b, series, fourier.data(), block.data(), work.data());
    for (int member = 0; member < 16; ++member) {
      const int r = row(b, member);
      if (r < 0) continue;
      for (std::size_t s = 0; s < series; ++s)
        for (std::size_t x = 0; x < columns; ++x)
          grid[(s * std::size_t(nlat_) + std::size_t(r)) * columns + x] =
              block[(s * columns + x) * 16 + std::size_t(member)];
    }
  }
}

void SphericalTransform::analyse(std::size_t series, std::span<const double> grid, std::span<double> spectral) const {
  if (weights_.empty()) fail(ErrorKind::usage, "spherical analysis needs weights of the rows");
  const std::size_t stride = padded(series), columns = std::size_t(nlon());
  std::vector<double> batch(spectral_size(series)), fourier(fourier_size(series)), block(block_size(series)),
      work(work_size());
  for (int b = 0; b < blocks(); ++b) {
    for (int member = 0; member < 16; ++member) {
      const int r = row(b, member);
      for (std::size_t s = 0; s < series; ++s)
        for (std::size_t x = 0; x < columns; ++x)
          block[(s * columns + x) * 16 + std::size_t(member)] =
              r < 0 ? 0.0 : grid[(s * std::size_t(nlat_) + std::size_t(r)) * columns + x];
    }
    fourier_analysis(b, series, block.data(), fourier.data(), work.data());
  }
  for (int m = 0; m <= truncation(); ++m) legendre_analysis(m, series, fourier.data(), batch.data());
  for (std::size_t s = 0; s < series; ++s)
    for (std::size_t c = 0; c < index_.size(); ++c) {
      spectral[(s * index_.size() + c) * 2] = batch[c * stride + s];
      spectral[(s * index_.size() + c) * 2 + 1] = batch[c * stride + series + s];
    }
}

}  // namespace zonda::model
