// The Batch API: create, get, list, cancel (PROTOCOL.md 4 to 8).
#pragma once

#include "world.hpp"

#include <boost/json/value.hpp>

namespace sim {

class BatchCalls {
 public:
  explicit BatchCalls(World& world) : world_(world) {}

  Reply create(const Context& context, const std::string& body);
  Reply get(const Context& context);
  Reply list(const Context& context, const RequestHead& head);
  Reply cancel(const Context& context);

 private:
  std::optional<ApiError> check(const Context& context, const boost::json::object& asked) const;
  std::optional<ApiError> check_input(const Context& context, const StoredFile* file, const std::string& id) const;
  ApiError quota_refusal(const std::string& model, std::uint64_t limit) const;
  boost::json::object shown(const Context& context, const Batch& batch) const;
  std::optional<ApiError> seek(const std::vector<Batch*>& batches, const std::string& after, std::size_t& begin) const;
  Reply missing(const Context& context) const;

  World& world_;
};

}  // namespace sim
