#include "assimilation/covariance/spectral_covariance.hpp"

#include <Eigen/Dense>
#include <algorithm>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Index index(std::size_t i) {
  return static_cast<Eigen::Index>(i);
}

Vector symmetric_root(const Vector& covariance, std::size_t n) {
  const Eigen::Map<const Matrix> matrix(covariance.data(), index(n), index(n));
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(matrix);
  if (eigen.info() != Eigen::Success)
    fail(ErrorKind::numerical, "spectral covariance: no eigenvalues; are the statistics numbers?");
  const Matrix root = eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal() *
                      eigen.eigenvectors().transpose();
  return {root.data(), root.data() + root.size()};
}

}  // namespace

SpectralCovariance::SpectralCovariance(const AtmosphereLayout& layout, SpectralStatistics statistics,
                                       parallel::Communicator communicator)
    : size_(layout.slot_size),
      columns_(layout.grid.nlon()),
      fields_(layout),
      statistics_(std::move(statistics)),
      harmonics_(layout.grid, statistics_.truncation),
      communicator_(std::move(communicator)) {
  statistics_.check(layout);
  for (const bool wind : {true, false}) {
    const std::size_t all = wind ? fields_.winds.size() : fields_.scalars.size(), together = wind ? 2 : 4;
    for (std::size_t first = 0; first < all; first += together)
      pieces_.push_back({wind, first, std::min(together, all - first)});
  }
  begin_.push_back(0);
  for (const Piece& piece : pieces_) begin_.push_back(begin_.back() + piece.fields());
  for (std::size_t g = 0; g < fields_.groups.size(); ++g) {
    roots_.emplace_back();
    for (const Vector& covariance : statistics_.covariances[g])
      roots_.back().push_back(symmetric_root(covariance, fields_.groups[g].size));
  }
}

/// parameters [parameter][coefficient] <- K C^(1/2) parameters, or its transpose, in place.
void SpectralCovariance::for_each_wave(bool transposed, View parameters) const {
  const std::size_t winds = fields_.winds.size(), size = harmonics_.coefficients(),
                    waves = static_cast<std::size_t>(harmonics_.truncation() + 1);
  Vector balanced(winds * size);
  Eigen::Map<Matrix> all(parameters.data(), index(fields_.parameters()), index(size)),
      balance(balanced.data(), index(winds), index(size));
  const auto correlate = [&](std::size_t n) {
    for (std::size_t g = 0; g < fields_.groups.size(); ++g) {
      const auto [first, count] = fields_.groups[g];
      const Eigen::Map<const Matrix> root(roots_[g][n].data(), index(count), index(count));
      auto wave = all.block(index(first), index(n * n), index(count), index(2 * n + 1));
      wave = (root * wave).eval();
    }
  };
  const auto regression = [&](std::size_t n) {
    return Eigen::Map<const Matrix>(statistics_.regressions[n].data(), index(fields_.dependents()), index(winds));
  };
  const auto dependents = [&](std::size_t n) {
    return all.block(index(winds), index(n * n), index(fields_.dependents()), index(2 * n + 1));
  };
#pragma omp parallel
  {
    if (!transposed) {
#pragma omp for schedule(dynamic)
      for (std::size_t n = 0; n < waves; ++n) correlate(n);
#pragma omp for schedule(static)
      for (std::size_t k = 0; k < winds; ++k)
        harmonics_.balance(parameters.subspan(k * size, size), View(balanced).subspan(k * size, size));
#pragma omp for schedule(dynamic)
      for (std::size_t n = 0; n < waves; ++n)
        if (winds > 0) dependents(n).noalias() += regression(n) * balance.middleCols(index(n * n), index(2 * n + 1));
    } else {
#pragma omp for schedule(dynamic)
      for (std::size_t n = 0; n < waves; ++n)
        if (winds > 0)
          balance.middleCols(index(n * n), index(2 * n + 1)).noalias() = regression(n).transpose() * dependents(n);
#pragma omp for schedule(static)
      for (std::size_t k = 0; k < winds; ++k) {
        Vector from_balance(size);
        harmonics_.balance_adjoint(ConstView(balanced).subspan(k * size, size), from_balance);
        axpy(1, from_balance, parameters.subspan(k * size, size));
      }
#pragma omp for schedule(dynamic)
      for (std::size_t n = 0; n < waves; ++n) correlate(n);
    }
  }
}

/// In the order of a piece's fields: u of its levels, then v; or its scalars.
std::vector<std::size_t> SpectralCovariance::offsets(const Piece& piece) const {
  std::vector<std::size_t> result;
  for (std::size_t k = piece.first; k < piece.first + piece.count; ++k)
    result.push_back(piece.wind ? fields_.winds[k].u : fields_.scalars[k]);
  for (std::size_t k = piece.first; piece.wind && k < piece.first + piece.count; ++k)
    result.push_back(fields_.winds[k].v);
  return result;
}

