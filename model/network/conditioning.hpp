#pragma once
// Conditioning: the sample's condition vector (step, lead time, season, hour) to the shift, scale and gate of every
// block (adaLN-single: one shared projection; each block adds its own table). Random numbers, where the network takes
// some, tell ensemble members apart; their weights start at zero.
#include <optional>

#include "model/network/linear.hpp"

namespace zonda::model {

class Conditioning {
 public:
  Conditioning(ParameterStore& store, int condition_size, int width, int noise_size = 0);
  struct Saved {
    Tensor noise, first, first_active, second, second_active;
  };
  /// condition [B, n], noise [B, noise size] -> modulation [B, 6 D]. Both stay until backward.
  void forward(Context& ctx, const Tensor& condition, const Tensor& modulation, Saved& saved,
               const Tensor& noise = {}) const;
  void backward(Context& ctx, const Tensor& condition, Saved& saved, const Tensor& dmodulation) const;

 private:
  int width_;
  Linear first_, second_, shared_;
  std::optional<Linear> noise_;
};

}  // namespace zonda::model
