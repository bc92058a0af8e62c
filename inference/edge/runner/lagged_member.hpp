#pragma once
// Members of an ensemble out of one feed.
#include "inference/edge/feed/boundary_feed.hpp"

namespace zonda::edge {

/// The present state of the interior moves along what it did during the last step: x(t) += s (x(t) - x(t - d)), with s
/// normal, of standard deviation 0.1, drawn for the member's number and the cycle (a continuous form of the lagged
/// average forecast: Hoffman & Kalnay 1983, Tellus A 35, 100-118). The ring stays the host's. Member 0 is the feed.
void perturb_feed(BoundaryFeed& feed, int member);

}  // namespace zonda::edge
