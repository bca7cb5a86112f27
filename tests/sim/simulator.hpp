// The provider itself: takes every request through the gateway (route, version, key), lets faults strike, and hands the
// call to whoever answers it.
#pragma once

#include "http_message.hpp"
#include "world.hpp"

#include <memory>

namespace sim {

class Simulator final : public Service {
 public:
  /// Throws std::invalid_argument when a fault of the command line cannot be understood.
  Simulator(const Settings& settings, const TokenCounter& counter);

  Task<Reply> serve(const RequestHead& head, BodyReader& body) override;

 private:
  Task<Reply> control(const RequestHead& head, BodyReader& body);
  Task<Reply> api(const Call& call, const RequestHead& head, BodyReader& body);
  Task<Reply> struck(const Context& wanted, const Fault& fault, const RequestHead& head, BodyReader& body);
  bool takes_key(const std::string& key) const;
  bool takes_token(const RequestHead& head, const std::string& token) const;
  std::optional<Reply> gateway(const Call& call, const RequestHead& head);
  Task<Reply> perform(const Context& context, const RequestHead& head, BodyReader& body);
  Task<Reply> perform_late(const Context& context, BodyReader& body, Milliseconds delay);
  void insert_foreign(const Context& context, std::uint32_t count);
  void reset();

  const Settings& settings_;
  const TokenCounter& counter_;
  std::shared_ptr<World> world_;
};

}  // namespace sim
