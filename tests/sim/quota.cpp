#include "quota.hpp"

#include <algorithm>

namespace sim {

bool Quota::known(const std::string& deployment) const {
  return settings_.deployments.empty() || settings_.deployments.contains(deployment);
}

std::uint64_t Quota::limit(const std::string& deployment) const {
  const auto own = settings_.deployments.find(deployment);
  return own == settings_.deployments.end() ? settings_.limit : own->second;
}

Quota::Account& Quota::account(const std::string& resource, const std::string& deployment) {
  auto& found = accounts_[{resource, deployment}];
  const auto time = now();
  std::erase_if(found.leaving, [&](const auto& release) {
    if (release.first > time) return false;
    found.held -= std::min(found.held, release.second);
    return true;
  });
  return found;
}

std::uint64_t Quota::held(const std::string& resource, const std::string& deployment) {
  return account(resource, deployment).held;
}

bool Quota::take(const std::string& resource, const std::string& deployment, std::uint64_t tokens) {
  auto& found = account(resource, deployment);
  found.most_asked = std::max(found.most_asked, found.held + tokens);
  if (found.held + tokens > limit(deployment)) {
    ++found.refusals;
    return false;
  }
  found.held += tokens;
  found.most_held = std::max(found.most_held, found.held);
  return true;
}

void Quota::release(const std::string& resource, const std::string& deployment, std::uint64_t tokens, TimePoint at) {
  account(resource, deployment).leaving.emplace_back(at + settings_.release_lag, tokens);
}

void Quota::describe(boost::json::object& out) {
  boost::json::object most, most_asked, held_now, refusals;
  for (const auto& [key, unused] : accounts_) {
    const auto& found = account(key.first, key.second);
    const std::string name = key.first + '/' + key.second;
    most[name] = found.most_held;
    most_asked[name] = found.most_asked;
    held_now[name] = found.held;
    refusals[name] = found.refusals;
  }
  out["max_enqueued"] = std::move(most);
  out["max_enqueued_asked"] = std::move(most_asked);
  out["enqueued"] = std::move(held_now);
  out["quota_refusals"] = std::move(refusals);
}

}  // namespace sim
