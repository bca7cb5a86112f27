// What people's scripts do: files of a fixed size, books of their own, and a timer.
#include "quota_model/contenders.hpp"

#include <algorithm>

namespace batchd::bench {
namespace {

struct Habit {
  std::string name;
  Time interval{60'000};
  std::int64_t rows = 50'000;
  Tokens tokens = 0;      ///< most in a file
  std::size_t files = 1;  ///< most at a time
};

class Script final : public Contender {
 public:
  Script(World& world, Habit habit) : world_(world), habit_(std::move(habit)) {
    world.ledger = [this] { return std::pair(world_.configured(), held_); };
    look();
  }

  std::string name() const override { return habit_.name; }
  void settle() override {}

 private:
  void look() {
    for (const Ended& over : world_.list()) {
      const File file = live_.at(over.batch);
      live_.erase(over.batch);
      held_ -= file.tokens;
      if (over.refused) again_.push_back(file);
    }
    while (live_.size() < habit_.files && submit()) {
    }
    world_.staged = 0;
    for (const File& file : again_) world_.staged += file.tokens;
    world_.at(world_.now() + habit_.interval, [this] { look(); });
  }

  bool submit() {
    if (again_.empty()) {
      auto& heaps = world_.heaps();
      const auto most = std::max_element(heaps.begin(), heaps.end(), [](const Heap& a, const Heap& b) {
        return static_cast<double>(a.rows * a.row_bytes) < static_cast<double>(b.rows * b.row_bytes);
      });
      if (most->rows == 0) return false;
      again_.push_back(world_.take(*most, std::min<std::int64_t>(habit_.rows, 200'000'000 / most->row_bytes), habit_.tokens));
    }
    const File file = again_.back();
    if (held_ + file.tokens > world_.configured()) return false;
    const Post answer = world_.post(file);
    if (answer.refused) return false;  // at the next look
    again_.pop_back();
    held_ += file.tokens;
    live_[answer.batch] = file;
    return true;
  }

  World& world_;
  Habit habit_;
  Tokens held_ = 0;
  std::vector<File> again_;
  std::map<std::int64_t, File> live_;
};

}  // namespace

std::unique_ptr<Contender> make_one_at_a_time(World& world) {
  return std::make_unique<Script>(world, Habit{"one file at a time", Time{60'000}, 100'000, world.configured() * 95 / 100, 1});
}

std::unique_ptr<Contender> make_timer(World& world) {
  return std::make_unique<Script>(world,
                                  Habit{"50,000 rows, timer", Time{300'000}, 50'000, world.configured() * 95 / 100, 1'000'000});
}

std::unique_ptr<Contender> make_fixed_share(World& world) {
  return std::make_unique<Script>(world, Habit{"fixed share", Time{60'000}, 100'000, world.configured() * 24 / 100, 4});
}

}  // namespace batchd::bench
