// Ways of filling a quota: batchd's own policy code, and what people do without it.
#pragma once

#include "quota_model/world.hpp"

#include <memory>

namespace batchd::bench {

class Contender {
 public:
  virtual ~Contender() = default;
  virtual std::string name() const = 0;
  /// Something has happened.
  virtual void settle() = 0;
};

/// The policy of the daemon (core/packer.hpp, core/quota.hpp) with stages that do nothing but take their time.
std::unique_ptr<Contender> make_batchd(World& world);
/// The largest file that the limits allow, and the next one when it is done.
std::unique_ptr<Contender> make_one_at_a_time(World& world);
/// Files of 50,000 rows; every five minutes what has ended is noted, and as many are submitted as fit by the script's own books.
std::unique_ptr<Contender> make_timer(World& world);
/// Files of a quarter of the limit, four at a time, looked after every minute.
std::unique_ptr<Contender> make_fixed_share(World& world);

}  // namespace batchd::bench