void SpectralCovariance::synthesise(const Piece& piece, ConstView parameters, View grid) const {
  const std::size_t winds = fields_.winds.size(), size = harmonics_.coefficients(), points = harmonics_.points();
  const auto of = [&](std::size_t parameter) { return parameters.subspan(parameter * size, piece.count * size); };
  if (piece.wind)
    harmonics_.wind(piece.count, of(piece.first), of(winds + piece.first), grid.first(piece.count * points),
                    grid.subspan(piece.count * points));
  else
    harmonics_.scalar(piece.count, of(2 * winds + piece.first), grid);
}

void SpectralCovariance::collect(const Piece& piece, ConstView grid, View parameters) const {
  const std::size_t points = harmonics_.points(), half = piece.count * harmonics_.coefficients();
  if (piece.wind)
    harmonics_.wind_adjoint(piece.count, grid.first(piece.count * points), grid.subspan(piece.count * points),
                            parameters.first(half), parameters.subspan(half));
  else
    harmonics_.scalar_adjoint(piece.count, grid, parameters);
}

parallel::Range SpectralCovariance::own_pieces() const {
  return parallel::partition(pieces_.size(), static_cast<std::size_t>(communicator_.size()),
                             static_cast<std::size_t>(communicator_.rank()));
}

std::vector<std::size_t> SpectralCovariance::shares(std::size_t size) const {
  std::vector<std::size_t> bytes;
  const auto ranks = static_cast<std::size_t>(communicator_.size());
  for (std::size_t r = 0; r < ranks; ++r)
    bytes.push_back(begin_[parallel::partition(pieces_.size(), ranks, r).begin] * size * sizeof(double));
  bytes.push_back(begin_.back() * size * sizeof(double));
  return bytes;
}

namespace {

/// What other ranks hold of `values` arrives in its place.
void gather(const parallel::Communicator& communicator, const std::vector<std::size_t>& bytes, Vector& values) {
  if (communicator.size() == 1) return;
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const auto all = std::as_writable_bytes(std::span(values));
  communicator.all_gather(all.subspan(bytes[rank], bytes[rank + 1] - bytes[rank]), all, bytes).wait();
}

}  // namespace

void SpectralCovariance::square_root(ConstView control, View y) const {
  require_size("the control vector", control.size(), control_size());
  require_size("the state", y.size(), size_);
  const std::size_t points = harmonics_.points();
  Vector parameters(control.begin(), control.end()), grid(begin_.back() * points);
  for_each_wave(false, parameters);
  const parallel::Range own = own_pieces();
#pragma omp parallel for schedule(dynamic)
  for (std::size_t p = own.begin; p < own.end; ++p)
    synthesise(pieces_[p], parameters, View(grid).subspan(begin_[p] * points, pieces_[p].fields() * points));
  gather(communicator_, shares(points), grid);
  std::fill(y.begin(), y.end(), 0);
  for (std::size_t p = 0; p < pieces_.size(); ++p) {
    const std::vector<std::size_t> places = offsets(pieces_[p]);
    for (std::size_t f = 0; f < places.size(); ++f) {
      const std::size_t of = pieces_[p].first + f % pieces_[p].count + (pieces_[p].wind ? 0 : fields_.winds.size());
      for (std::size_t i = 0; i < points; ++i)
        y[places[f] + i] = statistics_.deviations[of][i / columns_] * grid[(begin_[p] + f) * points + i];
    }
  }
}

void SpectralCovariance::square_root_adjoint(ConstView x, View control) const {
  require_size("the control vector", control.size(), control_size());
  require_size("the state", x.size(), size_);
  const std::size_t points = harmonics_.points(), size = harmonics_.coefficients(), winds = fields_.winds.size();
  Vector collected(begin_.back() * size);  // [piece][field][coefficient]
  const parallel::Range own = own_pieces();
#pragma omp parallel for schedule(dynamic)
  for (std::size_t p = own.begin; p < own.end; ++p) {
    const std::vector<std::size_t> places = offsets(pieces_[p]);
    Vector grid(places.size() * points);
    for (std::size_t f = 0; f < places.size(); ++f) {
      const std::size_t of = pieces_[p].first + f % pieces_[p].count + (pieces_[p].wind ? 0 : winds);
      for (std::size_t i = 0; i < points; ++i)
        grid[f * points + i] = statistics_.deviations[of][i / columns_] * x[places[f] + i];
    }
    collect(pieces_[p], grid, View(collected).subspan(begin_[p] * size, pieces_[p].fields() * size));
  }
  gather(communicator_, shares(size), collected);
  for (std::size_t p = 0; p < pieces_.size(); ++p) {
    const Piece& piece = pieces_[p];
    const ConstView from = ConstView(collected).subspan(begin_[p] * size, piece.fields() * size);
    const std::size_t half = piece.count * size;
    if (piece.wind) {
      copy(from.first(half), control.subspan(piece.first * size, half));
      copy(from.subspan(half), control.subspan((winds + piece.first) * size, half));
    } else {
      copy(from, control.subspan((2 * winds + piece.first) * size, half));
    }
  }
  for_each_wave(true, control);
}

}  // namespace zonda::assimilation
