#include "core/planning.hpp"

#include <algorithm>

namespace batchd {

bool has_endpoint(const std::vector<std::string>& endpoints, std::string_view endpoint) {
  return endpoints.empty() || std::find(endpoints.begin(), endpoints.end(), bare_endpoint(endpoint)) != endpoints.end();
}

bool Offer::takes(const Lane& lane) const {
  return lane.model == model && has_endpoint(endpoints, lane.endpoint);
}

bool is_offered(const std::vector<Offer>& offers, const Lane& lane) {
  return std::any_of(offers.begin(), offers.end(), [&lane](const Offer& offer) { return offer.takes(lane); });
}

}  // namespace batchd
