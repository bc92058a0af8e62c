#include "model/spectral/fourier_transform.hpp"

#include <cmath>
#include <utility>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "model/spectral/lanes.hpp"

namespace zonda::model {
namespace {

// One pass over signals of length radix * groups * stride: element (q + stride * (p + groups * k)) of the input meets
// the others of equal (p, q) in a butterfly; output at (q + stride * (radix * p + j)), multiplied by exp(-2 pi i j p /
// (radix * groups)). Every element is two Lanes: real, imaginary.

inline __attribute__((always_inline)) void store_turned(Lanes* y, const Lanes& re, const Lanes& im, const double* w) {
  y[0] = re * w[0] - im * w[1];
  y[1] = re * w[1] + im * w[0];
}

ZONDA_CLONES void pass_2(const Lanes* x, Lanes* y, int groups, int stride, const double* twiddles) {
  for (int p = 0; p < groups; ++p) {
    const double* w = twiddles + 2 * p;
    for (int q = 0; q < stride; ++q) {
      const Lanes* a = x + 2 * (q + stride * p);
      const Lanes* b = a + 2 * stride * groups;
      Lanes* out = y + 2 * (q + stride * 2 * p);
      const Lanes re = a[0] - b[0], im = a[1] - b[1];
      out[0] = a[0] + b[0];
      out[1] = a[1] + b[1];
      store_turned(out + 2 * stride, re, im, w);
    }
  }
}

ZONDA_CLONES void pass_3(const Lanes* x, Lanes* y, int groups, int stride, const double* twiddles, double sign) {
  const double s = sign * std::sqrt(0.75);
  for (int p = 0; p < groups; ++p) {
    const double* w = twiddles + 4 * p;
    for (int q = 0; q < stride; ++q) {
      const Lanes* a = x + 2 * (q + stride * p);
      const Lanes* b = a + 2 * stride * groups;
      const Lanes* c = b + 2 * stride * groups;
      Lanes* out = y + 2 * (q + stride * 3 * p);
      const Lanes sum_re = b[0] + c[0], sum_im = b[1] + c[1];
      const Lanes dif_re = s * (b[0] - c[0]), dif_im = s * (b[1] - c[1]);
      const Lanes mid_re = a[0] - 0.5 * sum_re, mid_im = a[1] - 0.5 * sum_im;
      out[0] = a[0] + sum_re;
      out[1] = a[1] + sum_im;
      const Lanes r1 = mid_re - dif_im, i1 = mid_im + dif_re, r2 = mid_re + dif_im, i2 = mid_im - dif_re;
      store_turned(out + 2 * stride, r1, i1, w);
      store_turned(out + 4 * stride, r2, i2, w + 2);
    }
  }
}

ZONDA_CLONES void pass_4(const Lanes* x, Lanes* y, int groups, int stride, const double* twiddles, double sign) {
  for (int p = 0; p < groups; ++p) {
    const double* w = twiddles + 6 * p;
    for (int q = 0; q < stride; ++q) {
      const Lanes* a = x + 2 * (q + stride * p);
      const Lanes* b = a + 2 * stride * groups;
      const Lanes* c = b + 2 * stride * groups;
      const Lanes* d = c + 2 * stride * groups;
      Lanes* out = y + 2 * (q + stride * 4 * p);
      const Lanes ac_re = a[0] + c[0], ac_im = a[1] + c[1], bd_re = b[0] + d[0], bd_im = b[1] + d[1];
      const Lanes am_re = a[0] - c[0], am_im = a[1] - c[1];
      const Lanes bm_re = sign * (b[0] - d[0]), bm_im = sign * (b[1] - d[1]);
      out[0] = ac_re + bd_re;
      out[1] = ac_im + bd_im;
      const Lanes r1 = am_re - bm_im, i1 = am_im + bm_re, r2 = ac_re - bd_re, i2 = ac_im - bd_im, r3 = am_re + bm_im,
                  i3 = am_im - bm_re;
      store_turned(out + 2 * stride, r1, i1, w);
      store_turned(out + 4 * stride, r2, i2, w + 2);
      store_turned(out + 6 * stride, r3, i3, w + 4);
    }
  }
}

ZONDA_CLONES void pass_5(const Lanes* x, Lanes* y, int groups, int stride, const double* twiddles, double sign) {
  const double c1 = std::cos(2 * constants::pi / 5), c2 = std::cos(4 * constants::pi / 5);
  const double s1 = sign * std::sin(2 * constants::pi / 5), s2 = sign * std::sin(4 * constants::pi / 5);
  for (int p = 0; p < groups; ++p) {
    const double* w = twiddles + 8 * p;
    for (int q = 0; q < stride; ++q) {
      const int jump = 2 * stride * groups;
      const Lanes* a = x + 2 * (q + stride * p);
      Lanes* out = y + 2 * (q + stride * 5 * p);
      const Lanes p_re = a[jump] + a[4 * jump], p_im = a[jump + 1] + a[4 * jump + 1];
      const Lanes q_re = a[2 * jump] + a[3 * jump], q_im = a[2 * jump + 1] + a[3 * jump + 1];
      const Lanes u_re = a[jump] - a[4 * jump], u_im = a[jump + 1] - a[4 * jump + 1];
      const Lanes v_re = a[2 * jump] - a[3 * jump], v_im = a[2 * jump + 1] - a[3 * jump + 1];
      out[0] = a[0] + p_re + q_re;
      out[1] = a[1] + p_im + q_im;
      const Lanes m1_re = a[0] + c1 * p_re + c2 * q_re, m1_im = a[1] + c1 * p_im + c2 * q_im;
      const Lanes m2_re = a[0] + c2 * p_re + c1 * q_re, m2_im = a[1] + c2 * p_im + c1 * q_im;
      const Lanes n1_re = s1 * u_re + s2 * v_re, n1_im = s1 * u_im + s2 * v_im;
      const Lanes n2_re = s2 * u_re - s1 * v_re, n2_im = s2 * u_im - s1 * v_im;
      const Lanes r1 = m1_re - n1_im, i1 = m1_im + n1_re, r2 = m2_re - n2_im, i2 = m2_im + n2_re;
      const Lanes r3 = m2_re + n2_im, i3 = m2_im - n2_re, r4 = m1_re + n1_im, i4 = m1_im - n1_re;
      store_turned(out + 2 * stride, r1, i1, w);
      store_turned(out + 4 * stride, r2, i2, w + 2);
      store_turned(out + 6 * stride, r3, i3, w + 4);
      store_turned(out + 8 * stride, r4, i4, w + 6);
    }
  }
}

/// Any radix, in radix^2 operations. `roots` [n][2] are exp(-2 pi i k / n); `step` = n / radix.
ZONDA_CLONES void pass_any(const Lanes* x, Lanes* y, int radix, int groups, int stride, const double* twiddles,
                           double sign, const double* roots, int step) {
  for (int p = 0; p < groups; ++p)
    for (int q = 0; q < stride; ++q)
      for (int j = 0; j < radix; ++j) {
        Lanes re = {}, im = {};
        for (int k = 0; k < radix; ++k) {
          const Lanes* a = x + 2 * (q + stride * (p + groups * k));
          const double* root = roots + 2 * (std::size_t(j) * k % radix * step);
          const double c = root[0], s = -sign * root[1];
          re += a[0] * c - a[1] * s;
          im += a[0] * s + a[1] * c;
        }
        Lanes* out = y + 2 * (q + stride * (radix * p + j));
        const double one[2] = {1, 0};
        store_turned(out, re, im, j == 0 ? one : twiddles + 2 * (std::size_t(p) * (radix - 1) + j - 1));
      }
}

}  // namespace

bool is_fast_length(int n) {
  for (const int factor : {2, 3, 5})
    while (n > 1 && n % factor == 0) n /= factor;
  return n == 1;
}

FourierTransform::FourierTransform(int n) : n_(n) {
  if (n < 1) fail(ErrorKind::usage, "Fourier transform of length {}: expected at least 1", n);
  std::vector<int> radices;
  int rest = n;
  for (const int factor : {4, 2, 3, 5})
    for (; rest % factor == 0; rest /= factor) radices.push_back(factor);
  for (int factor = 7; rest > 1; factor += 2)
    for (; rest % factor == 0; rest /= factor) radices.push_back(factor);

  int length = n, stride = 1;
  for (const int radix : radices) {
    const int groups = length / radix;
    passes_.push_back({radix, groups, stride, forward_twiddles_.size()});
    for (int p = 0; p < groups; ++p)
      for (int j = 1; j < radix; ++j) {
        const double angle = 2 * constants::pi * (static_cast<long long>(j) * p % length) / length;
        forward_twiddles_.insert(forward_twiddles_.end(), {std::cos(angle), -std::sin(angle)});
        backward_twiddles_.insert(backward_twiddles_.end(), {std::cos(angle), std::sin(angle)});
      }
    length = groups;
    stride *= radix;
  }
  roots_.resize(2 * std::size_t(n));
  for (int k = 0; k < n; ++k) {
    roots_[2 * k] = std::cos(2 * constants::pi * k / n);
    roots_[2 * k + 1] = -std::sin(2 * constants::pi * k / n);
  }
}

double* FourierTransform::transform(double* data, double* work, bool backward) const {
  const double sign = backward ? 1 : -1;
  for (const Pass& pass : passes_) {
    const double* w = (backward ? backward_twiddles_ : forward_twiddles_).data() + pass.twiddles;
    const Lanes* x = as_lanes(data);
    Lanes* y = as_lanes(work);
    switch (pass.radix) {
      case 2:
        pass_2(x, y, pass.groups, pass.stride, w);
        break;
      case 3:
        pass_3(x, y, pass.groups, pass.stride, w, sign);
        break;
      case 4:
        pass_4(x, y, pass.groups, pass.stride, w, sign);
        break;
      case 5:
        pass_5(x, y, pass.groups, pass.stride, w, sign);
        break;
      default:
        pass_any(x, y, pass.radix, pass.groups, pass.stride, w, sign, roots_.data(), n_ / pass.radix);
    }
    std::swap(data, work);
  }
  return data;
}

}  // namespace zonda::model
