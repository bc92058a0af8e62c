#pragma once
#include "assimilation/covariance/harmonic_synthesis.hpp"
#include "assimilation/covariance/spectral_statistics.hpp"
#include "assimilation/interfaces/covariance.hpp"
#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

/// Background errors of one slot of an atmosphere, isotropic up to standard deviations by latitude (Courtier et al.
/// 1998) with balance (Derber & Bouttier 1999): x = D S K C^(1/2) v. C: covariances of groups of fields and levels by
/// wavenumber; K: adds to velocity potential and scalars their parts that balance the streamfunction; S: synthesis of
/// winds and scalars; D: standard deviations. Control space: spherical harmonics of psi, chi and the scalars. Ranks
/// share the synthesis by fields; all hold control and state. The same bits on any number of ranks and threads.
class SpectralCovariance final : public Covariance {
 public:
  SpectralCovariance(const AtmosphereLayout& layout, SpectralStatistics statistics,
                     parallel::Communicator communicator = parallel::Communicator::self());
  std::size_t size() const override { return size_; }
  std::size_t control_size() const override { return fields_.parameters() * harmonics_.coefficients(); }
  /// Collective.
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;

 private:
  /// A few fields that are synthesised together: winds or scalars [first, first + count).
  struct Piece {
    bool wind;
    std::size_t first, count;
    std::size_t fields() const { return wind ? 2 * count : count; }
  };
  void for_each_wave(bool transposed, View parameters) const;
  void synthesise(const Piece& piece, ConstView parameters, View grid) const;
  void collect(const Piece& piece, ConstView grid, View parameters) const;
  std::vector<std::size_t> offsets(const Piece& piece) const;
  parallel::Range own_pieces() const;
  /// Rank's shares of a list with one entry of `size` numbers for each field of each piece, in bytes.
  std::vector<std::size_t> shares(std::size_t size) const;

  std::size_t size_, columns_;
  StatisticalFields fields_;
  SpectralStatistics statistics_;
  HarmonicSynthesis harmonics_;
  parallel::Communicator communicator_;
  std::vector<Piece> pieces_;
  std::vector<std::size_t> begin_;          ///< [piece + 1], in fields
  std::vector<std::vector<Vector>> roots_;  ///< [group][n][size, size], symmetric
};

}  // namespace zonda::assimilation
