#pragma once
// Steps of a model about states, kept for as long as there is room: the sweeps of a minimisation ask for the same ones.
#include <algorithm>
#include <functional>
#include <list>
#include <memory>

#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

/// `Step` has linearise(n, state). One thread at a time.
template <class Step>
class Linearisations {
 public:
  Linearisations(std::function<std::unique_ptr<Step>()> make, std::size_t most)
      : make_(std::move(make)), most_(std::max(most, std::size_t{1})) {}

  /// The step about this state: one that is still there, else the one that was not used for longest, linearised anew.
  Step& about(std::size_t n, ConstView state) {
    const auto known = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& at) {
      return at.n == n && std::equal(state.begin(), state.end(), at.state.begin(), at.state.end());
    });
    if (known != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, known);
      return *kept_.front().step;
    }
    if (kept_.size() < most_)
      kept_.push_front({n, {}, make_()});
    else
      kept_.splice(kept_.begin(), kept_, std::prev(kept_.end()));
    Kept& at = kept_.front();
    at.state.clear();  // of no state while linearise may throw
    at.step->linearise(n, state);
    at.n = n;
    at.state.assign(state.begin(), state.end());
    return *at.step;
  }

 private:
  struct Kept {
    std::size_t n;
    Vector state;
    std::unique_ptr<Step> step;
  };
  std::function<std::unique_ptr<Step>()> make_;
  std::size_t most_;
  std::list<Kept> kept_;  ///< the last used first
};

}  // namespace zonda::assimilation
